"""Writes models of packages, with inputs and what ONNX Runtime answers, as files that the conformance runner reads.

    python tests/zoo/zoo.py [--small] [MODEL …]

models.toml says which. Each becomes target/zoo/cases/NAME/ in the layout of tests/conformance/cases.py. What was
written from the same line of the table by the same libraries is kept.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tomllib
import zlib
from pathlib import Path

import fetch
import made
import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

HERE, ZOO = Path(__file__).parent, Path("target/zoo")
# What scikit-learn's and LightGBM's models here were taught.
LEARNED = {"X": {"shape": [20, 4], "low": 0.0}}
# Operators whose products are of 8 bits.
BYTES = ("ConvInteger", "DynamicQuantizeLSTM", "MatMulInteger", "QGemm", "QLinearConv", "QLinearMatMul")
STATES = ("state", "cache", "hidden", "cell", "h0", "c0", "h", "c")


def main():
    wanted, table = parse(), tomllib.loads((HERE / "models.toml").read_text())
    for directory in ("files", "made", "cases"):
        (ZOO / directory).mkdir(parents=True, exist_ok=True)
    onnxruntime.set_default_logger_severity(4)
    failed = []
    for entry in table["models"]:
        if (not wanted.small or entry.get("small")) and (not wanted.models or entry["name"] in wanted.models):
            try:
                write(table, entry)
            except Exception as error:
                # One tool that gives up hides no other model.
                failed.append(f"{entry['name']}: {error}")
    index(table)
    sys.exit("\n".join(failed) or None)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the twelve smallest alone")
    parser.add_argument("models", nargs="*")
    return parser.parse_args()


def index(table):
    """Lists what is there, last."""
    rows = [json.loads(row.read_text()) for row in sorted((ZOO / "cases").glob("*/row.json"))]
    keys = {entry["name"]: key(table, entry) for entry in table["models"]}
    rows = [row for row in rows if keys.get(row["name"]) == row["key"]]
    whole = ZOO / "cases/index.json.new"
    whole.write_text(json.dumps({"cases": rows}, indent=0))
    whole.rename(ZOO / "cases/index.json")
    print(f"{ZOO / 'cases'}: {len(rows)} of {len(keys)} models")


def key(table, entry):
    """What a case depends on."""
    versions = [table["packages"].get(entry.get("package")), table["npm"].get(entry.get("package"))]
    scripts = [(HERE / name).read_text() for name in ("zoo.py", "fetch.py", "made.py")]
    words = json.dumps([entry, versions, onnx.__version__, onnxruntime.__version__, np.__version__, scripts])
    return hashlib.sha256(words.encode()).hexdigest()


def write(table, entry):
    place = ZOO / "cases" / entry["name"]
    row = place / "row.json"
    if row.exists() and json.loads(row.read_text())["key"] == key(table, entry):
        return
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    source = path(table, entry)
    link(source, place / "model.onnx")
    for beside in source.parent.glob(f"{source.name}.data"):
        link(beside, place / beside.name)
    inputs = draw(table, entry, source)
    expected = answers(source, inputs)
    write_tensors(place, "input", inputs)
    write_tensors(place, "output", expected)
    share = entry.get("tolerance", 1e-3)
    line = {
        "name": entry["name"],
        "op": entry.get("package", entry.get("made")),
        "out_of_scope": None,
        "rtol": 0.0,
        "atol": share,
        "atols": [share * largest(value) for value in expected.values()],
        "inputs": len(inputs),
        "outputs": len(expected),
        "given": list(inputs),
        "large": not entry.get("small", False),
        "key": key(table, entry),
    }
    row.write_text(json.dumps(line))
    print(entry["name"], flush=True)


def path(table, entry):
    """The file of a model that was shipped, or that a tool makes now."""
    if "made" not in entry:
        return fetch.file(table, entry, ZOO / "files")
    of = [other for other in table["models"] if other["name"] == entry.get("of")]
    source = path(table, of[0]) if of else None
    target = ZOO / "made" / f"{entry['name']}.onnx"
    made.TOOLS[entry["made"]](source, target, lambda: draw(table, of[0], source))
    return target


def link(source, target):
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def draw(table, entry, source):
    """Inputs that mean something to the model, the same ones each time; what is made takes those of its source."""
    for other in table["models"]:
        if other["name"] == entry.get("of"):
            entry = other
    told = entry.get("inputs", LEARNED if entry.get("made") else {})
    graph = onnx.load(source, load_external_data=False).graph
    constants = {constant.name for constant in graph.initializer}
    ports = [port for port in graph.input if port.name not in constants]
    return {port.name: one(port, entry.get("extents", {}), told.get(port.name, {})) for port in ports}


def one(port, extents, how):
    kind = port.type.tensor_type
    shape = how.get("shape")
    if shape is None:
        shape = [
            axis.dim_value if axis.HasField("dim_value") else extents.get(axis.dim_param, 1) for axis in kind.shape.dim
        ]
    dtype = helper.tensor_dtype_to_np_dtype(kind.elem_type)
    random = np.random.default_rng(zlib.crc32(port.name.encode()))
    if "value" in how:
        return np.full(shape, how["value"], dtype)
    if "below" in how:
        return random.integers(0, how["below"], shape).astype(dtype)
    if dtype == bool or "mask" in port.name:
        return np.ones(shape, dtype)
    if dtype.kind in "iu":
        return random.integers(0, 2, shape).astype(dtype)
    if port.name in STATES or any(word in port.name for word in STATES[:4]):
        return np.zeros(shape, dtype)
    return random.uniform(how.get("low", -1), how.get("high", 1), shape).astype(dtype)


def answers(source, inputs):
    """ONNX Runtime's own optimiser rounds elsewhere than the model says: without it. But products of 8 bits saturate on
    processors without VNNI unless the optimiser may turn weights into unsigned ones."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if any(node.op_type in BYTES for node in nodes(onnx.load(source, load_external_data=False).graph)):
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    found = dict(zip([output.name for output in session.get_outputs()], session.run(None, inputs)))
    return {name: value if isinstance(value, np.ndarray) else under_zipmap(value) for name, value in found.items()}


def nodes(graph):
    """The operators of a graph, those in its branches and loops too."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from nodes(attribute.g)


def under_zipmap(rows):
    """The tensor that a ZipMap makes dictionaries of."""
    return np.array([list(row.values()) for row in rows], np.float32)


def largest(value):
    """What a tolerance is a share of. Whole numbers are equal, but those of 8 bits, which round."""
    value = np.asarray(value)
    if value.dtype.kind != "f":
        return 0.0
    finite = np.abs(value[np.isfinite(value)].astype(np.float64))
    return float(finite.max()) if finite.size else 0.0


def write_tensors(place, stem, values):
    for number, (name, value) in enumerate(values.items()):
        tensor = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        (place / f"{stem}_{number}.pb").write_bytes(tensor.SerializeToString())


if __name__ == "__main__":
    main()
