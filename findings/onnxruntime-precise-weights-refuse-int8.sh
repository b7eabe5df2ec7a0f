#!/usr/bin/env bash
# ONNX Runtime 1.31.1: with `session.x64quantprecision` 1, a model whose QLinearMatMul or QLinearConv takes INT8 on both
# sides can't be loaded where a weight is beyond 64: NOT_IMPLEMENTED, no kernel of INT8 by UINT8, which the weights are
# turned into. Without the entry the same models are loaded and computed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

ENDS = {
    **{"xs": np.float32(0.02), "xz": np.int8(10)},
    **{"ws": np.float32(0.01), "wz": np.int8(0)},
    **{"ys": np.float32(0.05), "yz": np.int8(-20)},
}


def model(op, x, w):
    names = ["x", "xs", "xz", "w", "ws", "wz", "ys", "yz"]
    ports = [helper.make_tensor_value_info(name, TensorProto.INT8, of) for name, of in (("x", x), ("y", None))]
    told = {**ENDS, "w": np.full(w, 100, np.int8)}
    told = [numpy_helper.from_array(np.asarray(value), name) for name, value in told.items()]
    graph = helper.make_graph([helper.make_node(op, names, ["y"])], "g", ports[:1], ports[1:], told)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


def load(op, x, w, value):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.add_session_config_entry("session.x64quantprecision", value)
    try:
        session = onnxruntime.InferenceSession(model(op, x, w), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        return str(error).split(" (node")[0]
    session.run(None, {"x": np.ones(x, np.int8)})
    return "computed"


for op, x, w in (("QLinearMatMul", [3, 4], [4, 5]), ("QLinearConv", [1, 2, 4, 4], [3, 2, 2, 2])):
    without, with_it = load(op, x, w, "0"), load(op, x, w, "1")
    print(f"{op}: {without}; with the entry: {with_it}")
    # Seen: computed; NOT_IMPLEMENTED : Failed to find kernel for QLinearMatMul(10), or com.microsoft.QLinearConv(1).
    assert without == "computed" and "Failed to find kernel" in with_it and op in with_it
PYTHON
"$work/venv/bin/python" "$work/try.py"
