//! Graphs to tract's models, or the name of what tract lacks.

use super::{
    apart,
    halves::widened,
    mend::{REPLACED, mend},
    narrow, number, ops,
    spell::{Values, spelled},
    traps::{open_trap, trap},
};
use crate::onnx::{self, Limits};
use burst_host::nouns::{Attribute, Element, Extent, Fault, Graph, Op, Port, Shape, Tensor};
use bytes::Bytes;
use std::{collections::HashMap, mem, sync::Arc};
use tract_onnx::{
    pb::ModelProto,
    prelude::{
        DatumType, Framework, InferenceFact, InferenceModel, InferenceModelExt, OutletId, Symbol, TDim, ToDim,
        TractError, TractResult, TypedModel, TypedNode,
    },
    tract_core::ops::konst::Const,
};

/// Domains whose operators tract knows. It looks names up without their domain: another domain's `Relu` would be
/// taken for ONNX's.
const DOMAINS: [&str; 3] = ["", "ai.onnx.ml", "com.microsoft"];

/// What the pass before tract leaves to it.
const TARGET: onnx::Target = onnx::Target { name: "CPU", native: super::ml::is_native };

/// Larger constants go to tract by hand: through the encoding they would be in memory three times more.
const WEIGHT_MIN_BYTES: usize = 1024;

/// Translates without typing. Fails with `Unsupported` and the operator's name where tract lacks it.
pub(super) fn translate(graph: &Graph, limits: &Limits) -> Result<InferenceModel, Fault> {
    let (mut model, weights) = without_weights(graph, limits, |_| true)?;
    let own = model.inputs.len() - weights.len();
    for (outlet, weight) in model.inputs.split_off(own).into_iter().zip(&weights) {
        put(&mut model, outlet, weight).map_err(unsupported)?;
    }
    Ok(model)
}

/// The same with the larger constants that are `left_out` as further inputs, after those of the graph.
pub(super) fn without_weights(
    graph: &Graph,
    limits: &Limits,
    left_out: impl Fn(&Tensor) -> bool,
) -> Result<(InferenceModel, Vec<Tensor>), Fault> {
    let mut graph = known(graph, limits)?;
    if let Some(kind) = open_trap(&graph) {
        return Err(Fault::Unsupported(format!("operator `{kind}` on the CPU: bounds that are inputs")));
    }
    unfold(&mut graph.ops);
    apart::keep(&mut graph);
    let tract = ops::framework().with_ignore_value_info(true);
    for port in &graph.inputs {
        input_type(port)?;
    }
    let weights = take_weights(&mut graph, left_out);
    let encoded = Bytes::from(onnx::encode(&graph)?);
    let proto: ModelProto = prost::Message::decode(encoded).map_err(|error| Fault::Invalid(error.to_string()))?;
    let model = tract.model_for_proto_model(&proto).map_err(unsupported)?;
    if model.inputs.len() != graph.inputs.len() {
        let (wanted, found) = (graph.inputs.len(), model.inputs.len());
        return Err(Fault::Unsupported(format!("{found} inputs on the CPU instead of {wanted}")));
    }
    Ok((model, weights))
}

/// The graph as tract gets it, functions inlined. Fails with `Unsupported` and the operator's name where tract has none.
pub(super) fn known(graph: &Graph, limits: &Limits) -> Result<Graph, Fault> {
    let inlined = onnx::plain(graph, limits, &TARGET)?;
    // What the file believes of inner values may contradict the extents that come at run time.
    let values = Values::of(&inlined);
    let mut graph = Graph { values: Vec::new(), ..inlined };
    narrow::as_bytes(&mut graph);
    let opset = graph.opsets.iter().find(|opset| opset.domain.is_empty()).map_or(0, |opset| opset.version);
    tidy(&mut graph.ops, opset, &values);
    let tract = ops::framework();
    supported(&graph, &|kind| tract.op_register.0.contains_key(kind))?;
    Ok(graph)
}

/// Makes inputs of larger constants. Byte strings have no length of their own, and stay.
fn take_weights(graph: &mut Graph, left_out: impl Fn(&Tensor) -> bool) -> Vec<Tensor> {
    let large = |tensor: &Tensor| tensor.spec().bytes().is_some_and(|bytes| bytes >= WEIGHT_MIN_BYTES);
    let (weights, constants) = mem::take(&mut graph.constants)
        .into_iter()
        .partition::<Vec<_>, _>(|(_, tensor)| large(tensor) && left_out(tensor));
    graph.constants = constants;
    graph.inputs.extend(weights.iter().map(|(name, tensor)| Port::exactly(name, tensor.spec())));
    weights.into_iter().map(|(_, tensor)| tensor).collect()
}

