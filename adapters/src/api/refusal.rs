//! Why a client got no answer: a status, and a text under `error`.

use axum::{
    http::{HeaderValue, Method, StatusCode, header},
    response::{IntoResponse, Response},
};
use burst_host::{loops::serve::ServeError, mechanisms::sequences::SequenceError};
use serde_json::json;
use std::time::Duration;

/// A refusal in the protocol's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub(crate) struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    /// After which a client that met a full queue may try again.
    const RETRY: Duration = Duration::from_secs(1);

    /// Refusals quote what they refuse, and that may be long.
    const TEXT_MAX_BYTES: usize = 512;

    fn new(status: StatusCode, text: impl Into<String>) -> Self {
        let mut text = text.into();
        text.truncate(text.floor_char_boundary(Self::TEXT_MAX_BYTES));
        Self { status, text }
    }

    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub fn not_found(text: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, text)
    }

    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, text)
    }

    pub fn conflict(text: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, text)
    }

    pub fn method(method: &Method) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("{method} is not allowed here"))
    }

    pub fn too_large(max_bytes: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is above {max_bytes} bytes"))
    }

    pub fn ratio() -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "the body is compressed more than 20 to 1")
    }

    pub fn media(text: impl Into<String>) -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text)
    }

    pub fn slow_body() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "the body took too long")
    }

    pub fn busy(text: impl Into<String>) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, text)
    }

    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text)
    }

    pub fn unsupported(what: &str) -> Self {
        Self::new(StatusCode::NOT_IMPLEMENTED, format!("{what} is not supported"))
    }

    pub fn internal(text: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, text)
    }

    #[cfg(test)]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl From<ServeError> for Refusal {
    fn from(error: ServeError) -> Self {
        let status = match error {
            ServeError::NotFound(_) => StatusCode::NOT_FOUND,
            ServeError::Invalid(_) | ServeError::Refused(_) => StatusCode::BAD_REQUEST,
            ServeError::Sequence(SequenceError::Unknown(_)) => StatusCode::BAD_REQUEST,
            ServeError::Sequence(SequenceError::Busy(_)) => StatusCode::CONFLICT,
            ServeError::Busy(_) | ServeError::Sequence(SequenceError::Full(_)) => StatusCode::TOO_MANY_REQUESTS,
            ServeError::Draining | ServeError::DeviceLost => StatusCode::SERVICE_UNAVAILABLE,
            ServeError::TimedOut => StatusCode::GATEWAY_TIMEOUT,
            ServeError::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(json!({ "error": self.text }))).into_response();
        let headers = response.headers_mut();
        if matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(Self::RETRY.as_secs()));
        }
        if self.status == StatusCode::REQUEST_TIMEOUT {
            // The rest of the body can't be told from the next request.
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burst_host::nouns::SequenceId;

    #[test]
    fn steps_that_can_not_be_have_a_status_each() {
        let status = |error: SequenceError| Refusal::from(ServeError::from(error)).status.as_u16();
        assert_eq!(status(SequenceError::Unknown(SequenceId::Number(7))), 400);
        assert_eq!(status(SequenceError::Busy(SequenceId::Text("a text".into()))), 409);
        assert_eq!(status(SequenceError::Full(16)), 429);
    }
}
