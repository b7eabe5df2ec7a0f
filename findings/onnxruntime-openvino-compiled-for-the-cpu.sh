#!/usr/bin/env bash
# onnxruntime-openvino 1.24.1: with `ep.context_enable` the provider writes a compiled model for the device CPU, and the
# same version can't open it again, with the blob inside or beside: "Unhandled exception type: 1". With `cache_dir` each
# session compiles again and writes the very file again that it could have read.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime-openvino==1.24.1 onnx==1.23.2 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import pathlib
import sys
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

here = pathlib.Path(sys.argv[1])
shape = [3, 8]
ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in "xy"]
nodes = [helper.make_node("Exp", ["x"], ["e"]), helper.make_node("Neg", ["e"], ["y"])]
graph = helper.make_graph(nodes, "g", ports[:1], ports[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()


def run(model, entries=(), **more):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    for key, value in entries:
        options.add_session_config_entry(key, value)
    provider = [("OpenVINOExecutionProvider", {"device_type": "CPU", **more})]
    session = onnxruntime.InferenceSession(model, options, providers=provider)
    return session.run(None, {"x": np.zeros(shape, np.float32)})[0][0, 0]


seen = []
for embed in "10":
    file = here / f"context{embed}.onnx"
    entries = [("ep.context_enable", "1"), ("ep.context_file_path", str(file)), ("ep.context_embed_mode", embed)]
    assert run(model, entries) == -1 and file.exists()
    try:
        result = run(str(file))
    except Exception as error:
        result = str(error)
    print("inside" if embed == "1" else "beside", "->", result)
    seen.append(result)
cache = here / "cache"
cache.mkdir()
written = []
weight = numpy_helper.from_array(np.eye(8, dtype=np.float32), "w")
nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], [weight])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9).SerializeToString()
for _ in range(2):
    run(model, cache_dir=str(cache))
    written.append([(file.name, file.stat().st_mtime_ns) for file in cache.iterdir()])
print("cache_dir ->", written)
# Seen: one file, written twice.
assert len(written[0]) == len(written[1]) == 1 and written[0][0][0] == written[1][0][0] and written[0] != written[1]
# Seen: twice "[ONNXRuntimeError] : 11 : EP_FAIL : Unhandled exception type: 1".
assert all("Unhandled exception type: 1" in str(result) for result in seen)
PYTHON
"$work/venv/bin/python" "$work/try.py" "$work"
