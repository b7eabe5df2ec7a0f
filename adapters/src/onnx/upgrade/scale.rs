//! Upsample before its scales were an input.

use super::{
    super::build::{Builder, Outcome},
    says,
};
use burst_host::nouns::{Attribute, Element};

/// Scales were an attribute before opset 9, before opset 7 one each for the last two of four axes. What `Resize` calls
/// asymmetric is how this one places its elements.
pub(in crate::onnx) fn upsample(builder: &mut Builder<'_>) -> Outcome {
    let x = builder.needed(0)?;
    let scales = match (builder.input(1), builder.floats("scales")) {
        (Some(scales), _) => scales,
        (None, []) if says(builder, "height_scale") || says(builder, "width_scale") => {
            let scales = [1.0, 1.0, builder.float("height_scale", 1.0), builder.float("width_scale", 1.0)];
            builder.tensor(Element::Fp32, &[4], &scales)?
        }
        (None, []) => return Err("no scales".into()),
        (None, scales) => builder.tensor(Element::Fp32, &[scales.len()], scales)?,
    };
    let mode = match builder.text("mode", "nearest").as_str() {
        "nearest" => "nearest",
        "linear" | "bilinear" => "linear",
        other => return Err(format!("`mode` {other}")),
    };
    let text = |name: &str, value: &str| (name.to_owned(), Attribute::Text(value.into()));
    match builder.opset {
        ..10 => builder.become_op("Upsample", vec![x, scales], vec![text("mode", mode)]),
        10 => builder.become_op("Resize", vec![x, scales], vec![text("mode", mode)]),
        _ => {
            let places = text("coordinate_transformation_mode", "asymmetric");
            let attributes = vec![text("mode", mode), places, text("nearest_mode", "floor")];
            builder.become_op("Resize", vec![x, String::new(), scales], attributes)
        }
    }
}
