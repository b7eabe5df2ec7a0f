"""Writes ONNX's backend node tests as files that the conformance runner reads.

    python tests/conformance/cases.py [DIRECTORY]

A case in scope becomes DIRECTORY/NAME/ with model.onnx, input_N.pb and output_N.pb, each a
TensorProto. index.json lists all cases. It is written last: where it stands, they do too, and when
it is of this ONNX and this script, nothing is done.
"""

import argparse
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper
from onnx.backend.test.case import node

# Whole domains that are no inference on tensors.
FOREIGN = {"ai.onnx.ml": "ai.onnx.ml", "ai.onnx.preview.training": "training"}


def main():
    directory = parse().directory
    index, key = directory / "index.json", current()
    if index.exists() and json.loads(index.read_text())["key"] == key:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    cases = [write(case, directory / case.name) for case in collect()]
    whole = directory / "index.json.new"
    whole.write_text(json.dumps({"key": key, "cases": sorted(cases, key=lambda case: case["name"])}, indent=0))
    whole.rename(index)
    print(f"{directory}: {len(cases)} cases of ONNX {onnx.__version__}")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, nargs="?", default=Path("target/conformance/cases"))
    return parser.parse_args()


def current():
    script = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()
    return f"onnx {onnx.__version__}, numpy {np.__version__}, script {script}"


def collect():
    # Most tests seed; those that do not must not differ from one machine to the next.
    np.random.seed(0)
    # Some overflow and divide by zero on purpose.
    with np.errstate(all="ignore"):
        return node.collect_testcases()


def write(case, directory):
    """Writes one case; its line of the index."""
    reason = out_of_scope(case.model.graph)
    # Of node tests each has one.
    [(inputs, outputs)] = case.data_sets
    if reason is None:
        directory.mkdir()
        (directory / "model.onnx").write_bytes(case.model.SerializeToString())
        write_tensors(directory, "input", inputs, case.model.graph.input)
        write_tensors(directory, "output", outputs, case.model.graph.output)
    return {
        "name": case.name,
        "op": operator(case),
        "out_of_scope": reason,
        "rtol": case.rtol,
        "atol": case.atol,
        "inputs": len(inputs),
        "outputs": len(outputs),
    }


def out_of_scope(graph):
    """Why a case is no inference on tensors of numbers; None when it is."""
    for vertex in graph.node:
        if vertex.domain in FOREIGN:
            return FOREIGN[vertex.domain]
    for value in [*graph.input, *graph.output]:
        kind = value.type.WhichOneof("value")
        if kind != "tensor_type":
            return kind.removesuffix("_type")
        if value.type.tensor_type.elem_type == TensorProto.STRING:
            return "string"
    return None


def operator(case, tested={}):
    """What is tested. The expansion of a function follows its own case, and holds the names of others."""
    first = case.model.graph.node[0]
    return tested.setdefault(case.name.split("_expanded")[0], first.op_type)


def write_tensors(directory, stem, values, ports):
    for number, (value, port) in enumerate(zip(values, ports, strict=True)):
        tensor = value if isinstance(value, TensorProto) else numpy_helper.from_array(value, port.name)
        (directory / f"{stem}_{number}.pb").write_bytes(tensor.SerializeToString())


if __name__ == "__main__":
    main()
