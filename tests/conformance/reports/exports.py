"""What real exporters write: squeezes behind conditions, open extents, unsorted operators, merged decoders.

Each is the smallest model of a kind that real models hit.
"""

import numpy as np
from onnx import TensorProto, helper
from suite import BOOL, FLOAT, HALF, INT64, case, f32, i64, node, normal, onnxruntime, tensor

RANDOM = np.random.RandomState(0)


def cases():
    yield from conditions()
    yield from open_extents()
    yield from booleans_and_shapes()
    yield from loops()
    yield from recurrent()
    yield from signals()
    yield from unsorted()
    yield four_bit_weights()


def floats(name, extents):
    return helper.make_tensor_value_info(name, FLOAT, extents)


def constant(name, value):
    return node("Constant", [], [name], value=tensor("", np.asarray(value, np.int64)))


def conditions():
    """TorchScript's squeeze, and a decoder with and without its cache."""
    squeezed = helper.make_graph(
        [constant("ax", [1]), node("Squeeze", ["x", "ax"], ["t"])], "then", [], [floats("t", None)]
    )
    same = helper.make_graph([node("Identity", ["x"], ["e"])], "else", [], [floats("e", None)])
    nodes = [
        node("Shape", ["x"], ["s"]),
        constant("one", 1),
        node("Gather", ["s", "one"], ["d"]),
        node("Equal", ["d", "one"], ["c"]),
        node("If", ["c"], ["y"], then_branch=squeezed, else_branch=same),
    ]
    x = np.arange(30, dtype=np.float32).reshape(2, 5, 3)
    yield case("if_squeeze", nodes, {"x": x}, {"y": x}, opset=16, extents_x=["b", "n", 3])
    x = np.arange(6, dtype=np.float32).reshape(2, 1, 3)
    yield case("if_squeeze_taken", nodes, {"x": x}, {"y": x[:, 0]}, opset=16, extents_x=["b", "n", 3])
    cached = helper.make_graph([node("Concat", ["p", "x"], ["t"], axis=1)], "then", [], [floats("t", [1, "total", 2])])
    first = helper.make_graph([node("Identity", ["x"], ["e"])], "else", [], [floats("e", [1, "n", 2])])
    nodes = [node("Squeeze", ["use", "z"], ["u"]), node("If", ["u"], ["y"], then_branch=cached, else_branch=first)]
    past, x = np.ones((1, 3, 2), np.float32), np.zeros((1, 1, 2), np.float32)
    open_too = dict(extents_p=[1, "p", 2], extents_x=[1, "n", 2], constants={"z": i64(0)})
    for use, p, y in ((True, past, np.concatenate([past, x], 1)), (False, past[:, :0], x)):
        given = {"use": np.array([use]), "p": p, "x": x}
        yield case(f"if_on_input_{use}", nodes, given, {"y": y}, **open_too)


