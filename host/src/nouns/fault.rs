//! What can go wrong with tensors and graphs, by what the caller can do about it.

use serde::{Deserialize, Serialize};

/// The error of the accelerator port and of the guest's tensor calls; the WIT `fault` case for case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Fault {
    /// The call itself is wrong; the text says how.
    #[error("invalid: {0}")]
    Invalid(String),
    /// Nothing has this name here.
    #[error("nothing here is called `{0}`")]
    NotFound(String),
    /// Valid, but no device here can do it.
    #[error("unsupported: {0}")]
    Unsupported(String),
    /// A limit would be exceeded; the text says which and how large it is.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The device has no memory left; the same call may succeed later.
    #[error("the device is out of memory")]
    OutOfMemory,
    /// The deadline of the request passed.
    #[error("the deadline passed")]
    TimedOut,
    /// The device went away.
    #[error("the device was lost")]
    DeviceLost,
}

impl Fault {
    /// The same, and which part of a model it is about, where there is a text to say so.
    pub fn within(self, part: &str) -> Self {
        let told = |text| format!("{part}: {text}");
        match self {
            Self::Invalid(text) => Self::Invalid(told(text)),
            Self::Unsupported(text) => Self::Unsupported(told(text)),
            Self::TooLarge(text) => Self::TooLarge(told(text)),
            fault @ (Self::NotFound(_) | Self::OutOfMemory | Self::TimedOut | Self::DeviceLost) => fault,
        }
    }
}
