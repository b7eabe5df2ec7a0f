//! Which provider would compute which operator of a model.

use super::{
    super::{
        fault,
        runtime::{Runtime, check},
        session::commit,
    },
    provider::Provider,
};
use burst_host::nouns::{Fault, Graph};
use ort::{AsPointer, session::Session, sys};
use std::{
    collections::BTreeMap,
    ffi::{CStr, c_char},
    ptr, slice,
};

/// Operators of one kind, and what would compute them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// `Conv`; with its domain, unless it is ONNX's own.
    pub operator: String,
    /// `OpenVINOExecutionProvider`; `CPUExecutionProvider` for what the NPU does not take.
    pub provider: String,
    pub count: usize,
}

/// ONNX Runtime's own kernels.
const CPU: &str = "CPUExecutionProvider";

impl Placed {
    /// Whether the NPU does not take it.
    pub fn is_left(&self) -> bool {
        self.provider == CPU
    }
}

/// Lets ONNX Runtime place every operator, with its CPU kernels for what the provider does not take. Nothing is run.
pub(super) fn placement(graph: &Graph, provider: &Provider, runtime: &Runtime) -> Result<Vec<Placed>, Fault> {
    let builder = Session::builder(&runtime.environment).map_err(fault::of_load)?;
    let builder = builder.with_config_entry("session.record_ep_graph_assignment_info", "1");
    let builder = provider.add_to(builder.map_err(|error| fault::of_load(error.into()))?, &[], runtime);
    let (session, _weights) = commit(graph, builder.map_err(fault::of_load)?, runtime)?;
    // SAFETY: the session is alive until the end of this function, and owns what is read.
    unsafe { placed(&session) }.map_err(fault::of_load)
}

/// # Safety
/// The session is alive.
unsafe fn placed(session: &Session) -> ort::Result<Vec<Placed>> {
    let (api, mut counts) = (ort::api(), BTreeMap::new());
    let (mut parts, mut count) = (ptr::null(), 0);
    // SAFETY: lists are as long as is told; strings end with a zero; the session owns all of them.
    unsafe {
        check((api.Session_GetEpGraphAssignmentInfo)(session.ptr(), &mut parts, &mut count))?;
        for &part in list(parts, count) {
            let provider = text(|out| (api.EpAssignedSubgraph_GetEpName)(part, out))?;
            let (mut nodes, mut count) = (ptr::null(), 0);
            check((api.EpAssignedSubgraph_GetNodes)(part, &mut nodes, &mut count))?;
            for &node in list(nodes, count) {
                let domain = text(|out| (api.EpAssignedNode_GetDomain)(node, out))?;
                let kind = text(|out| (api.EpAssignedNode_GetOperatorType)(node, out))?;
                let operator = if domain.is_empty() { kind } else { format!("{domain}.{kind}") };
                *counts.entry((operator, provider.clone())).or_insert(0) += 1;
            }
        }
    }
    Ok(counts.into_iter().map(|((operator, provider), count)| Placed { operator, provider, count }).collect())
}

/// # Safety
/// The list is null, or as long as is told.
unsafe fn list<'a, T>(first: *const T, count: usize) -> &'a [T] {
    // SAFETY: as the caller says.
    if first.is_null() { &[] } else { unsafe { slice::from_raw_parts(first, count) } }
}

/// # Safety
/// The getter gives a string that ends with a zero, or an error.
unsafe fn text(get: impl FnOnce(*mut *const c_char) -> sys::OrtStatusPtr) -> ort::Result<String> {
    let mut text = ptr::null();
    // SAFETY: as the caller says.
    unsafe {
        check(get(&mut text))?;
        Ok(if text.is_null() { String::new() } else { CStr::from_ptr(text).to_string_lossy().into_owned() })
    }
}