/// Puts a constant in the place of an input.
fn put(model: &mut InferenceModel, input: OutletId, weight: &Tensor) -> TractResult<()> {
    let value = Arc::new(number::copied(weight).map_err(TractError::msg)?);
    let fact = InferenceFact::try_from(&value)?;
    let node = model.node_mut(input.node);
    node.op = Box::new(Const::new(value)?);
    node.outputs[input.slot].fact = fact;
    Ok(())
}

/// Between an operator and its result in the name that tract gets.
pub(super) const MARK: char = '@';

/// Puts operators as tract expects them. It refuses two of one name, which ONNX allows: each is named after its result,
/// its kind first, to be found again in tract's errors. It counts names that are left out at the end, which say
/// nothing. What has no result at all has no effect. The zeros that nobody gave a type are FP32, for it FP64.
fn tidy(ops: &mut Vec<Op>, opset: i64, values: &Values) {
    ops.retain(|op| op.outputs.iter().any(|output| !output.is_empty()));
    let spelled = std::mem::take(ops).into_iter().flat_map(|op| spelled(op, opset, values));
    *ops = spelled.flat_map(gemm).collect();
    for op in ops {
        for names in [&mut op.inputs, &mut op.outputs] {
            names.truncate(names.iter().rposition(|name| !name.is_empty()).map_or(0, |last| last + 1));
        }
        let result = op.outputs.iter().find(|output| !output.is_empty()).map_or("", String::as_str);
        op.name = format!("{}{MARK}{result}", op.kind);
        if op.kind == "ConstantOfShape" && op.attribute("value").is_none() {
            let zero = Tensor::from_slice(Element::Fp32, [1], &[0.0f32]);
            op.attributes.extend(zero.map(|zero| ("value".into(), Attribute::Tensor(zero))));
        }
        if op.kind == "Scan" {
            from_the_start(op);
        }
        op.graphs_mut().for_each(|graph| tidy_inner(graph, opset, values));
    }
}

/// Axes of a `Scan` that are counted from the end, which tract does by shapes that bodies lose.
fn from_the_start(op: &mut Op) {
    let (Some(Attribute::Graph(body)), Some(Attribute::Int(scanned))) =
        (op.attribute("body"), op.attribute("num_scan_inputs"))
    else {
        return;
    };
    let states = body.inputs.len().saturating_sub(usize::try_from(*scanned).unwrap_or(0));
    let ranks = |ports: &[Port]| -> Vec<Option<i64>> {
        ports.iter().skip(states).map(|port| port.shape.as_ref().map(|shape| shape.len() as i64 + 1)).collect()
    };
    let (inputs, outputs) = (ranks(&body.inputs), ranks(&body.outputs));
    for (name, attribute) in &mut op.attributes {
        let ranks = match name.as_str() {
            "scan_input_axes" => &inputs,
            "scan_output_axes" => &outputs,
            _ => continue,
        };
        let Attribute::Ints(axes) = attribute else { continue };
        for (axis, rank) in axes.iter_mut().zip(ranks).filter(|(axis, _)| **axis < 0) {
            *axis += rank.unwrap_or(0);
        }
    }
}

/// The same for a body. What it gives and has from outside is named anew: tract looks for it inside.
fn tidy_inner(graph: &mut Graph, opset: i64, values: &Values) {
    // tract makes symbols of open extents, which fit no number.
    let open = |port: &Port| port.shape.iter().flatten().any(|extent| !matches!(extent, Extent::Fixed(_)));
    graph.inputs.iter_mut().filter(|port| open(port)).for_each(|port| port.shape = None);
    for (index, output) in graph.outputs.iter_mut().enumerate() {
        let made = graph.ops.iter().any(|op| op.outputs.contains(&output.name));
        let given = graph.inputs.iter().any(|input| input.name == output.name);
        if !made && !given && !graph.constants.iter().any(|(name, _)| *name == output.name) {
            let inner = format!("{}{MARK}{index}", output.name);
            let outer = std::mem::replace(&mut output.name, inner);
            graph.ops.push(Op::identity(outer, output.name.clone()));
        }
    }
    tidy(&mut graph.ops, opset, values);
}

