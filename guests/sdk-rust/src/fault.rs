//! Faults as texts, in the words that the host uses.

use crate::Fault;

impl Fault {
    /// What the fault says.
    pub fn text(&self) -> String {
        match self {
            Self::Invalid(why) => format!("invalid: {why}"),
            Self::NotFound(name) => format!("nothing here is called `{name}`"),
            Self::Unsupported(what) => format!("unsupported: {what}"),
            Self::TooLarge(what) => format!("too large: {what}"),
            Self::OutOfMemory => "the device is out of memory".into(),
            Self::TimedOut => "the deadline passed".into(),
            Self::DeviceLost => "the device was lost".into(),
        }
    }
}

/// Lets `?` end a guest's function with a fault.
impl From<Fault> for String {
    fn from(fault: Fault) -> Self {
        fault.text()
    }
}
