//! The cases of a set, as its script wrote them.

use super::set::Set;
use burst_adapters::{
    onnx::{self, Limits},
    registry::Directory,
};
use burst_host::{
    nouns::{Fault, Graph, Tensor},
    ports::{Blobs, Registry},
};
use bytes::Bytes;
use serde::Deserialize;
use std::{fs, path::PathBuf, time::Duration};

/// One model, what it is given and what it has to answer.
#[derive(Clone, Deserialize)]
pub struct Case {
    pub name: String,
    /// The operator, or the kind of report, that it tests.
    pub op: String,
    /// Why it is no inference on tensors of numbers, if it is not; then it has no files.
    pub out_of_scope: Option<String>,
    pub rtol: f64,
    pub atol: f64,
    /// The same for each output, where they differ.
    #[serde(default)]
    pub atols: Vec<f64>,
    inputs: usize,
    outputs: usize,
    /// Names of the inputs in the order of their files; those of the model when there are none.
    #[serde(default)]
    pub given: Vec<String>,
    /// Whether -0 is not 0.
    #[serde(default)]
    pub sign_of_zero: bool,
    /// Whether no answer is right.
    #[serde(default)]
    pub refused: bool,
    /// Whether it takes more than a short test can bear.
    #[serde(default)]
    pub large: bool,
    #[serde(skip)]
    directory: PathBuf,
    #[serde(skip)]
    pub limit: Duration,
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

/// Every case of a set, by name; `None` before its script has run.
pub fn all(set: Set) -> Option<Vec<Case>> {
    let index = fs::read(set.cases().join("index.json")).ok()?;
    let index: Index = serde_json::from_slice(&index).expect("the scripts write what is read here");
    let found = |case: Case| Case { directory: set.cases().join(&case.name), limit: set.limit(), ..case };
    Some(index.cases.into_iter().map(found).collect())
}

impl Case {
    /// Decodes the model and its tensors.
    pub async fn read(&self) -> Result<Content, Fault> {
        let model = Bytes::from(self.file("model.onnx"));
        let blobs = self.blobs(&model).await?;
        Ok(Content {
            graph: onnx::decode_with(&model, &blobs, &Limits::default())?,
            inputs: self.tensors("input", self.inputs)?,
            expected: self.tensors("output", self.outputs)?,
        })
    }

    /// What lies beside the model, from where models are served, which follows no name out of it.
    async fn blobs(&self, model: &Bytes) -> Result<Blobs, Fault> {
        let registry = Directory::open(&self.directory).expect("the index lists what is there");
        let mut blobs = Blobs::new();
        for location in onnx::locations(model, &Limits::default())? {
            let found = registry.fetch(&location, Limits::default().external_max_bytes as u64).await;
            let found = found.map_err(|error| Fault::Invalid(error.to_string()))?;
            blobs.insert(location, found.bytes);
        }
        Ok(blobs)
    }

    fn tensors(&self, stem: &str, count: usize) -> Result<Vec<Tensor>, Fault> {
        let file = |index| self.file(&format!("{stem}_{index}.pb"));
        let tensor = |index| Ok(onnx::decode_tensor(&file(index).into(), &Limits::default())?);
        (0..count).map(tensor).collect()
    }

    /// Where a file of it lies.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn file(&self, name: &str) -> Vec<u8> {
        let path = self.path(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}