/// A `Gemm` that only adds its bias, as a product and a sum: tract multiplies biases by an FP32, whatever they are.
fn gemm(mut op: Op) -> Vec<Op> {
    let scaled = matches!(op.attribute("beta"), Some(Attribute::Float(beta)) if *beta != 1.0);
    let biased = op.inputs.get(2).is_some_and(|name| !name.is_empty());
    if op.kind != "Gemm" || !op.domain.is_empty() || scaled || !biased || op.outputs.len() != 1 {
        return vec![op];
    }
    let product = format!("{}{MARK}product", op.outputs[0]);
    let outputs = std::mem::replace(&mut op.outputs, vec![product.clone()]);
    let inputs = vec![product, op.inputs.split_off(2).swap_remove(0)];
    let sum = Op { kind: "Add".into(), inputs, outputs, attributes: Vec::new(), ..op.clone() };
    vec![op, sum]
}

/// Keeps operators that are replaced later from being computed before.
fn unfold(ops: &mut Vec<Op>) {
    for mut op in mem::take(ops) {
        op.graphs_mut().for_each(|graph| unfold(&mut graph.ops));
        let replaced = op.domain.is_empty() && REPLACED.contains(&op.kind.as_str());
        if let Some(input) = op.inputs.first_mut().filter(|_| replaced) {
            let name = format!("{}{MARK}{}", op.name, ops::UNFOLDED);
            let outer = mem::replace(input, name.clone());
            ops.push(Op { name: name.clone(), kind: ops::UNFOLDED.into(), ..Op::identity(outer, name) });
        }
        ops.push(op);
    }
}

/// tract's error, shortened, as what this device can't do: the operator, as ONNX calls it, and the cause.
pub(super) fn unsupported(error: TractError) -> Fault {
    let whole = format!("{error:#}");
    Fault::Unsupported(short(&match kind(&whole) {
        Some(kind) => format!("operator `{kind}` on the CPU: {}", error.root_cause()),
        None => whole,
    }))
}

/// The operator that such a fault names.
pub(super) fn named(reason: &str) -> Option<&str> {
    reason.strip_prefix("operator `")?.split_once('`').map(|(kind, _)| kind)
}

/// The operator that `text` tells of first.
pub(super) fn kind(text: &str) -> Option<&str> {
    text.split_once(MARK).and_then(|(before, _)| before.rsplit(|c: char| !c.is_alphanumeric()).next())
}

