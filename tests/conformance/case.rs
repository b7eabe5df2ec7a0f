//! The cases that `cases.py` wrote.

use crate::support::root;
use burst_adapters::onnx::{self, Limits, OnnxError};
use burst_host::nouns::{Graph, Tensor};
use serde::Deserialize;
use std::{fs, path::PathBuf};

/// One node test of ONNX.
#[derive(Clone, Deserialize)]
pub struct Case {
    pub name: String,
    /// The operator that it tests.
    pub op: String,
    /// Why it is no inference on tensors of numbers, if it is not; then it has no files.
    pub out_of_scope: Option<String>,
    pub rtol: f64,
    pub atol: f64,
    inputs: usize,
    outputs: usize,
}

/// What a case is made of.
pub struct Content {
    pub graph: Graph,
    pub inputs: Vec<Tensor>,
    pub expected: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Index {
    cases: Vec<Case>,
}

/// Every case, by name; `None` before `cases.py` has run.
pub fn all() -> Option<Vec<Case>> {
    let index = fs::read(directory().join("index.json")).ok()?;
    let index: Index = serde_json::from_slice(&index).expect("cases.py writes what is read here");
    Some(index.cases)
}

fn directory() -> PathBuf {
    root().join("target/conformance/cases")
}

impl Case {
    /// Decodes the model and its tensors.
    pub fn read(&self) -> Result<Content, OnnxError> {
        Ok(Content {
            graph: onnx::decode(&self.file("model.onnx").into(), &Limits::default())?,
            inputs: self.tensors("input", self.inputs)?,
            expected: self.tensors("output", self.outputs)?,
        })
    }

    fn tensors(&self, stem: &str, count: usize) -> Result<Vec<Tensor>, OnnxError> {
        let file = |index| self.file(&format!("{stem}_{index}.pb"));
        (0..count).map(|index| onnx::decode_tensor(&file(index).into(), &Limits::default())).collect()
    }

    fn file(&self, name: &str) -> Vec<u8> {
        let path = directory().join(&self.name).join(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
