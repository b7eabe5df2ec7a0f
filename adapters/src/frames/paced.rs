//! Turns what makes one picture after the other into a frame source with a pace.

use async_trait::async_trait;
use burst_host::{
    nouns::{ColourSpace, Frame, PixelFormat},
    ports::{FrameSource, SourceError},
};
use bytes::Bytes;
use std::{
    mem,
    ops::RangeInclusive,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    task::{JoinHandle, spawn_blocking},
    time::{Interval, MissedTickBehavior, interval},
};

/// Frames per second that a source may be asked for.
const FPS: RangeInclusive<f32> = 0.001..=1000.0;

/// A frame without its place in time.
pub(super) struct Picture {
    pub width: u32,
    pub height: u32,
    pub format: PixelFormat,
    pub colour: ColourSpace,
    /// Exactly `format.bytes(width, height)` long.
    pub pixels: Bytes,
}

/// Makes one picture after the other, without end.
pub(super) trait Reel: Send + 'static {
    /// The next picture. Blocks: it reads, decodes or draws.
    fn next(&mut self) -> Result<Picture, SourceError>;
}

type Outcome<R> = (R, Result<Picture, SourceError>);

enum Stage<R> {
    Idle(R),
    /// Kept here and not in the future of `next`, so that dropping that future loses nothing.
    Busy(JoinHandle<Outcome<R>>),
    Broken,
}

/// A reel, shown at a fixed rate while somebody looks. Whoever comes late sees the next picture at the next due time.
pub(super) struct Paced<R> {
    camera: Arc<str>,
    period: Duration,
    /// Made by the first `next`, which is the first call that surely runs inside a runtime.
    ticks: Option<Interval>,
    stage: Stage<R>,
    sequence: u64,
}

impl<R: Reel> Paced<R> {
    pub fn new(camera: &str, fps: f32, reel: R) -> Result<Self, SourceError> {
        Ok(Self { camera: camera.into(), period: period(fps)?, ticks: None, stage: Stage::Idle(reel), sequence: 0 })
    }

    async fn due(&mut self) {
        let ticks = self.ticks.get_or_insert_with(|| {
            let mut ticks = interval(self.period);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            ticks
        });
        ticks.tick().await;
    }

    fn start(&mut self) {
        self.stage = match mem::replace(&mut self.stage, Stage::Broken) {
            Stage::Idle(mut reel) => Stage::Busy(spawn_blocking(move || {
                let picture = reel.next();
                (reel, picture)
            })),
            other => other,
        };
    }

    fn stamp(&mut self, picture: Picture) -> Frame {
        let sequence = self.sequence;
        self.sequence += 1;
        let Picture { width, height, format, colour, pixels } = picture;
        Frame {
            camera: self.camera.clone(),
            sequence,
            captured_ns: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos() as u64,
            received: Instant::now(),
            width,
            height,
            format,
            colour,
            pixels,
        }
    }
}

/// The time between two frames; `Permanent` when `fps` is out of bounds.
pub(super) fn period(fps: f32) -> Result<Duration, SourceError> {
    if FPS.contains(&fps) {
        return Ok(Duration::from_secs_f64(1.0 / f64::from(fps)));
    }
    let (least, most) = FPS.into_inner();
    Err(SourceError::Permanent(format!("{fps} frames per second is not within {least} to {most}")))
}

#[async_trait]
impl<R: Reel> FrameSource for Paced<R> {
    async fn next(&mut self) -> Result<Option<Frame>, SourceError> {
        loop {
            match &mut self.stage {
                Stage::Idle(_) => {
                    self.due().await;
                    self.start();
                }
                Stage::Busy(task) => {
                    let outcome = task.await;
                    self.stage = Stage::Broken;
                    let Ok((reel, picture)) = outcome else { continue };
                    self.stage = Stage::Idle(reel);
                    return picture.map(|picture| Some(self.stamp(picture)));
                }
                Stage::Broken => return Err(SourceError::Permanent(format!("the reader of `{}` broke", self.camera))),
            }
        }
    }
}
