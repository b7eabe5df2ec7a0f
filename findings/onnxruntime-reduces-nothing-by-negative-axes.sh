#!/usr/bin/env bash
# ONNX Runtime 1.31.1: ReduceSum and its kin give an input that has an extent of 0 back in the shape that it has, where the
# axis is counted from the end; the same axis counted from the start is reduced. Without optimisations, too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
"$work/venv/bin/python" - <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper


def shape(op, axis):
    """What comes of 2 by 0 by 3."""
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "xy"]
    axes = [numpy_helper.from_array(np.int64([axis]), "a")]
    graph = helper.make_graph([helper.make_node(op, ["x", "a"], ["y"])], "g", ports[:1], ports[1:], axes)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    return session.run(None, {"x": np.zeros((2, 0, 3), np.float32)})[0].shape


for op in ("ReduceSum", "ReduceMax", "ReduceL2"):
    seen = shape(op, 1), shape(op, -2), shape(op, 2), shape(op, -1)
    print(op, "by axis 1, -2, 2, -1:", *seen)
    # Seen: right, the input's, right, the input's.
    assert seen == ((2, 1, 3), (2, 0, 3), (2, 0, 1), (2, 0, 3))
PYTHON
