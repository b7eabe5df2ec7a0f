//! Activations, with or without a bias, and what is ONNX's own under another domain.

use super::super::build::{Builder, Outcome};
use burst_host::nouns::Attribute;

/// The operator of the same name in ONNX's own domain.
pub fn standard(builder: &mut Builder<'_>) -> Outcome {
    let (op, inputs) = (builder.op, builder.op.inputs.clone());
    builder.become_op(&op.kind, inputs, op.attributes.clone())
}

pub fn gelu(builder: &mut Builder<'_>) -> Outcome {
    let x = builder.needed(0)?;
    let y = exact(builder, &x)?;
    builder.done(&y)
}

/// 0.5 · x · (1 + erf(x / √2))
fn exact(builder: &mut Builder<'_>, x: &str) -> Result<String, String> {
    let (root, one, half) =
        (builder.number(std::f32::consts::SQRT_2, x)?, builder.number(1.0, x)?, builder.number(0.5, x)?);
    let part = builder.add("Div", &[x, &root], &[]);
    let part = builder.add("Erf", &[&part], &[]);
    let part = builder.add("Add", &[&part, &one], &[]);
    let part = builder.add("Mul", &[x, &part], &[]);
    Ok(builder.add("Mul", &[&part, &half], &[]))
}

/// The first two inputs added, if there are two.
fn biased(builder: &mut Builder<'_>) -> Result<String, String> {
    let x = builder.needed(0)?;
    Ok(match builder.input(1) {
        Some(bias) => builder.add("Add", &[&x, &bias], &[]),
        None => x,
    })
}

pub fn bias_gelu(builder: &mut Builder<'_>) -> Outcome {
    let x = biased(builder)?;
    let y = exact(builder, &x)?;
    builder.done(&y)
}

/// 0.5 · x · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))
pub fn fast_gelu(builder: &mut Builder<'_>) -> Outcome {
    let x = biased(builder)?;
    let (cubic, root) = (builder.number(0.044_715, &x)?, builder.number(0.797_884_6, &x)?);
    let (one, half) = (builder.number(1.0, &x)?, builder.number(0.5, &x)?);
    let square = builder.add("Mul", &[&x, &x], &[]);
    let part = builder.add("Mul", &[&square, &cubic], &[]);
    let part = builder.add("Add", &[&part, &one], &[]);
    let part = builder.add("Mul", &[&part, &x], &[]);
    let part = builder.add("Mul", &[&part, &root], &[]);
    let part = builder.add("Tanh", &[&part], &[]);
    let part = builder.add("Add", &[&part, &one], &[]);
    let part = builder.add("Mul", &[&x, &part], &[]);
    let y = builder.add("Mul", &[&part, &half], &[]);
    builder.done(&y)
}

/// x · sigmoid(α · x)
pub fn quick_gelu(builder: &mut Builder<'_>) -> Outcome {
    let x = builder.needed(0)?;
    let alpha = builder.number(builder.float("alpha", 1.702), &x)?;
    let scaled = builder.add("Mul", &[&x, &alpha], &[]);
    let share = builder.add("Sigmoid", &[&scaled], &[]);
    let y = builder.add("Mul", &[&x, &share], &[]);
    builder.done(&y)
}

/// Half of the channels by what Gelu lets through of the others.
pub fn bias_split_gelu(builder: &mut Builder<'_>) -> Outcome {
    let bias = builder.known(1, "biases")?;
    let half = bias.spec().shape.elements() as i64 / 2;
    let x = biased(builder)?;
    let (left, right) = (builder.slice(&x, -1, 0, half)?, builder.slice(&x, -1, half, i64::MAX)?);
    let gate = exact(builder, &right)?;
    let y = builder.add("Mul", &[&left, &gate], &[]);
    builder.done(&y)
}

pub fn bias_add(builder: &mut Builder<'_>) -> Outcome {
    let (x, skip) = (biased(builder)?, builder.needed(2)?);
    let y = builder.add("Add", &[&x, &skip], &[]);
    builder.done(&y)
}

/// What a fused operator does last.
pub fn fused(builder: &mut Builder<'_>, x: &str) -> Result<String, String> {
    let kind = builder.text("activation", "");
    let parameters = builder.floats("activation_params");
    let parameter = |builder: &Builder<'_>, index: usize, name: &str, default: f32| {
        parameters.get(index).copied().unwrap_or_else(|| builder.float(name, default))
    };
    let first = parameter(builder, 0, "activation_alpha", if kind == "HardSigmoid" { 0.2 } else { 0.01 });
    let second = parameter(builder, 1, "activation_beta", 0.5);
    Ok(match kind.as_str() {
        "" | "Identity" => x.to_owned(),
        "Relu" | "Tanh" | "Sigmoid" | "Softplus" | "Softsign" | "HardSwish" => builder.add(&kind, &[x], &[]),
        "LeakyRelu" | "Elu" | "ThresholdedRelu" => {
            let default = if kind == "LeakyRelu" { 0.01 } else { 1.0 };
            let alpha = Attribute::Float(parameter(builder, 0, "activation_alpha", default));
            builder.add(&kind, &[x], &[("alpha", alpha)])
        }
        "HardSigmoid" => {
            let attributes = [("alpha", Attribute::Float(first)), ("beta", Attribute::Float(second))];
            builder.add(&kind, &[x], &attributes)
        }
        "Clip" => match parameters {
            [low, high] => {
                let (low, high) = (builder.number(*low, x)?, builder.number(*high, x)?);
                let above = builder.add("Max", &[x, &low], &[]);
                builder.add("Min", &[&above, &high], &[])
            }
            _ => return Err("`activation_params` of Clip".into()),
        },
        other => return Err(format!("`activation` {other}")),
    })
}
