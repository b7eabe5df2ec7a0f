#!/usr/bin/env bash
# ONNX Runtime 1.31.1: Pad with 0 before MaxPool becomes the pads of the pool, which are minus infinity: where all numbers
# are negative, 0 is missing at the edges. Without optimisations it is right, and without the optimiser Pad_Fusion, too.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

nodes = [
    helper.make_node("Pad", ["x", "p"], ["q"]),
    helper.make_node("MaxPool", ["q"], ["y"], kernel_shape=[2]),
]
x, pads = np.float32([[[-3, -2, -5]]]), numpy_helper.from_array(np.int64([0, 0, 1, 0, 0, 1]), "p")
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, length]) for name, length in zip("xy", (3, 4))]
graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [pads])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def run(disabled=(), level=onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    how = dict(providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled))
    return onnxruntime.InferenceSession(model, options, **how).run(None, {"x": x})[0].ravel().tolist()


plain, apart, fused = run(level=onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL), run(["Pad_Fusion"]), run()
print(f"without optimisations {plain}, without the fusion {apart}, with it {fused}")
# Seen: [0, -2, -2, 0] twice; [-3, -2, -2, -5].
assert plain == apart == [0, -2, -2, 0] and fused == [-3, -2, -2, -5]
PYTHON
"$work/venv/bin/python" "$work/try.py"
