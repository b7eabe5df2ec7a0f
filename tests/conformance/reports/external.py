"""Weights in files beside the model: offsets, sharing, and places that are no file of this model.

Reports: onnxruntime #21195 #11848, onnx-tensorrt #542, openvino #13186.
"""

import numpy as np
from onnx import TensorProto
from suite import FLOAT, case, f32, node, refused

X = f32(1, 2, 3)
NUMBERS = np.arange(100, dtype=np.float32)
FILES = {"w.bin": b"xyz" + NUMBERS.tobytes(), "sub/v.bin": NUMBERS[:3].tobytes(), "i4.bin": bytes([0x21, 0x03])}
ADD = [node("Add", ["x", "w"], ["y"])]
ADD_TWO = [node("Add", ["x", "w"], ["t"]), node("Add", ["t", "v"], ["y"])]
# A link is written where the content is a path.
LINKED = {"link.bin": "/etc/hostname"}


def cases():
    yield from read()
    yield from not_read()


def beside(count, kind=FLOAT, **entries):
    """A tensor whose contents are in another file."""
    made = TensorProto(data_type=kind, dims=[count], data_location=TensorProto.EXTERNAL)
    for key, value in entries.items():
        made.external_data.add(key=key, value=str(value))
    return made


def one(name, nodes, y, constants, files=FILES):
    expected = refused(y=FLOAT) if y is None else {"y": np.asarray(y, np.float32)}
    return case(name, nodes, {"x": X}, expected, opset=21, ir=10, constants=constants, files=files)


def read():
    here = dict(location="w.bin", offset=3, length=12)
    first, three = np.arange(3), beside(3, location="sub/v.bin", length=12)
    yield one("offset_unaligned", ADD, X + first, {"w": beside(3, **here)})
    yield one("length_left_out", ADD, X + first, {"w": beside(3, location="sub/v.bin")})
    yield one("offset_15", ADD, X + first + 3, {"w": beside(3, location="w.bin", offset=15, length=12)})
    yield one("dot_and_slash", ADD, X + first, {"w": beside(3, location="./sub/v.bin", length=12)})
    checked = beside(3, location="sub/v.bin", offset=0, length=12, checksum="abc")
    yield one("checksum", ADD, X + first, {"w": checked})
    yield one("shared", ADD_TWO, X + 2 * first, {"w": beside(3, **here), "v": beside(3, **here)})
    shifted = beside(3, location="w.bin", offset=7, length=12)
    yield one("overlapping", ADD_TWO, X + 2 * first + 1, {"w": beside(3, **here), "v": shifted})
    nodes = [node("Cast", ["w"], ["c"], to=FLOAT), node("Add", ["x", "c"], ["y"])]
    long = np.float32(np.frombuffer(NUMBERS[:2].tobytes(), np.int64)[0])
    yield one(
        "int64_unaligned", nodes, X + long, {"w": beside(1, TensorProto.INT64, location="w.bin", offset=3, length=8)}
    )
    nodes = [node("DequantizeLinear", ["w", "s"], ["c"]), node("Add", ["x", "c"], ["y"])]
    odd = beside(3, TensorProto.INT4, location="i4.bin", offset=0, length=2)
    yield one("int4_odd", nodes, X + first + 1, {"w": odd, "s": np.float32(1)})
    nodes = [node("Concat", ["x", "w"], ["y"], axis=0)]
    yield one("no_elements", nodes, X, {"w": beside(0, location="w.bin", offset=3, length=0)})
    nodes = [node("Constant", [], ["w"], value=three), *ADD]
    yield one("in_an_attribute", nodes, X + first, {})


def not_read():
    there = dict(length=12)
    yield one("parent", ADD, None, {"w": beside(3, location="../external.shared/sub/v.bin", **there)})
    yield one("absolute", ADD, None, {"w": beside(3, location="/etc/hostname", length=4)})
    yield one("too_short", ADD, None, {"w": beside(4, location="sub/v.bin")})
    yield one("wrong_length", ADD, None, {"w": beside(3, location="w.bin", offset=3, length=16)})
    yield one("missing", ADD, None, {"w": beside(3, location="no.bin")})
    yield one("negative_offset", ADD, None, {"w": beside(3, location="w.bin", offset=-1, length=12)})
    nodes = [node("Cast", ["w"], ["c"], to=FLOAT), node("Add", ["x", "c"], ["y"])]
    out = beside(1, TensorProto.UINT8, location="link.bin", offset=0, length=1)
    yield one("link_out", nodes, None, {"w": out}, {**FILES, **LINKED})
    yield one("directory", ADD, None, {"w": beside(3, location="sub")})
