//! What the machines of a cluster are called, and where they stand.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// A node's name: the box, a dot, and the premises that it stands on, as in `press-3.hall-a`. Between boxes it is the
/// common name of the node's certificate, so whoever signs certificates says where boxes stand.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct NodeName(Arc<str>);

/// Why a text is no node's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no node's name; one is a box, a dot and its premises, of small letters, digits and `-`: `press-3.hall-a`"
)]
pub struct NodeNameError(String);

impl NodeName {
    /// As long as a common name may be.
    pub const LENGTH_MAX: usize = 64;

    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where it stands: what is derived from frames goes to nodes of the same premises only.
    pub fn premises(&self) -> &str {
        self.0.split_once('.').map_or("", |(_, premises)| premises)
    }
}

impl FromStr for NodeName {
    type Err = NodeNameError;

    fn from_str(text: &str) -> Result<Self, NodeNameError> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let word = |word: &str| !word.is_empty() && word.chars().all(plain);
        let good = text.len() <= Self::LENGTH_MAX
            && text.split_once('.').is_some_and(|(name, premises)| word(name) && premises.split('.').all(word));
        if good { Ok(Self(text.into())) } else { Err(NodeNameError(text.chars().take(80).collect())) }
    }
}

impl TryFrom<String> for NodeName {
    type Error = NodeNameError;

    fn try_from(text: String) -> Result<Self, NodeNameError> {
        text.parse()
    }
}

impl From<NodeName> for String {
    fn from(name: NodeName) -> Self {
        name.0.as_ref().into()
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_where_the_box_stands() {
        let name: NodeName = "press-3.hall-a.north".parse().unwrap();
        assert_eq!(name.premises(), "hall-a.north");
        let long = format!("{}.hall", "a".repeat(60));
        for wrong in ["", "press", ".hall", "press.", "Press.hall", "press..hall", "press.hall/a", "press.*", &long] {
            assert!(wrong.parse::<NodeName>().is_err(), "{wrong}");
        }
    }
}
