#!/usr/bin/env bash
# onnxruntime-qnn 2.7.0 on x86-64: a session that asks for the backend `htp`, Qualcomm's NPU, computes on a machine without
# one, with ONNX Runtime's CPU kernels switched off: the wheel's libQnnHtp.so is a simulator there. Only the type of the
# provider's device, CPU, tells.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
"$work/venv/bin/pip" install -q --disable-pip-version-check --no-deps --only-binary :all: onnxruntime-qnn==2.7.0
cat > "$work/try.py" <<'PYTHON'
import glob
import sysconfig
import numpy as np
import onnxruntime
from onnx import TensorProto, helper

library = glob.glob(sysconfig.get_path("purelib") + "/onnxruntime_qnn/libonnxruntime_providers_qnn.so")[0]
onnxruntime.register_execution_provider_library("QNNExecutionProvider", library)
devices = [device for device in onnxruntime.get_ep_devices() if device.ep_name == "QNNExecutionProvider"]
types = [str(device.device.type) for device in devices]
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", ports[:1], ports[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
options = onnxruntime.SessionOptions()
options.add_provider_for_devices(devices[:1], {"backend_type": "htp"})
options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
session = onnxruntime.InferenceSession(model.SerializeToString(), options)
y = session.run(None, {"x": np.array([[0, 1, -2, 64]], np.float32)})[0]
print("devices:", types, "htp computes:", y)
# Seen: one device, of type CPU; [[0, 2, -4, 128]].
assert len(types) == 1 and "CPU" in types[0]
assert np.array_equal(y, np.array([[0, 2, -4, 128]], np.float32))
PYTHON
"$work/venv/bin/python" "$work/try.py"
