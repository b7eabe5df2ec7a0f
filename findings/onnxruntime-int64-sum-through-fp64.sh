#!/usr/bin/env bash
# ONNX Runtime 1.31.1: ReduceSum of INT64 sums in FP64: 2^53 + 3 comes out as 2^53 + 4 or 2^53 + 2, though Add of the same
# numbers is exact. Integers above 2^53 are lost in silence.
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


node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)
total = int(run(node, TensorProto.INT64, 13, x=np.array([2**53, 3], np.int64)))
print("ReduceSum [2^53, 3] =", total, "; exact:", 2**53 + 3)
node = helper.make_node("Add", ["a", "b"], ["y"])
added = int(run(node, TensorProto.INT64, 14, a=np.array(2**53, np.int64), b=np.array(3, np.int64)))
print("Add 2^53, 3 =", added)
# Seen: 9007199254740994 or 9007199254740996 for the sum, 9007199254740995 for Add.
assert total != 2**53 + 3 and added == 2**53 + 3
PYTHON
"$work/venv/bin/python" "$work/try.py"
