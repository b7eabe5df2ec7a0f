//! Frame sources: images in a directory, `.y4m` files, a drawn scene; each at its own pace.

mod images;
mod paced;
pub mod scene;
mod y4m;

use burst_host::{
    nouns::manifest::CameraSource,
    ports::{FrameSource, SourceError},
};
use images::Images;
use paced::Paced;
use scene::Scene;
use std::path::Path;
use y4m::Y4m;

/// The largest width and height of a frame, in pixels.
pub const EXTENT_MAX: u32 = 8192;

/// Frames per second of a replay that has no rate of its own.
const FPS: f32 = 5.0;

/// The source that the manifest in directory `base` describes. Reads a header or a directory: may wait for a disk.
///
/// Fails with `Permanent`: a missing path, a format that nobody here reads, a rate or an extent out of bounds.
pub fn open(camera: &str, config: &CameraSource, base: &Path) -> Result<Box<dyn FrameSource>, SourceError> {
    match config {
        CameraSource::Replay { path, fps } => replay(camera, &base.join(path), *fps),
        CameraSource::Scene { width, height, fps, seed } => {
            let scene = Scene::new(width.get(), height.get(), *fps, *seed)?;
            Ok(Box::new(Paced::new(camera, *fps, scene.reel())?))
        }
    }
}

fn replay(camera: &str, path: &Path, fps: Option<f32>) -> Result<Box<dyn FrameSource>, SourceError> {
    if path.is_dir() {
        return Ok(Box::new(Paced::new(camera, fps.unwrap_or(FPS), Images::open(path)?)?));
    }
    if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("y4m")) {
        let film = Y4m::open(path)?;
        let fps = fps.or(film.fps()).unwrap_or(FPS);
        return Ok(Box::new(Paced::new(camera, fps, film)?));
    }
    let what = if path.exists() { "neither a directory nor a `.y4m` file" } else { "not there" };
    Err(SourceError::Permanent(format!("`{}` is {what}", path.display())))
}

#[cfg(test)]
mod tests;
