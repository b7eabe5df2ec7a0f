#!/usr/bin/env bash
# ONNX Runtime 1.31.1: TopK with one NaN depends on where the NaN stands. At index 0 and 3 it is left out of the largest
# five of nine, at index 8 it is the third of them, between numbers that are larger and smaller.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper


def run(node, kind, opset, **inputs):
    kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
    ports = [helper.make_tensor_value_info(n, kinds[a.dtype], a.shape) for n, a in inputs.items()]
    results = [helper.make_tensor_value_info(name, kind, None) for name in node.output[:1]]
    graph = helper.make_graph([node], "one", ports, results)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return session.run(None, inputs)[0]


places = {}
for place in (0, 3, 8):
    x = np.random.RandomState(0).randn(1, 9).astype(np.float32)
    x[0, place] = np.nan
    node = helper.make_node("TopK", ["x", "k"], ["y", "i"])
    top = run(node, TensorProto.FLOAT, 11, x=x, k=np.array([5], np.int64))[0]
    places[place] = np.flatnonzero(np.isnan(top)).tolist()
    print("NaN at", place, "->", top)
# Seen: {0: [], 3: [], 8: [2]}.
assert places == {0: [], 3: [], 8: [2]}
PYTHON
"$work/venv/bin/python" "$work/try.py"
