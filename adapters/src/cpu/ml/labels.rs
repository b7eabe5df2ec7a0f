//! The classes that a classifier names.

use super::attributes::{ints, texts};
use tract_onnx::{pb::NodeProto, tract_hir::internal::*};

/// Names of classes.
#[derive(Debug)]
pub enum Labels {
    Longs(Vec<i64>),
    Texts(Vec<String>),
}

impl Labels {
    pub fn of(node: &NodeProto, longs: &str) -> TractResult<Self> {
        let (longs, texts) = (ints(node, longs).to_vec(), texts(node, "classlabels_strings"));
        match (longs.is_empty(), texts.is_empty()) {
            (false, true) => Ok(Self::Longs(longs)),
            (true, false) => Ok(Self::Texts(texts)),
            _ => bail!("class labels are numbers or texts"),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Longs(labels) => labels.len(),
            Self::Texts(labels) => labels.len(),
        }
    }

    pub fn element(&self) -> DatumType {
        match self {
            Self::Longs(_) => DatumType::I64,
            Self::Texts(_) => DatumType::String,
        }
    }

    /// The labels of classes; what is no class of its own is a number, as ONNX Runtime has it.
    pub fn named(&self, classes: &[Class]) -> TractResult<Tensor> {
        let place = |class: &Class| match *class {
            Class::Label(place) if place < self.len() => Ok(place),
            Class::Label(_) | Class::Sign(_) => Err(format_err!("no such class")),
        };
        Ok(match self {
            Self::Longs(labels) => {
                let label = |class: &Class| match class {
                    Class::Sign(positive) => Ok(i64::from(*positive)),
                    label => place(label).map(|place| labels[place]),
                };
                tensor1(&classes.iter().map(label).collect::<TractResult<Vec<i64>>>()?)
            }
            Self::Texts(labels) => {
                let label = |class: &Class| match class {
                    Class::Sign(positive) => Ok(String::from(if *positive { "1" } else { "0" })),
                    label => place(label).map(|place| labels[place].clone()),
                };
                tensor1(&classes.iter().map(label).collect::<TractResult<Vec<String>>>()?)
            }
        })
    }
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The label at this place.
    Label(usize),
    /// 1 or 0, where ONNX Runtime looks no label up.
    Sign(bool),
}
