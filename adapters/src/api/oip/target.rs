//! Which guest a path speaks of.

use super::{super::refusal::Refusal, VERSION};
use axum::{
    extract::FromRequestParts,
    http::{Uri, request::Parts},
};

/// The guest of `/v2/models/{model}` and below; its version, when given, is the one there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Target(pub String);

impl Target {
    // Names of guests need no escapes, so the path is compared as it came.
    fn of(uri: &Uri) -> Result<Self, Refusal> {
        let mut segments = uri.path().split('/').skip(3);
        let name = segments.next().unwrap_or_default();
        match (segments.next(), segments.next()) {
            (Some("versions"), Some(version)) if version != VERSION => {
                Err(Refusal::not_found(format!("`{name}` has no version `{version}`, only `{VERSION}`")))
            }
            _ => Ok(Self(name.to_owned())),
        }
    }

    /// That there is none of this name.
    pub fn unknown(&self) -> Refusal {
        Refusal::not_found(format!("there is no guest `{}`", self.0))
    }
}

impl<S: Sync> FromRequestParts<S> for Target {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        Self::of(&parts.uri)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &'static str, expected: Option<&str>) {
        let target = Target::of(&Uri::from_static(path)).ok();
        assert_eq!(target.as_ref().map(|target| target.0.as_str()), expected, "{path}");
    }

    #[test]
    fn the_only_version_may_be_named() {
        check("/v2/models/digits", Some("digits"));
        check("/v2/models/digits/infer", Some("digits"));
        check("/v2/models/digits/versions/1/infer", Some("digits"));
        check("/v2/models/digits/versions/2/infer", None);
        check("/v2/models/digits/versions//infer", None);
    }
}
