//! Integers of less than a byte in constants: as bytes they are the same numbers.

use burst_host::nouns::{Attribute, Element, Graph, Narrow, Op, Spec, Tensor};
use std::collections::HashMap;

/// What a quantised number is bounded by, where that is less than its type: an attribute that only we know.
pub(super) const LEVELS: &str = "levels";

/// ONNX's numbers of such types, with which `QuantizeLinear` names its result.
const TYPES: [(i64, Narrow); 4] = [(21, Narrow::U4), (22, Narrow::I4), (25, Narrow::U2), (26, Narrow::I2)];

/// Makes bytes of them, here and in bodies.
pub(super) fn as_bytes(graph: &mut Graph) {
    let found: HashMap<String, Narrow> = graph.constants.iter().filter_map(narrow).collect();
    for (_, tensor) in &mut graph.constants {
        widen(tensor);
    }
    for op in &mut graph.ops {
        bound(op, &found);
        for (_, attribute) in &mut op.attributes {
            if let Attribute::Tensor(tensor) = attribute {
                widen(tensor);
            }
            attribute.graphs_mut().iter_mut().for_each(as_bytes);
        }
    }
}

fn narrow((name, tensor): &(String, Tensor)) -> Option<(String, Narrow)> {
    match tensor.spec().element {
        Element::Narrow(narrow) => narrow.range().map(|_| (name.clone(), narrow)),
        _ => None,
    }
}

fn byte(narrow: Narrow) -> Option<Element> {
    let (low, _) = narrow.range()?;
    Some(if low < 0 { Element::I8 } else { Element::U8 })
}

fn widen(tensor: &mut Tensor) {
    let Element::Narrow(narrow) = tensor.spec().element else { return };
    let (Some(element), Some(contents)) = (byte(narrow), tensor.contents()) else { return };
    let spec = Spec::new(element, tensor.spec().shape.extents());
    if let Some(wide) = spec.ok().and_then(|spec| Tensor::host(spec, contents.clone()).ok()) {
        *tensor = wide;
    }
}

/// Tells a quantising operator what its result is bounded by.
fn bound(op: &mut Op, narrows: &HashMap<String, Narrow>) {
    if op.kind != "QuantizeLinear" || !op.domain.is_empty() {
        return;
    }
    let told = match op.attribute("output_dtype") {
        Some(Attribute::Int(told)) => TYPES.iter().find(|(number, _)| number == told).map(|(_, narrow)| *narrow),
        _ => None,
    };
    let zeros = op.inputs.get(2).and_then(|zeros| narrows.get(zeros)).copied();
    let Some(narrow) = zeros.or(told) else { return };
    if let (Some((low, high)), Some(element)) = (narrow.range(), byte(narrow)) {
        op.attributes.retain(|(name, _)| name != "output_dtype");
        op.attributes.push((LEVELS.into(), Attribute::Ints(vec![low.into(), high.into()])));
        op.attributes.push(("output_dtype".into(), Attribute::Int(if element == Element::I8 { 3 } else { 2 })));
    }
}