def open_extents():
    nodes = [
        node("MaxPool", ["x"], ["d"], kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
        node(
            *("Resize", ["d", "", "s"], ["u"]),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        node("Concat", ["x", "u"], ["y"], axis=1),
    ]
    x, doubled = normal(RANDOM, 1, 2, 8, 8), {"s": f32(1, 1, 2, 2)}
    open_too = dict(opset=13, constants=doubled, extents_x=[1, 2, "h", "w"])
    yield case("pyramid", nodes, {"x": x}, onnxruntime(y=FLOAT), **open_too)
    x, one = np.zeros((1, 3, 4, 6), np.float32), {"one": np.float32(1)}
    nodes = [node("Add", ["x", "one"], ["y"])]
    yield case("extents_of_one_name", nodes, {"x": x}, {"y": x + 1}, constants=one, extents_x=["b", 3, "?", "?"])


def booleans_and_shapes():
    a, b = np.array([1, 0, 0], bool), np.array([1, 1, 0], bool)
    nodes, y = [node("Equal", ["a", "b"], ["y"])], {"y": a == b}
    yield case("Equal_of_booleans", nodes, {"a": a, "b": b}, y)
    yield case("Equal_of_booleans_open", nodes, {"a": a, "b": b}, y, open_extents=True)
    no = {"b": np.array(False)}
    yield case("Equal_of_booleans_constant", nodes, {"a": a}, {"y": ~a}, constants=no, open_extents=True)
    # How transformers finds packed sequences: where positions do not rise by one.
    nodes = [
        node("Shape", ["x"], ["s"]),
        *(
            constant(name, value)
            for name, value in (("zero", [0]), ("one", [1]), ("minus", [-1]), ("far", [2**63 - 1]))
        ),
        *(constant(name, value) for name, value in (("k0", 0), ("k1", 1))),
        node("Squeeze", ["s", "zero"], ["n"]),
        node("Range", ["k0", "n", "k1"], ["p"]),
        node("Slice", ["p", "one", "far", "zero"], ["a"]),
        node("Slice", ["p", "zero", "minus", "zero"], ["b"]),
        node("Sub", ["a", "b"], ["d"]),
        node("Equal", ["d", "k1"], ["e"]),
        node("Not", ["e"], ["ne"]),
        node("Cast", ["ne"], ["c"], to=INT64),
        node("CumSum", ["c", "k0"], ["y"]),
    ]
    x, y = np.zeros(4, np.float32), {"y": np.zeros(3, np.int64)}
    yield case("CumSum_of_positions", nodes, {"x": x}, y, opset=18, extents_x=["n"])
    nodes, x = [node("Shape", ["x"], ["s"]), node("CumSum", ["s", "a"], ["y"])], np.zeros((4, 3), np.float32)
    axis = {"a": np.array(0)}
    yield case("CumSum_of_a_shape", nodes, {"x": x}, {"y": i64(4, 7)}, constants=axis, extents_x=["n", "m"])


def loops():
    count, go_on = helper.make_tensor_value_info("i", INT64, []), helper.make_tensor_value_info("c", BOOL, [])
    body = helper.make_graph(
        [node("Identity", ["c"], ["d"]), node("Add", ["v", "one"], ["w"])],
        "body",
        [count, go_on, floats("v", [2])],
        [helper.make_tensor_value_info("d", BOOL, []), floats("w", [2])],
        [tensor("one", np.float32(1))],
    )
    nodes, x = [node("Loop", ["n", "t", "x"], ["y"], body=body)], f32(1, 2)
    for rounds in (3, 0):
        told = {"n": np.array(rounds), "t": np.array(True)}
        yield case(f"Loop_{rounds}", nodes, {"x": x}, {"y": x + rounds}, constants=told)
        given = {"x": x, "n": np.array(rounds)}
        yield case(f"Loop_{rounds}_at_run", nodes, given, {"y": x + rounds}, constants={"t": np.array(True)})
    step = helper.make_graph(
        [node("Add", ["s", "e"], ["t"]), node("Identity", ["t"], ["o"])],
        "step",
        [floats("s", ["b"]), floats("e", ["b"])],
        [floats("t", ["b"]), floats("o", ["b"])],
    )
    nodes = [node("Scan", ["z", "x"], ["t", "y"], body=step, num_scan_inputs=1)]
    z, x = np.zeros(3, np.float32), normal(RANDOM, 4, 3)
    expected = {"t": x.sum(0), "y": np.cumsum(x, 0)}
    yield case("Scan_open_batch", nodes, {"z": z, "x": x}, expected, extents_z=["b"], extents_x=["n", "b"])


def recurrent():
    """Without a first state, and with a batch that is known at run only."""
    for kind, gates in (("LSTM", 4), ("GRU", 3), ("RNN", 1)):
        nodes = [node(kind, ["x", "w", "r", "b"], ["", "y"], hidden_size=5)]
        shapes = {"w": (1, 5 * gates, 3), "r": (1, 5 * gates, 5), "b": (1, 10 * gates)}
        weights = {key: normal(RANDOM, *shape) / np.float32(4) for key, shape in shapes.items()}
        x = normal(RANDOM, 6, 2, 3)
        for name, batch in (("open", "b"), ("fixed", 2)):
            how = dict(opset=14, constants=weights, extents_x=["t", batch, 3], rtol=1e-4, atol=1e-5)
            yield case(f"{kind}_{name}_batch", nodes, {"x": x}, onnxruntime(y=FLOAT), **how)


def signals():
    """Real signals with and without their last axis, which is one."""
    x, w = np.sin(np.arange(64) / 3).astype(np.float32)[None], np.hanning(16).astype(np.float32)
    spectrum = np.stack([np.fft.rfft(x[0, start : start + 16] * w) for start in range(0, 49, 8)])
    y = {"y": np.stack([spectrum.real, spectrum.imag], -1)[None].astype(np.float32)}
    for name, signal in (("rank_2", x), ("rank_3", x[..., None])):
        nodes, how = [node("STFT", ["x", "hop", "w"], ["y"])], dict(constants={"hop": np.array(8), "w": w})
        yield case(f"STFT_{name}", nodes, {"x": signal}, y, rtol=1e-3, atol=1e-3, **how)


def unsorted():
    """Casts at the end, as onnxconverter-common appends them."""
    nodes = [
        node("Add", ["xh", "one"], ["yh"]),
        node("Cast", ["x"], ["xh"], to=HALF),
        node("Cast", ["yh"], ["y"], to=FLOAT),
    ]
    x = f32(1, 2, 3)
    yield case("unsorted", nodes, {"x": x}, {"y": x + 1}, constants={"one": np.float16(1)})


def four_bit_weights():
    """ONNX Runtime's 4-bit quantiser in its QDQ form."""
    packed = RANDOM.randint(0, 256, 64 * 16 // 2).astype(np.uint8).tobytes()
    weights = helper.make_tensor("w", TensorProto.INT4, [64, 16], packed, raw=True)
    scales = RANDOM.rand(2, 16).astype(np.float32) / 10
    nodes = [
        node("DequantizeLinear", ["w", "s"], ["d"], axis=0, block_size=32),
        node("MatMul", ["x", "d"], ["y"]),
    ]
    how = dict(opset=21, ir=10, constants={"w": weights, "s": scales}, extents_x=[1, "n", 64], rtol=1e-4, atol=1e-4)
    return case("int4_weights", nodes, {"x": normal(RANDOM, 1, 3, 64)}, onnxruntime(y=FLOAT), **how)
