//! A graph as a session of ONNX Runtime, which all guests share.

use super::{
    Math, division,
    element::element,
    empty_batch, fault,
    runtime::{Runtime, check},
    shadows,
    value::Value,
};
use crate::onnx;
use burst_host::nouns::{Attribute, Extent, Fault, Graph, Op, Opset, Port, Signature, Tensor};
use ort::{
    AsPointer,
    session::{
        RunOptions,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::ValueType,
};
use std::{
    collections::HashSet,
    ffi::{CString, c_char},
    ptr,
    sync::Arc,
};

/// A loaded model.
pub(super) struct Session {
    pub signature: Signature,
    session: ort::session::Session,
    runtime: Arc<Runtime>,
    /// Names of the signature's inputs and outputs, for C.
    inputs: Vec<CString>,
    outputs: Vec<CString>,
    /// Weights, which the session reads where they are. Dropped after it: fields are dropped in this order.
    weights: Arc<Vec<Value>>,
}

impl Session {
    /// Loads a graph on ONNX Runtime's own CPU kernels: takes milliseconds to seconds, and packs weights.
    pub(super) fn new(graph: &Graph, math: Math, runtime: &Arc<Runtime>) -> Result<Self, Fault> {
        let mut graph = modern(graph)?;
        shadows::rename(&mut graph);
        division::guard(&mut graph);
        empty_batch::guard(&mut graph);
        if math == Math::Exact {
            keep_activations(&mut graph.ops);
        }
        let mut written = undeclared(&graph);
        loop {
            let builder = options(runtime, math).map_err(fault::of_load)?;
            match commit(&written, builder, runtime) {
                Err(Fault::Unsupported(reason)) if reason.contains(TOO_NEW) && lowered(&mut written) => {}
                committed => {
                    let (session, weights) = committed?;
                    return Self::of(&graph, session, weights, runtime);
                }
            }
        }
    }

    /// Loads a graph as it is.
    pub(super) fn with_options(graph: &Graph, builder: SessionBuilder, runtime: &Arc<Runtime>) -> Result<Self, Fault> {
        let (session, weights) = commit(graph, builder, runtime)?;
        Self::of(graph, session, weights, runtime)
    }

    /// Loads what an execution provider compiled of a graph, with its weights.
    pub(super) fn of_context(
        context: &[u8],
        graph: &Graph,
        mut builder: SessionBuilder,
        runtime: &Arc<Runtime>,
    ) -> Result<Self, Fault> {
        let session = builder.commit_from_memory(context).map_err(fault::of_load)?;
        Self::of(graph, session, Vec::new(), runtime)
    }

    fn of(
        graph: &Graph,
        session: ort::session::Session,
        weights: Vec<Value>,
        runtime: &Arc<Runtime>,
    ) -> Result<Self, Fault> {
        runtime.note_arena(&session).map_err(fault::of_load)?;
        let signature = signature(graph, &session);
        let names = |ports: &[Port]| ports.iter().map(|port| c_name(&port.name)).collect::<Result<_, _>>();
        let (inputs, outputs) = (names(&signature.inputs)?, names(&signature.outputs)?);
        Ok(Self { signature, session, runtime: runtime.clone(), inputs, outputs, weights: Arc::new(weights) })
    }

    /// Computes all outputs on this thread and on the pool. Ends between two operators once the options are told to.
    pub(super) fn run(&self, inputs: &[Tensor], options: &RunOptions) -> Result<Vec<Tensor>, Fault> {
        let values = inputs.iter().map(|input| Value::of(input, &self.runtime.host));
        let values = values.collect::<Result<Vec<_>, _>>()?;
        let pointers: Vec<_> = values.iter().map(Value::pointer).collect();
        let (input_names, output_names) = (pointers_of(&self.inputs), pointers_of(&self.outputs));
        let mut results = vec![ptr::null_mut(); output_names.len()];
        // SAFETY: names and values are as many as is told and live through the call; sessions may be run by many threads
        // at once, says ONNX Runtime's C API.
        let ran = unsafe {
            check((ort::api().Run)(
                self.session.ptr().cast_mut(),
                options.ptr(),
                input_names.as_ptr(),
                pointers.as_ptr(),
                pointers.len(),
                output_names.as_ptr(),
                output_names.len(),
                results.as_mut_ptr(),
            ))
        };
        // Owned at once, so that none is lost on the way out.
        let results: Vec<_> = results.into_iter().map(|value| Value::owning(value, bytes::Bytes::new())).collect();
        ran.map_err(fault::of_run)?;
        results.into_iter().map(|value| value?.into_tensor(&values, &self.weights)).collect()
    }
}

/// The oldest operator set that ONNX Runtime computes.
const OPSET_MIN: i64 = 7;

/// The graph as a session of ONNX Runtime's, and the weights that it reads where they are: they have to outlive it.
pub(super) fn commit(
    graph: &Graph,
    mut builder: SessionBuilder,
    runtime: &Runtime,
) -> Result<(ort::session::Session, Vec<Value>), Fault> {
    let mut names = Vec::new();
    let graph = &needed(graph);
    let model = onnx::encode_apart(graph, |name, _| {
        names.push(name.to_owned());
        Ok::<_, onnx::OnnxError>(name.to_owned())
    })?;
    let weights = add_weights(&mut builder, graph, &names, runtime)?;
    Ok((builder.commit_from_memory(&model).map_err(fault::of_load)?, weights))
}

/// What ONNX Runtime says of an operator set that was not released when it was built.
const TOO_NEW: &str = "is under development";
/// ONNX Runtime refuses later ones by their number alone. What they brought are types and notes for several devices.
const IR_VERSION_MAX: i64 = 10;

/// Writes the graph in the operator set before its own, if that means the same by all operators.
fn lowered(graph: &mut Graph) -> bool {
    let Some(opset) = graph.opsets.iter_mut().find(|opset| opset.domain.is_empty()) else { return false };
    let version = opset.version;
    if differs(&graph.ops, version) || graph.functions.iter().any(|function| differs(&function.ops, version)) {
        return false;
    }
    opset.version -= 1;
    let own = graph.functions.iter_mut().flat_map(|function| &mut function.opsets);
    own.filter(|own| own.domain.is_empty() && own.version == version).for_each(|own| own.version -= 1);
    version > OPSET_MIN
}

/// Whether one of the operators, or of those in their graphs, changed with this version of ONNX's operator set.
fn differs(ops: &[Op], version: i64) -> bool {
    let inside = |attribute: &Attribute| match attribute {
        Attribute::Graph(graph) => differs(&graph.ops, version),
        Attribute::Graphs(graphs) => graphs.iter().any(|graph| differs(&graph.ops, version)),
        _ => false,
    };
    ops.iter().any(|op| {
        op.domain.is_empty() && onnx::differ("", &op.kind, version - 1, version)
            || op.attributes.iter().any(|(_, attribute)| inside(attribute))
    })
}

/// The graph without what it says of the shapes of its results: ONNX Runtime would repeat that as what it inferred.
fn undeclared(graph: &Graph) -> Graph {
    let mut graph = graph.clone();
    graph.outputs.iter_mut().for_each(|port| port.shape = None);
    graph
}

/// The graph without what ONNX Runtime refuses: constants that nobody uses, which it looks for in vain, names that several
/// operators have, and a version of ONNX that is later than what is used of it.
fn needed(graph: &Graph) -> Graph {
    let mut used: HashSet<&str> = graph.outputs.iter().map(|port| port.name.as_str()).collect();
    graph.ops.iter().for_each(|op| onnx::reads(op, &mut used));
    let mut needed = graph.clone();
    needed.constants.retain(|(name, _)| used.contains(name.as_str()));
    needed.ir_version = needed.ir_version.min(IR_VERSION_MAX);
    name_once(&mut needed.ops);
    needed
}

/// Leaves out names of operators that others had before.
fn name_once(ops: &mut [Op]) {
    let mut names = HashSet::new();
    for op in ops {
        if !names.insert(op.name.clone()) {
            op.name.clear();
        }
        for (_, attribute) in &mut op.attributes {
            match attribute {
                Attribute::Graph(graph) => name_once(&mut graph.ops),
                Attribute::Graphs(graphs) => graphs.iter_mut().for_each(|graph| name_once(&mut graph.ops)),
                _ => {}
            }
        }
    }
}

/// The graph, in later operators where its own are older than ONNX Runtime.
pub(super) fn modern(graph: &Graph) -> Result<Graph, Fault> {
    const TARGET: onnx::Target = onnx::Target { name: "ONNX Runtime", native: |_, _| true };
    let old = |opset: &Opset| opset.domain.is_empty() && opset.version < OPSET_MIN;
    match graph.opsets.iter().any(old) {
        true => onnx::plain(graph, &onnx::Limits::default(), &TARGET),
        false => Ok(graph.clone()),
    }
}

fn options(runtime: &Runtime, math: Math) -> ort::Result<SessionBuilder> {
    let builder = runtime.on_cpu()?.with_optimization_level(GraphOptimizationLevel::All)?.with_env_allocators()?;
    if math == Math::Fast {
        return Ok(builder);
    }
    // Products of 8-bit integers are summed in 16 bits on some processors, and saturate there.
    let builder = builder.with_config_entry("session.x64quantprecision", "1")?;
    Ok(builder.with_config_entry("session.qdq_matmulnbits_accuracy_level", EXACT)?)
}

/// `MatMulNBits` with its activations as they are; its default rounds them to 8 bits.
const EXACT: &str = "1";

/// Products with weights of few bits keep their activations, in subgraphs too.
fn keep_activations(ops: &mut [Op]) {
    for op in ops {
        if op.kind == "MatMulNBits" && op.domain == "com.microsoft" {
            op.attributes.retain(|(name, _)| name != "accuracy_level");
            op.attributes.push(("accuracy_level".into(), Attribute::Int(1)));
        }
        for (_, attribute) in &mut op.attributes {
            match attribute {
                Attribute::Graph(graph) => keep_activations(&mut graph.ops),
                Attribute::Graphs(graphs) => graphs.iter_mut().for_each(|graph| keep_activations(&mut graph.ops)),
                _ => {}
            }
        }
    }
}

/// Gives the session its weights where they are, instead of copies.
fn add_weights(
    builder: &mut SessionBuilder,
    graph: &Graph,
    names: &[String],
    runtime: &Runtime,
) -> Result<Vec<Value>, Fault> {
    let mut weights = Vec::with_capacity(names.len());
    let names = names.iter().map(|name| c_name(name)).collect::<Result<Vec<_>, _>>()?;
    let mut rest = names.iter();
    // They come in the order of the graph.
    let mut next = rest.next();
    for (name, tensor) in &graph.constants {
        if next.is_some_and(|wanted| wanted.as_bytes() == name.as_bytes()) {
            weights.push(Value::of(tensor, &runtime.host)?);
            next = rest.next();
        }
    }
    if weights.is_empty() {
        return Ok(weights);
    }
    let (c_names, values) = (pointers_of(&names), weights.iter().map(Value::pointer).collect::<Vec<_>>());
    // SAFETY: names and values are as many as is told; the values live as long as the session.
    let added = unsafe {
        check((ort::api().AddExternalInitializers)(builder.ptr_mut(), c_names.as_ptr(), values.as_ptr(), values.len()))
    };
    added.map_err(fault::of_load)?;
    Ok(weights)
}

/// What the graph declares, as far as ONNX Runtime infers the same rank and the same numbers; elements that it does not
/// declare, as inferred. Inferred extents are not always those that it computes.
fn signature(graph: &Graph, session: &ort::session::Session) -> Signature {
    let mut signature = graph.signature();
    for port in &mut signature.outputs {
        let found = session.outputs().iter().find(|output| output.name() == port.name);
        if let Some(ValueType::Tensor { ty, shape, .. }) = found.map(|output| output.dtype()) {
            port.element = port.element.or_else(|| element((*ty).into()));
            port.shape = port.shape.take().and_then(|declared| doubted(declared, shape));
        }
    }
    signature
}

/// Declared extents, open where another one is inferred; none where no rank is inferred, which looks like a scalar.
fn doubted(declared: Vec<Extent>, inferred: &[i64]) -> Option<Vec<Extent>> {
    if declared.len() != inferred.len() {
        return (!inferred.is_empty()).then(|| vec![Extent::Any; inferred.len()]);
    }
    let differ = |extent: &Extent, inferred: i64| match extent {
        Extent::Fixed(extent) => *extent as i64 != inferred,
        Extent::Named(_) | Extent::Any => false,
    };
    let pairs = declared.into_iter().zip(inferred);
    Some(pairs.map(|(extent, &inferred)| if differ(&extent, inferred) { Extent::Any } else { extent }).collect())
}

fn c_name(name: &str) -> Result<CString, Fault> {
    CString::new(name).map_err(|_| Fault::Invalid(format!("the name {name:?} has a zero in it")))
}

fn pointers_of(names: &[CString]) -> Vec<*const c_char> {
    names.iter().map(|name| name.as_ptr()).collect()
}
