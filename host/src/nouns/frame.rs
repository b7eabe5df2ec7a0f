//! One decoded camera frame.

use bytes::Bytes;
use std::{fmt, sync::Arc, time::Instant};

/// How pixels lie in memory: planes one after the other, rows without padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// Luma, then interleaved Cb and Cr at half the extent, rounded up.
    Nv12,
    /// Luma, then Cb, then Cr at half the extent, rounded up.
    I420,
    /// Red, green and blue, 8 bits each.
    Rgb8,
    /// 8 bits of luma.
    Grey8,
}

impl PixelFormat {
    /// Bytes of a frame; `None` on overflow.
    pub fn bytes(self, width: u32, height: u32) -> Option<usize> {
        let (width, height) = (width as usize, height as usize);
        let luma = width.checked_mul(height)?;
        let chroma = width.div_ceil(2).checked_mul(height.div_ceil(2))?.checked_mul(2)?;
        match self {
            Self::Nv12 | Self::I420 => luma.checked_add(chroma),
            Self::Rgb8 => luma.checked_mul(3),
            Self::Grey8 => Some(luma),
        }
    }
}

/// The standard behind luma and chroma.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Matrix {
    /// ITU-R BT.601: standard definition, JPEG.
    #[default]
    Bt601,
    /// ITU-R BT.709: high definition.
    Bt709,
}

/// The values that luma and chroma take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Range {
    /// Luma 16–235, chroma 16–240.
    #[default]
    Limited,
    /// 0–255.
    Full,
}

/// How NV12 and I420 become red, green and blue. Means nothing for the other formats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ColourSpace {
    pub matrix: Matrix,
    pub range: Range,
}

/// A decoded frame. Cloning shares the pixels.
#[derive(Clone)]
pub struct Frame {
    /// The manifest's name of the camera.
    pub camera: Arc<str>,
    /// Counts the frames of its source from 0; gaps are drops.
    pub sequence: u64,
    /// When it was captured, in nanoseconds since the Unix epoch.
    pub captured_ns: u64,
    /// When this host received it: ages are measured from here, never from the wall clock.
    pub received: Instant,
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    pub format: PixelFormat,
    pub colour: ColourSpace,
    /// Exactly `format.bytes(width, height)` long.
    pub pixels: Bytes,
}

/// Pixels never reach a log.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Frame({} #{} {}x{} {:?})", self.camera, self.sequence, self.width, self.height, self.format)
    }
}
