//! Integer division of the lowest number by -1, which the processor answers by stopping the whole process: the divisor is
//! taken for 1, and the sign is turned afterwards. Floats come out the same, so only what is known to be a float is left
//! as it is: its operators fuse.

use burst_host::nouns::{Attribute, Element, Graph, Op, Tensor};
use std::collections::HashMap;

/// Operators whose first result has the element of their first input.
const KEEPING: &[&str] = &[
    "Abs",
    "Add",
    "AveragePool",
    "BatchNormalization",
    "Ceil",
    "Clip",
    "Concat",
    "Conv",
    "ConvTranspose",
    "CumSum",
    "DepthToSpace",
    "Div",
    "Dropout",
    "Einsum",
    "Elu",
    "Erf",
    "Exp",
    "Expand",
    "Flatten",
    "Floor",
    "Gather",
    "GatherElements",
    "GatherND",
    "Gelu",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "GroupNormalization",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "InstanceNormalization",
    "LayerNormalization",
    "LeakyRelu",
    "Log",
    "LogSoftmax",
    "LpNormalization",
    "MatMul",
    "Max",
    "MaxPool",
    "Mean",
    "Min",
    "Mish",
    "Mod",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "Range",
    "Reciprocal",
    "ReduceL1",
    "ReduceL2",
    "ReduceLogSum",
    "ReduceLogSumExp",
    "ReduceMax",
    "ReduceMean",
    "ReduceMin",
    "ReduceProd",
    "ReduceSum",
    "ReduceSumSquare",
    "Relu",
    "Reshape",
    "Resize",
    "Round",
    "ScatterElements",
    "ScatterND",
    "Selu",
    "Sigmoid",
    "Sign",
    "Sin",
    "Cos",
    "Slice",
    "Softmax",
    "Softplus",
    "SpaceToDepth",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "Sum",
    "Swish",
    "Tan",
    "Tanh",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
    "Upsample",
];

/// Elements of values, as far as they are known, and constants.
#[derive(Clone, Default)]
pub(super) struct Known {
    elements: HashMap<String, Element>,
    constants: HashMap<String, Tensor>,
}

/// Guards every division of the graph and of its subgraphs. Since opset 13 the operators that it takes know every type.
pub(super) fn guard(graph: &mut Graph) {
    guard_in(graph, Known::default());
}

fn guard_in(graph: &mut Graph, mut known: Known) {
    known.learn(graph);
    let mut ops = Vec::with_capacity(graph.ops.len());
    for mut op in std::mem::take(&mut graph.ops) {
        op.graphs_mut().for_each(|inner| guard_in(inner, known.clone()));
        known.result(&op);
        match op.domain.is_empty() && ["Div", "Mod"].contains(&op.kind.as_str()) && known.may_trap(&op) {
            true => ops.extend(guarded(op)),
            false => ops.push(op),
        }
    }
    graph.ops = ops;
}

impl Known {
    /// Takes in what a graph says of its values.
    pub(super) fn learn(&mut self, graph: &Graph) {
        for port in graph.inputs.iter().chain(&graph.values) {
            self.elements.extend(port.element.map(|element| (port.name.clone(), element)));
        }
        for (name, tensor) in &graph.constants {
            self.constant(name, tensor);
        }
    }

    pub(super) fn element(&self, name: &str) -> Option<Element> {
        self.elements.get(name).copied()
    }

    pub(super) fn is_constant(&self, name: &str) -> bool {
        self.constants.contains_key(name)
    }

    fn constant(&mut self, name: &str, tensor: &Tensor) {
        self.elements.insert(name.into(), tensor.spec().element);
        self.constants.insert(name.into(), tensor.clone());
    }

    /// Notes what the first result of an operator is.
    pub(super) fn result(&mut self, op: &Op) {
        let Some(name) = op.outputs.first().filter(|name| !name.is_empty()) else { return };
        match (op.domain.as_str(), op.kind.as_str(), op.attribute("value"), op.attribute("to")) {
            ("", "Constant", Some(Attribute::Tensor(tensor)), _) => self.constant(name, tensor),
            ("", "Cast", _, Some(Attribute::Int(number))) => {
                self.elements.extend(crate::onnx::element(*number).ok().map(|element| (name.clone(), element)));
            }
            ("", "DynamicQuantizeLinear", ..) => drop(self.elements.insert(name.clone(), Element::U8)),
            ("", "QuantizeLinear" | "QLinearConv" | "QLinearMatMul", ..) => {
                let zero = op.inputs.get(if op.kind == "QuantizeLinear" { 2 } else { 7 });
                let element = zero.filter(|name| !name.is_empty()).map_or(Some(Element::U8), |zero| self.element(zero));
                self.elements.extend(element.map(|element| (name.clone(), element)));
            }
            ("", kind, ..) if KEEPING.contains(&kind) => {
                let element = op.inputs.first().and_then(|input| self.elements.get(input)).copied();
                self.elements.extend(element.map(|element| (name.clone(), element)));
            }
            _ => {}
        }
    }

    /// Whether the divisor may be -1, of a type that is or may be a signed integer.
    fn may_trap(&self, op: &Op) -> bool {
        let Some(divisor) = op.inputs.get(1) else { return false };
        let operand = |index: usize| self.elements.get(op.inputs.get(index)?).copied();
        let element = operand(1).or_else(|| operand(0));
        let signed =
            element.is_none_or(|element| matches!(element, Element::I8 | Element::I16 | Element::I32 | Element::I64));
        signed
            && self.constants.get(divisor).and_then(Tensor::contents).is_none_or(|contents| {
                // An integer of -1 has no bit that is not set.
                let size = element.and_then(Element::size).unwrap_or(1);
                contents.chunks(size).any(|number| number.iter().all(|&byte| byte == 0xff))
            })
    }
}

/// The same division by 1 where the divisor is -1; the quotient's sign is turned, a remainder is 0 either way.
fn guarded(op: Op) -> Vec<Op> {
    let Some(result) = op.outputs.first().cloned() else { return vec![op] };
    let (dividend, divisor) = (op.inputs[0].clone(), op.inputs[1].clone());
    let name = |part: &str| format!("{result}@{part}");
    let add = |kind: &str, inputs: &[&str], output: &str| Op {
        kind: kind.into(),
        inputs: inputs.iter().map(|&input| input.into()).collect(),
        ..Op::identity(String::new(), output.into())
    };
    // Made of the divisor, whose type is not known: a zero divisor is refused here as it would be by the division.
    let [zero, one, minus, equal, signed, hit, safe] =
        ["zero", "one", "minus", "equal", "signed", "hit", "safe"].map(name);
    let mut ops = vec![
        add("Sub", &[&divisor, &divisor], &zero),
        add("Div", &[&divisor, &divisor], &one),
        add("Sub", &[&zero, &one], &minus),
        add("Equal", &[&divisor, &minus], &equal),
        // Not so for unsigned integers, whose largest number it is.
        add("Less", &[&minus, &zero], &signed),
        add("And", &[&equal, &signed], &hit),
        add("Where", &[&hit, &one, &divisor], &safe),
    ];
    if op.kind == "Mod" {
        ops.push(Op { inputs: vec![dividend, safe], ..op });
        return ops;
    }
    let [quotient, turned] = ["quotient", "turned"].map(name);
    ops.push(Op { inputs: vec![dividend, safe], outputs: vec![quotient.clone()], ..op });
    ops.push(add("Mul", &[&quotient, &minus], &turned));
    ops.push(add("Where", &[&hit, &turned, &quotient], &result));
    ops
}
