//! Requests that belong together: one after the other, each goes on from where the one before it ended.

use std::fmt;

/// What a client calls a sequence. The number 1 and the text `1` are two.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum SequenceId {
    Number(u64),
    Text(String),
}

impl fmt::Display for SequenceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A request's place in a sequence. One may be both the first and the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sequence {
    pub id: SequenceId,
    /// It begins the sequence, or begins it again.
    pub start: bool,
    /// None comes after it.
    pub end: bool,
}
