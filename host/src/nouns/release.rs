//! What every node of a cluster is to run: guests, and the digest of everything that they name. Says nothing of a box.

use super::{
    Digest, NodeName,
    digest::{bytes_of, hex_of},
    manifest::{Guest, ManifestError},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, str::FromStr};

/// The workload of a cluster. Its bytes have one digest, and whoever runs them runs exactly what they name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Release {
    /// [`Release::VERSION`]; another one is refused.
    pub version: u32,
    /// For this cluster: another one may trust the same key.
    pub cluster: String,
    /// From 1 on, one more than that of the release before it.
    pub number: u64,
    /// By the name that clients call them with. Their cameras are those that a node has by that name.
    pub guests: BTreeMap<String, Guest>,
    /// Components, models and what lies beside them, as the guests refer to them.
    pub artefacts: BTreeMap<String, Content>,
}

/// What is behind a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    pub digest: Digest,
    pub bytes: u64,
}

/// Which of several releases counts: the largest. Two that were made on both sides of a cut differ by digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseId {
    pub number: u64,
    /// Of the release's bytes.
    pub digest: Digest,
}

/// An Ed25519 signature: 64 bytes, written as 128 hexadecimal digits. The port of a guest is another `Signature`.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Seal(pub [u8; 64]);

/// A release by its name, and what an operator signed it with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    pub id: ReleaseId,
    /// Left out between the processes of one box only.
    pub seal: Option<Seal>,
}

/// An operator's order to one node: go back to what it served before this release, until a later one comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldBack {
    pub cluster: String,
    pub hold_back: NodeName,
    /// The latest release that the node knows: the same order is worth nothing after another one.
    pub from: ReleaseId,
}

/// What a node tells of its releases.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ReleaseNews {
    /// The largest that it knows.
    pub latest: Option<Sealed>,
    /// What it serves; none where it serves the guests of its own manifest.
    pub serving: Option<ReleaseId>,
    /// What it served before.
    pub previous: Option<ReleaseId>,
    pub state: ReleaseState,
}

/// What a node does about the latest release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReleaseState {
    /// It serves it, or there is none.
    #[default]
    Serving,
    /// Artefacts come from other nodes.
    Pulling,
    /// Its guests are compiled and their pools filled, beside those that serve.
    Warming,
    /// It goes on with what it serves, and tries again; the text says why.
    Failed(String),
    /// An operator has it serve the one before.
    HeldBack,
}

/// Why bytes are no release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReleaseError {
    #[error("it is no release: {0}")]
    Malformed(String),
    #[error("it is a release of version {0}, this host reads version {version}", version = Release::VERSION)]
    Version(u32),
    #[error("a release has a number from 1 on")]
    Number,
    #[error("its `{}`: {}", .0.path.join("."), .0.reason)]
    Guest(ManifestError),
}

impl Release {
    /// The version that this host writes and reads.
    pub const VERSION: u32 = 1;
    /// The largest; each artefact takes some two hundred bytes of it.
    pub const MAX_BYTES: u64 = 16 << 20;

    /// Reads a release and holds it to its rules.
    pub fn parse(json: &[u8]) -> Result<Self, ReleaseError> {
        /// A later version may have other fields.
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let malformed = |error: serde_json::Error| ReleaseError::Malformed(error.to_string());
        let Versioned { version } = serde_json::from_slice(json).map_err(malformed)?;
        if version != Self::VERSION {
            return Err(ReleaseError::Version(version));
        }
        let release: Self = serde_json::from_slice(json).map_err(malformed)?;
        if release.number == 0 {
            return Err(ReleaseError::Number);
        }
        for (name, guest) in &release.guests {
            guest.check(name).map_err(ReleaseError::Guest)?;
        }
        Ok(release)
    }

    /// Writes it: what is signed, and what nodes fetch by its digest.
    pub fn print(&self) -> Result<String, ReleaseError> {
        serde_json::to_string(self).map_err(|error| ReleaseError::Malformed(error.to_string()))
    }

    /// What it is called, printed as these bytes.
    pub fn id(&self, json: &[u8]) -> ReleaseId {
        ReleaseId { number: self.number, digest: Digest::of(json) }
    }
}

impl fmt::Display for ReleaseId {
    /// The number and as much of the digest as people compare.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} ({})", self.number, &self.digest.hex()[..8]))
    }
}

impl fmt::Display for ReleaseState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(why) => write!(f, "failed: {why}"),
            _ => f.pad(self.name()),
        }
    }
}

impl ReleaseState {
    /// Of every state, for those who count.
    pub const NAMES: [&str; 5] = ["serving", "pulling", "warming", "failed", "held-back"];

    /// One word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Serving => "serving",
            Self::Pulling => "pulling",
            Self::Warming => "warming",
            Self::Failed(_) => "failed",
            Self::HeldBack => "held-back",
        }
    }
}

/// Why a text is no signature.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a signature is 128 small hexadecimal digits")]
pub struct SealError;

impl FromStr for Seal {
    type Err = SealError;

    fn from_str(text: &str) -> Result<Self, SealError> {
        bytes_of(text).map(Self).ok_or(SealError)
    }
}

impl TryFrom<String> for Seal {
    type Error = SealError;

    fn try_from(text: String) -> Result<Self, SealError> {
        text.parse()
    }
}

impl From<Seal> for String {
    fn from(seal: Seal) -> Self {
        hex_of(&seal.0)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex_of(&self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(number: u64) -> Release {
        let guest = serde_json::from_str(r#"{"component": "a.wasm"}"#).unwrap();
        let content = Content { digest: Digest::of(b"a"), bytes: 1 };
        Release {
            version: Release::VERSION,
            cluster: "burst".into(),
            number,
            guests: [("a".into(), guest)].into(),
            artefacts: [("a.wasm".into(), content)].into(),
        }
    }

    #[test]
    fn a_release_reads_as_it_was_printed() {
        let json = release(1).print().unwrap();
        assert_eq!(Release::parse(json.as_bytes()), Ok(release(1)));
        assert!(release(1).id(json.as_bytes()) < release(2).id(b"{}"), "the number comes first");
    }

    #[test]
    fn what_is_no_release() {
        assert_eq!(Release::parse(release(0).print().unwrap().as_bytes()), Err(ReleaseError::Number));
        assert_eq!(Release::parse(br#"{"version": 2, "shards": []}"#), Err(ReleaseError::Version(2)));
        let json = release(1).print().unwrap();
        for wrong in [&json[1..], &json.replace("\"number\"", "\"Number\""), &json.replace("sha256:", "md5:"), "", "[]"]
        {
            assert!(matches!(Release::parse(wrong.as_bytes()), Err(ReleaseError::Malformed(_))), "{wrong}");
        }
        let path = ["guests", "a", "pool", "ready"].map(String::from);
        let idle = json.replace("\"ready\":8", "\"ready\":129");
        assert!(matches!(Release::parse(idle.as_bytes()), Err(ReleaseError::Guest(error)) if error.path == path));
    }

    #[test]
    fn a_signature_has_one_spelling() {
        let seal = Seal(std::array::from_fn(|index| index as u8));
        let text = String::from(seal);
        assert_eq!(text.parse(), Ok(seal));
        for wrong in [&text[1..], &text.to_uppercase(), &text.replace('0', "g"), ""] {
            assert!(wrong.parse::<Seal>().is_err(), "{wrong}");
        }
    }
}
