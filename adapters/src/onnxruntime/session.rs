//! A graph as a session of ONNX Runtime, which all guests share.

use super::{
    Math, compat,
    element::element,
    fault, optimizers,
    runtime::{Runtime, check},
    value::Value,
};
use crate::onnx;
use burst_host::nouns::{Extent, Fault, Graph, Port, Signature, Tensor};
use ort::{
    AsPointer,
    session::{
        RunOptions,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::ValueType,
};
use std::{
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

/// What ONNX Runtime says of an operator set that was not released when it was built.
const TOO_NEW: &str = "is under development";

impl Session {
    /// Loads a graph on ONNX Runtime's own CPU kernels: takes milliseconds to seconds, and packs weights.
    pub(super) fn new(graph: &Graph, math: Math, runtime: &Arc<Runtime>) -> Result<Self, Fault> {
        let graph = compat::guarded(graph, math)?;
        let entries = optimizers::entries(&graph, math);
        let mut written = compat::undeclared(&graph);
        loop {
            let builder = options(runtime, math, &entries).map_err(fault::of_load)?;
            match commit(&written, builder, runtime) {
                Err(Fault::Unsupported(reason)) if reason.contains(TOO_NEW) && compat::lowered(&mut written) => {}
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

/// The graph as a session of ONNX Runtime's, and the weights that it reads where they are: they have to outlive it.
pub(super) fn commit(
    graph: &Graph,
    mut builder: SessionBuilder,
    runtime: &Runtime,
) -> Result<(ort::session::Session, Vec<Value>), Fault> {
    let mut names = Vec::new();
    let graph = &compat::needed(graph);
    let model = onnx::encode_apart(graph, |name, _| {
        names.push(name.to_owned());
        Ok::<_, onnx::OnnxError>(name.to_owned())
    })?;
    let weights = add_weights(&mut builder, graph, &names, runtime)?;
    Ok((builder.commit_from_memory(&model).map_err(fault::of_load)?, weights))
}

fn options(runtime: &Runtime, math: Math, entries: &[(&str, String)]) -> ort::Result<SessionBuilder> {
    let mut builder = runtime.on_cpu()?.with_optimization_level(GraphOptimizationLevel::All)?.with_env_allocators()?;
    if math == Math::Exact {
        builder = builder.with_config_entry("session.qdq_matmulnbits_accuracy_level", EXACT)?;
    }
    entries.iter().try_fold(builder, |builder, (key, value)| Ok(builder.with_config_entry(*key, value)?))
}

/// `MatMulNBits` with its activations as they are; its default rounds them to 8 bits.
const EXACT: &str = "1";

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
            doubt(port, shape);
        }
    }
    signature
}

/// Declared extents, open where another one is inferred; none where no rank is inferred, which looks like a scalar.
fn doubt(port: &mut Port, inferred: &[i64]) {
    let declared = port.shape.as_ref().map(Vec::len);
    if declared.is_some_and(|rank| rank != inferred.len()) {
        port.shape = (!inferred.is_empty()).then(|| vec![Extent::Any; inferred.len()]);
    } else {
        port.doubt(&inferred.iter().map(|&extent| usize::try_from(extent).ok()).collect::<Vec<_>>());
    }
}

fn c_name(name: &str) -> Result<CString, Fault> {
    CString::new(name).map_err(|_| Fault::Invalid(format!("the name {name:?} has a zero in it")))
}

fn pointers_of(names: &[CString]) -> Vec<*const c_char> {
    names.iter().map(|name| name.as_ptr()).collect()
}
