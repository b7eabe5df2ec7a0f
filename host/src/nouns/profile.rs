//! What a node was measured to take for each fragment of a cut model.

use super::Digest;
use serde::{Deserialize, Serialize};

/// The measurements of one node, a file that `burst profile` writes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// [`Profile::VERSION`]; another one is refused.
    pub version: u32,
    /// Of the plan whose fragments were measured.
    pub plan: Digest,
    /// What computed them.
    pub device: String,
    /// In the order of the plan.
    pub fragments: Vec<Measured>,
}

/// One fragment on one node.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Measured {
    /// The median run.
    pub compute_us: f64,
    /// Nine of ten runs take no longer.
    pub compute_p90_us: f64,
    pub runs: usize,
}

/// Why a profile is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ProfileError {
    #[error("it is no profile, measure again: {0}")]
    Malformed(String),
    #[error("it is a profile of version {0}, this host reads version {version}: measure again", version = Profile::VERSION)]
    Version(u32),
    #[error("it was measured on {found}, not on the plan {expected}; measure again")]
    Plan { found: Digest, expected: Digest },
    #[error("it has {found} fragments, the plan has {expected}; measure again")]
    Fragments { found: usize, expected: usize },
    #[error("a time of {0} µs is none; measure again")]
    Time(f64),
}

impl Profile {
    /// The version that this host writes and reads.
    pub const VERSION: u32 = 1;

    /// Reads a profile of `plan`, which has so many fragments.
    pub fn parse(json: &[u8], plan: Digest, fragments: usize) -> Result<Self, ProfileError> {
        let profile: Self = serde_json::from_slice(json).map_err(|error| ProfileError::Malformed(error.to_string()))?;
        if profile.version != Self::VERSION {
            return Err(ProfileError::Version(profile.version));
        }
        if profile.plan != plan {
            return Err(ProfileError::Plan { found: profile.plan, expected: plan });
        }
        if profile.fragments.len() != fragments {
            return Err(ProfileError::Fragments { found: profile.fragments.len(), expected: fragments });
        }
        let times = profile.fragments.iter().map(|measured| measured.compute_us);
        match times.into_iter().find(|time| !time.is_finite() || *time < 0.0) {
            Some(time) => Err(ProfileError::Time(time)),
            None => Ok(profile),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(version: u32, times: &[f64]) -> Vec<u8> {
        let measured = |&compute_us: &f64| Measured { compute_us, compute_p90_us: compute_us, runs: 3 };
        let fragments = times.iter().map(measured).collect();
        serde_json::to_vec(&Profile { version, plan: Digest::of(b"plan"), device: "cpu".into(), fragments }).unwrap()
    }

    fn check(json: &[u8], plan: &[u8], part: &str) {
        let error = Profile::parse(json, Digest::of(plan), 2).unwrap_err().to_string();
        assert!(error.contains(part), "{error} has no `{part}`");
    }

    #[test]
    fn a_profile_is_of_one_plan() {
        assert!(Profile::parse(&profile(1, &[1.0, 2.0]), Digest::of(b"plan"), 2).is_ok());
        check(b"{}", b"plan", "no profile");
        check(&profile(2, &[1.0, 2.0]), b"plan", "version 2");
        check(&profile(1, &[1.0, 2.0]), b"another", "not on the plan");
        check(&profile(1, &[1.0]), b"plan", "1 fragments");
        check(&profile(1, &[1.0, -2.0]), b"plan", "-2 µs");
    }
}
