//! Where frames come from.

use crate::nouns::Frame;
use async_trait::async_trait;

/// Why a source can't give frames, by what the lane does about it.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing will change by trying again: a missing file, an unknown format.
    #[error("{0}")]
    Permanent(String),
    /// Trying again may help: a camera that is away, a damaged frame.
    #[error("{0}")]
    Passing(String),
}

/// A camera, or what stands for one, at its own pace.
#[async_trait]
pub trait FrameSource: Send {
    /// The next frame, when it is due; `None` when there will be no more. `sequence` counts from 0.
    ///
    /// Dropping the future loses at most the frame in flight.
    async fn next(&mut self) -> Result<Option<Frame>, SourceError>;
}
