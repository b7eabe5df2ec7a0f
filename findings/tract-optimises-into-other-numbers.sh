#!/usr/bin/env bash
# tract-onnx 0.23.9: three models give other numbers once decluttered, as `into_optimized` does first; as loaded they are
# right. A constant by channel minus a convolution comes out as their sum, and one divided by a convolution as a convolution
# by what is divided by its weights and bias, here infinities (`Conv`, ops/cnn/conv/conv.rs). `Mod` with a left operand that
# is broadcast swaps its operands, since `rem` counts as commutative (ops/math/mod.rs). A `Slice` of step 2 is moved before
# a `Softmax` along the same axis, which then sums over half of it (ops/downsample).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q --disable-pip-version-check onnx==1.23.2 numpy==2.4.6
"$work/venv/bin/python" - "$work" <<'PYTHON'
import sys
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

node = helper.make_node


def save(name, nodes, extents, **constants):
    ports = [helper.make_tensor_value_info(key, TensorProto.FLOAT, of) for key, of in (("x", extents), ("y", None))]
    told = [numpy_helper.from_array(np.asarray(value), key) for key, value in constants.items()]
    graph = helper.make_graph(nodes, "g", ports[:1], ports[1:], told)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, f"{sys.argv[1]}/{name}.onnx")


conv = node("Conv", ["x", "w"], ["q"])
told = {"w": np.float32([[[2, 2]], [[4, 4]]]), "c": np.float32([[100], [1000]])}
for op in ("Sub", "Div"):
    save(op, [conv, node(op, ["c", "q"], ["y"])], [1, 1, 3], **told)
save("Mod", [node("Mod", ["c", "x"], ["y"], fmod=1)], [2, 3], c=np.float32([20, 19, 37]))
ends = {"s": np.int64([0]), "e": np.int64([4]), "a": np.int64([1]), "t": np.int64([2])}
nodes = [node("Softmax", ["x"], ["q"], axis=1), node("Slice", ["q", *ends], ["y"])]
save("Softmax", nodes, [1, 4], **ends)
PYTHON
mkdir "$work/src"
cat > "$work/Cargo.toml" <<'TOML'
[package]
name = "try"
version = "0.0.0"
edition = "2024"

[dependencies]
tract-onnx = { version = "=0.23.9", default-features = false }
TOML
cat > "$work/src/main.rs" <<'RUST'
use tract_onnx::prelude::*;

/// What a model gives for 1, 2, 3 and so on, to three digits.
fn run(model: TypedModel) -> TractResult<String> {
    let extents = model.input_fact(0)?.shape.as_concrete().unwrap().to_vec();
    let x: Vec<f32> = (1..=extents.iter().product::<usize>()).map(|number| number as f32).collect();
    let x = tract_ndarray::ArrayD::from_shape_vec(extents, x)?.into_tensor();
    let y = model.into_runnable()?.run(tvec!(x.into_tvalue()))?.remove(0);
    let y: Vec<_> = y.to_plain_array_view::<f32>()?.iter().map(|number| format!("{number:.3}")).collect();
    Ok(y.join(" "))
}

fn main() -> TractResult<()> {
    let seen = [
        // 100 - 6, 100 - 10, 1000 - 12, 1000 - 20.
        ("Sub", "94.000 90.000 988.000 980.000", "106.000 110.000 1012.000 1020.000"),
        ("Div", "16.667 10.000 83.333 50.000", "inf inf inf inf"),
        // [20, 19, 37] by [1, 2, 3] and [4, 5, 6].
        ("Mod", "0.000 1.000 1.000 0.000 4.000 1.000", "1.000 2.000 3.000 4.000 5.000 6.000"),
        // The first and the third of four.
        ("Softmax", "0.032 0.237", "0.119 0.881"),
    ];
    for (name, right, wrong) in seen {
        let path = format!("{}/{name}.onnx", std::env::args().nth(1).unwrap());
        let load = || tract_onnx::onnx().model_for_path(&path)?.into_typed();
        let (loaded, optimised) = (run(load()?)?, run(load()?.into_optimized()?)?);
        println!("{name}: as loaded {loaded}; optimised {optimised}");
        assert_eq!((loaded.as_str(), optimised.as_str()), (right, wrong));
    }
    Ok(())
}
RUST
cd "$work"
CARGO_TARGET_DIR="$work/target" cargo run -q -- "$work"
