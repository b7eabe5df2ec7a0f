//! Why a model is refused, and what to do about it.

use burst_host::nouns::{Fault, ShapeError};

/// Why an ONNX model can't be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OnnxError {
    /// Not ONNX, cut off, or damaged.
    #[error("not a sound ONNX file, export or download it again: {0}")]
    Malformed(String),
    /// More than [`super::Limits`] allow.
    #[error("{what}: {found}, at most {max} are allowed; use a smaller model or cut it into fragments")]
    Limit { what: &'static str, found: usize, max: usize },
    /// Weights beside the file.
    #[error("the contents of `{tensor}` are in another file; save the model as one file (save_as_external_data=False)")]
    External { tensor: String },
    /// Sound ONNX that this host does not take.
    #[error("{0} is not supported; export the model without it")]
    Unsupported(String),
    /// A tensor's type, extents and contents don't agree.
    #[error("tensor `{tensor}`: {reason}; export the model again")]
    Tensor { tensor: String, reason: String },
    /// Nothing yields a value that is used.
    #[error("`{value}` is used by `{user}`, but nothing yields it; export the model again")]
    Undefined { value: String, user: String },
    /// A value is used to compute itself.
    #[error("`{value}` is used by `{user}` before it is computed; cut the model's cycles")]
    Order { value: String, user: String },
    /// Two things yield one value.
    #[error("`{0}` is defined twice; give every value a name of its own")]
    Duplicate(String),
    /// A function that calls itself, by whatever way.
    #[error("function `{0}` calls itself; ONNX has no recursion")]
    Recursion(String),
    /// Only host tensors can be written.
    #[error("the contents of `{0}` are on a device; download them first")]
    OnDevice(String),
}

impl OnnxError {
    pub(super) fn shape(tensor: &str, error: ShapeError) -> Self {
        Self::Tensor { tensor: tensor.into(), reason: error.to_string() }
    }

    /// `Err` when `found` is more than `max`.
    pub(super) fn limit(what: &'static str, found: usize, max: usize) -> Result<(), Self> {
        if found > max { Err(Self::Limit { what, found, max }) } else { Ok(()) }
    }
}

impl From<OnnxError> for Fault {
    fn from(error: OnnxError) -> Self {
        let text = error.to_string();
        match error {
            OnnxError::Limit { .. } => Self::TooLarge(text),
            OnnxError::Unsupported(_) | OnnxError::External { .. } => Self::Unsupported(text),
            _ => Self::Invalid(text),
        }
    }
}
