//! Products of unsigned activations and signed weights, whose pairs ONNX Runtime adds in 16 bits on processors without
//! VNNI, where they saturate. `session.x64quantprecision` makes constant weights unsigned; here it is done to those that
//! a graph computes or is given.

use super::division::Known;
use burst_host::nouns::{Attribute, Element, Graph, Op, Tensor};

/// Operators, by domain and name, and which inputs are activations, weights and the zero point of the weights.
const PRODUCTS: [(&str, &str, [usize; 3]); 5] = [
    ("", "ConvInteger", [0, 1, 3]),
    ("", "MatMulInteger", [0, 1, 3]),
    ("", "QLinearConv", [0, 3, 5]),
    ("", "QLinearMatMul", [0, 3, 5]),
    ("com.microsoft", "MatMulIntegerToFloat", [0, 1, 5]),
];

/// Makes weights unsigned in the graph and its subgraphs.
pub(super) fn guard(graph: &mut Graph) {
    guard_in(graph, Known::default());
}

fn guard_in(graph: &mut Graph, mut known: Known) {
    known.learn(graph);
    for mut op in std::mem::take(&mut graph.ops) {
        op.graphs_mut().for_each(|inner| guard_in(inner, known.clone()));
        known.result(&op);
        let product = PRODUCTS.iter().find(|(domain, kind, _)| op.domain == *domain && op.kind == *kind);
        if let Some((.., places)) = product.filter(|(.., places)| saturates(&op, &known, places)) {
            graph.ops.extend(unsigned(&mut op, places).unwrap_or_default());
        }
        graph.ops.push(op);
    }
}

/// Whether unsigned activations meet signed weights, of which one is not constant.
fn saturates(op: &Op, known: &Known, [activations, weights, zero]: &[usize; 3]) -> bool {
    let input = |index: &usize| op.inputs.get(*index).filter(|name| !name.is_empty());
    let element = |index: &usize| input(index).and_then(|name| known.element(name));
    let constant = |index: &usize| input(index).is_none_or(|name| known.is_constant(name));
    let signed = element(weights).or(element(zero)) == Some(Element::I8);
    element(activations) == Some(Element::U8) && signed && !(constant(weights) && constant(zero))
}

/// Operators that give the weights and their zero point 128 higher.
fn unsigned(op: &mut Op, [_, weights, zero]: &[usize; 3]) -> Option<Vec<Op>> {
    let result = op.outputs.first()?.clone();
    let add = |kind: &str, inputs: &[&str], output: String, attribute: (&str, Attribute)| Op {
        kind: kind.into(),
        inputs: inputs.iter().map(|&input| input.into()).collect(),
        attributes: vec![(attribute.0.into(), attribute.1)],
        ..Op::identity(String::new(), output)
    };
    let to = |element| ("to", Attribute::Int(element));
    let offset = format!("{result}@offset");
    let value = Tensor::from_slice(Element::I32, [], &[128i32]).ok()?;
    let mut ops = vec![add("Constant", &[], offset.clone(), ("value", Attribute::Tensor(value)))];
    for (index, part) in [(*weights, "weights"), (*zero, "zero")] {
        let [wide, moved, narrow] = ["wide", "moved", "narrow"].map(|step| format!("{result}@{part}.{step}"));
        if op.inputs.len() <= index {
            op.inputs.resize(index + 1, String::new());
        }
        if op.inputs[index].is_empty() {
            ops.push(add("Cast", &[&offset], narrow.clone(), to(UINT8)));
        } else {
            ops.push(add("Cast", &[&op.inputs[index]], wide.clone(), to(INT32)));
            ops.push(Op { attributes: Vec::new(), ..add("Add", &[&wide, &offset], moved.clone(), to(INT32)) });
            ops.push(add("Cast", &[&moved], narrow.clone(), to(UINT8)));
        }
        op.inputs[index] = narrow;
    }
    Some(ops)
}

/// ONNX's numbers of element types.
const UINT8: i64 = 2;
const INT32: i64 = 6;