/// tract prints whole operators into its errors.
pub(super) fn short(text: &str) -> String {
    const MAX: usize = 400;
    let mut short: String = text.chars().take(MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

fn supported(graph: &Graph, known: &dyn Fn(&str) -> bool) -> Result<(), Fault> {
    graph.constants.iter().try_for_each(|(_, tensor)| constant(tensor))?;
    graph.ops.iter().try_for_each(|op| supported_op(op, graph, known))
}

fn supported_op(op: &Op, graph: &Graph, known: &dyn Fn(&str) -> bool) -> Result<(), Fault> {
    if !DOMAINS.contains(&op.domain.as_str()) || !known(&op.kind) {
        let dot = if op.domain.is_empty() { "" } else { "." };
        return Err(Fault::Unsupported(format!("operator `{}{dot}{}` on the CPU", op.domain, op.kind)));
    }
    if let Some(trap) = trap(op, graph) {
        return Err(Fault::Unsupported(format!("operator `{}` on the CPU: {trap}", op.kind)));
    }
    op.graphs().try_for_each(|graph| supported(graph, known))?;
    op.attributes.iter().try_for_each(|(_, attribute)| match attribute {
        Attribute::Tensor(tensor) => constant(tensor),
        Attribute::Tensors(tensors) => tensors.iter().try_for_each(constant),
        _ => Ok(()),
    })
}

fn constant(tensor: &Tensor) -> Result<(), Fault> {
    number::supported(tensor.spec().element).map(drop)
}

fn input_type(port: &Port) -> Result<DatumType, Fault> {
    let untyped = || Fault::Invalid(format!("input `{}` has no element type", port.name));
    number::supported(port.element.ok_or_else(untyped)?)
}

/// Fixes the extents of every input and types the model.
pub(super) fn concrete(model: &InferenceModel, inputs: &[Port], shapes: &[Shape]) -> Result<TypedModel, Fault> {
    let mut model = model.clone();
    for (index, (port, shape)) in inputs.iter().zip(shapes).enumerate() {
        let fact = InferenceFact::dt_shape(input_type(port)?, shape.extents());
        model.set_input_fact(index, fact).map_err(unsupported)?;
    }
    typed(model)
}

/// A model typed with symbols for open extents, and what each symbol stands for.
pub(super) struct Symbolic {
    pub model: TypedModel,
    names: HashMap<Symbol, Extent>,
}

/// Types the model with a symbol for every open extent; all ranks must be known.
pub(super) fn symbolic(model: &InferenceModel, inputs: &[Port]) -> Result<Symbolic, Fault> {
    let (mut model, mut names, mut symbols) = (model.clone(), HashMap::new(), HashMap::new());
    for (index, port) in inputs.iter().enumerate() {
        let mut dims: Vec<TDim> = Vec::new();
        for extent in port.shape.iter().flatten() {
            dims.push(match extent {
                Extent::Fixed(fixed) => fixed.to_dim(),
                Extent::Named(name) => {
                    let symbol = symbols.entry(name).or_insert_with(|| model.symbols.new_with_prefix("named"));
                    names.insert(symbol.clone(), extent.clone());
                    symbol.to_dim()
                }
                Extent::Any => model.symbols.new_with_prefix("any").to_dim(),
            });
        }
        model.set_input_fact(index, InferenceFact::dt_shape(input_type(port)?, dims)).map_err(unsupported)?;
    }
    Ok(Symbolic { model: typed(model)?, names })
}

impl Symbolic {
    /// What the outputs are, as far as tract found out, behind what the file says.
    pub(super) fn outputs(&self, declared: &[Port]) -> Vec<Port> {
        outputs(&self.model, declared, &self.names)
    }
}

/// The same for a model without symbols.
pub(super) fn outputs(model: &TypedModel, declared: &[Port], names: &HashMap<Symbol, Extent>) -> Vec<Port> {
    let fill = |(index, port): (usize, &Port)| {
        let Ok(fact) = model.output_fact(index) else { return port.clone() };
        let found: Vec<Extent> = fact.shape.dims().iter().map(|dim| extent(dim, names)).collect();
        let shape = match &port.shape {
            Some(shape) if shape.len() == found.len() => {
                shape.iter().zip(found).map(|(declared, found)| agreed(declared, found)).collect()
            }
            _ => found,
        };
        let element = port.element.or_else(|| number::element(fact.datum_type));
        Port { name: port.name.clone(), element, shape: Some(shape), optional: false }
    };
    declared.iter().enumerate().map(fill).collect()
}

/// An extent that is declared as well as found. A declared number that is not found has not to hold for all inputs.
fn agreed(declared: &Extent, found: Extent) -> Extent {
    match (declared, &found) {
        (Extent::Named(_), Extent::Named(_) | Extent::Any) => declared.clone(),
        _ => found,
    }
}

fn extent(dim: &TDim, names: &HashMap<Symbol, Extent>) -> Extent {
    match dim {
        TDim::Sym(symbol) => names.get(symbol).cloned().unwrap_or(Extent::Any),
        dim => dim.as_i64().and_then(|fixed| usize::try_from(fixed).ok()).map_or(Extent::Any, Extent::Fixed),
    }
}

fn typed(model: InferenceModel) -> Result<TypedModel, Fault> {
    let mut model = model.into_typed().map_err(unsupported)?;
    mend(&mut model).map_err(unsupported)?;
    let model = widened(model).map_err(unsupported)?;
    model.nodes().iter().try_for_each(sound)?;
    Ok(model)
}

/// Whether the extents of what an operator gives are within limits, and can be told when it runs.
fn sound(node: &TypedNode) -> Result<(), Fault> {
    for output in &node.outputs {
        if output.fact.shape.iter().flat_map(TDim::symbols).any(|symbol| symbol.scope().is_none()) {
            let kind = kind(&node.name).unwrap_or(&node.name);
            return Err(Fault::Unsupported(format!("operator `{kind}` on the CPU: extents that its inputs decide")));
        }
        if let Some(extents) = output.fact.shape.as_concrete() {
            Shape::new(extents).map_err(|error| Fault::TooLarge(format!("the result of `{}`: {error}", node.name)))?;
        }
    }
    Ok(())
}
