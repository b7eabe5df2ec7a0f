#!/usr/bin/env bash
# onnxruntime-openvino 1.24.1 on the device CPU: NaN does not come through Relu and Max. Relu gives 0, and Max gives the
# second number where the first is NaN; ONNX Runtime's own kernels give NaN for all of them.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime-openvino==1.24.1 onnx==1.23.2 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

nan = np.float32("nan")


def run(kind, provider, **inputs):
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, array.shape) for name, array in inputs.items()]
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    graph = helper.make_graph([helper.make_node(kind, list(inputs), ["y"])], "one", ports, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    options = onnxruntime.SessionOptions()
    if provider[0].startswith("OpenVINO"):
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=[provider]).run(None, inputs)[0]


OPENVINO, CPU = ("OpenVINOExecutionProvider", {"device_type": "CPU"}), ("CPUExecutionProvider", {})
seen = {}
for kind, inputs in (
    ("Relu", {"a": np.array([nan, 1, -2], np.float32)}),
    ("Max", {"a": np.array([nan, 1, 2], np.float32), "b": np.array([1, nan, 3], np.float32)}),
):
    for provider in (OPENVINO, CPU):
        seen[kind, provider[0]] = run(kind, provider, **inputs)
        print(kind, provider[0], seen[kind, provider[0]])
expected = {"Relu": ([0, 1, 0], [nan, 1, 0]), "Max": ([1, nan, 3], [nan, nan, 3])}
for kind, (openvino, cpu) in expected.items():
    assert np.array_equal(seen[kind, OPENVINO[0]], np.array(openvino, np.float32), equal_nan=True)
    assert np.array_equal(seen[kind, CPU[0]], np.array(cpu, np.float32), equal_nan=True)
PYTHON
"$work/venv/bin/python" "$work/try.py"
