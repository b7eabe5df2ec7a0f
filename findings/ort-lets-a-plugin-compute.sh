#!/usr/bin/env bash
# ort 2.0.0-rc.15 with `api-22` or later: every SessionBuilder asks ONNX Runtime to choose a device by itself
# (MaxEfficiency). A session that names no provider is given to a plugin once one is registered, here onnxruntime-qnn 2.7.0
# with the onnxruntime 1.31.1 of PyPI, and can't be made; from Python the same session is computed by the CPU.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnxruntime==1.31.1 onnx==1.23.2 numpy==2.4.6
"$work/venv/bin/pip" install -q --disable-pip-version-check --no-deps --only-binary :all: onnxruntime-qnn==2.7.0
packages=$("$work/venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
plugin="$packages/onnxruntime_qnn/libonnxruntime_providers_qnn.so"
"$work/venv/bin/python" - "$work/model.onnx" "$plugin" <<'PYTHON'
import sys
import onnx
import onnxruntime
from onnx import TensorProto, helper

ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", ports[:1], ports[1:])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), sys.argv[1])
onnxruntime.register_execution_provider_library("QNNExecutionProvider", sys.argv[2])
print("Python:", onnxruntime.InferenceSession(sys.argv[1]).get_providers())
PYTHON
mkdir -p "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "try"
version = "0.0.0"
edition = "2024"

[dependencies]
ort = { version = "=2.0.0-rc.15", default-features = false, features = ["api-22", "load-dynamic", "std"] }
TOML
cat > "$work/src/main.rs" <<'RUST'
use ort::{environment::Environment, session::Session};

fn load(environment: &Environment, model: &[u8]) -> String {
    let loaded = Session::builder(environment).and_then(|mut builder| builder.commit_from_memory(model).map(drop));
    loaded.map_or_else(|error| error.to_string(), |()| "loaded".into())
}

fn main() {
    let arguments: Vec<_> = std::env::args().collect();
    let model = std::fs::read(&arguments[2]).unwrap();
    let environment = ort::init_from(&arguments[1]).unwrap().build().unwrap();
    let before = load(&environment, &model);
    environment.register_ep_library("QNNExecutionProvider", &arguments[3]).unwrap();
    let after = load(&environment, &model);
    println!("before the plugin: {before}\nwith the plugin: {after}");
    // Seen: loaded; Could not determine default backend path for device.
    assert_eq!(before, "loaded");
    assert!(after.contains("Could not determine default backend path for device"));
}
RUST
cd "$work"
cargo run -q -- "$packages"/onnxruntime/capi/libonnxruntime.so.1.31.1 "$work/model.onnx" "$plugin"
