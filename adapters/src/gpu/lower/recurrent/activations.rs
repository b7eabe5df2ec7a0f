//! Activations of recurrent networks by name, with the numbers that they take.

use super::super::super::planner::{Halt, Node};
use burst_host::nouns::Attribute;

/// One activation: its number in `lane_f32.wgsl` or `recurrent.wgsl`, and two attributes.
#[derive(Clone, Copy)]
pub struct Activation {
    pub code: u32,
    pub attributes: [f32; 2],
}

/// Name, number, and what alpha and beta are where a model does not say; `None` where there is none to say.
type Row = (&'static str, u32, Option<f32>, Option<f32>);

const ROWS: &[Row] = &[
    ("Affine", 100, Some(1.0), Some(0.0)),
    ("Elu", 58, Some(1.0), None),
    ("HardSigmoid", 61, Some(0.2), Some(0.5)),
    ("LeakyRelu", 57, Some(0.01), None),
    ("Relu", 56, None, None),
    ("ScaledTanh", 101, Some(1.0), Some(1.0)),
    ("Sigmoid", 55, None, None),
    ("Softplus", 63, None, None),
    ("Softsign", 64, None, None),
    ("Tanh", 50, None, None),
    ("ThresholdedRelu", 68, Some(1.0), None),
];

/// Those of each direction. Alphas and betas are listed for the activations that take one, in their order.
pub fn of(node: &Node<'_>, defaults: &[&str], directions: usize) -> Result<Vec<Activation>, Halt> {
    let names: Vec<String> = match node.op.attribute("activations") {
        Some(Attribute::Texts(names)) => names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect(),
        _ => defaults.iter().cycle().take(defaults.len() * directions).map(|name| name.to_string()).collect(),
    };
    if names.len() != defaults.len() * directions {
        return Err(node.invalid(&format!("{} activations", names.len())));
    }
    let (mut alphas, mut betas) = (floats(node, "activation_alpha"), floats(node, "activation_beta"));
    let activation = |name: &String| {
        let row = ROWS.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name));
        let (_, code, alpha, beta) = row.ok_or_else(|| node.unsupported(&format!("the activation {name}")))?;
        let next = |default: &Option<f32>, given: &mut std::vec::IntoIter<f32>| match default {
            Some(default) => given.next().unwrap_or(*default),
            None => 0.0,
        };
        let attributes = [next(alpha, &mut alphas), next(beta, &mut betas)];
        Ok(Activation { code: *code, attributes })
    };
    names.iter().map(activation).collect()
}

fn floats(node: &Node<'_>, name: &str) -> std::vec::IntoIter<f32> {
    match node.op.attribute(name) {
        Some(Attribute::Floats(values)) => values.clone().into_iter(),
        _ => Vec::new().into_iter(),
    }
}
