#!/usr/bin/env bash
# ONNX Runtime 1.31.1: an allocator that is registered with an arena configuration is bounded by its `max_mem` only when
# the memory info beside it is of type ORT_ARENA_ALLOCATOR. With ORT_DEVICE_ALLOCATOR, which is what the default memory
# info is, the configuration is accepted and ignored: a model allocates 64 MiB under a limit of 8.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cat > "$work/arena.py" <<'PYTHON'
import sys

import numpy as np
import onnxruntime as ort
from onnx import TensorProto, helper

kind = getattr(ort.OrtAllocatorType, sys.argv[1])
info = ort.OrtMemoryInfo("Cpu", kind, 0, ort.OrtMemType.DEFAULT)
ort.create_and_register_allocator(info, ort.OrtArenaCfg({"max_mem": 8 << 20}))
port = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n"])
graph = helper.make_graph([helper.make_node("Exp", ["x"], ["y"])], "exp", [port("x")], [port("y")])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
options = ort.SessionOptions()
options.add_session_config_entry("session.use_env_allocators", "1")
options.log_severity_level = 4
session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
try:
    session.run(None, {"x": np.zeros(16 << 20, np.float32)})
    print("allocated 64 MiB")
except Exception as error:
    print("refused" if "Available memory" in str(error) else error)
PYTHON
device=$("$work/venv/bin/python" "$work/arena.py" ORT_DEVICE_ALLOCATOR)
arena=$("$work/venv/bin/python" "$work/arena.py" ORT_ARENA_ALLOCATOR)
echo "ORT_DEVICE_ALLOCATOR, limit 8 MiB: $device"
echo "ORT_ARENA_ALLOCATOR, limit 8 MiB: $arena"
# Seen: "allocated 64 MiB" and "refused".
[ "$device" = "allocated 64 MiB" ] && [ "$arena" = refused ]
