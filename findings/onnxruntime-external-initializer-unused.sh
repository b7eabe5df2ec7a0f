#!/usr/bin/env bash
# ONNX Runtime 1.31.1: a model may have a weight that no operator uses, and loads. Given that weight by
# add_external_initializers (the C API's AddExternalInitializers), the same model is refused: it was dropped before it is
# looked for. One weight of many that is unused is enough, and the message names it without saying so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
cat > "$work/try.py" <<'PYTHON'
import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

x = np.ones(256, np.float32)
two = onnxruntime.OrtValue.ortvalue_from_numpy(2 * x)


def run(inputs, outside):
    weight = numpy_helper.from_array(x, "w")
    if outside:
        weight.ClearField("raw_data")
        weight.data_location = TensorProto.EXTERNAL
        weight.external_data.add(key="location", value="w")
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [256]) for name in "xy"]
    node = helper.make_node("Sum", inputs, ["y"])
    graph = helper.make_graph([node], "one", ports[:1], ports[1:], [weight])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    if outside:
        options.add_external_initializers(["w"], [two])
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0][0]


print("used, outside ->", run(["x", "w"], True))
print("unused, inside ->", run(["x"], False))
try:
    refused = None
    run(["x"], True)
except Exception as error:
    refused = str(error)
print("unused, outside ->", refused)
# Seen: 3.0, 1.0, "... ReplaceInitializedTensorImpl Failed to find existing initializer with name w."
assert run(["x", "w"], True) == 3 and run(["x"], False) == 1
assert refused and "Failed to find existing initializer with name w" in refused
PYTHON
"$work/venv/bin/python" "$work/try.py"
