//! Who may say what a node runs.

use crate::nouns::Seal;

/// Why nobody who may has said it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("nobody may deploy to this node: name a public key in cluster.deployers")]
    Nobody,
    #[error("it is not signed: give `burst deploy` a --key")]
    Unsigned,
    #[error("none of cluster.deployers has signed it")]
    Stranger,
}

/// Knows those whose word counts.
pub trait Trust: Send + Sync {
    /// Whether one of them has signed exactly these bytes.
    fn verify(&self, message: &[u8], seal: Option<&Seal>) -> Result<(), Distrust>;
}
