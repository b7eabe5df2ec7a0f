//! How a tensor is made from a frame: crop, resize, colour, layout, scale and bias in one pass.

use super::{Element, Fault, Shape, Spec};

/// A rectangle in pixels, from the upper left corner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rectangle {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// How a crop of another aspect ratio is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Each axis scaled on its own.
    Stretch,
    /// One scale for both axes, centred, the rest filled with grey 114.
    Letterbox,
}

/// The order of axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    Nchw,
    Nhwc,
}

/// The order of colour channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    Rgb,
    Bgr,
    Grey,
}

impl Colour {
    /// The number of channels.
    pub fn channels(self) -> usize {
        match self {
            Self::Rgb | Self::Bgr => 3,
            Self::Grey => 1,
        }
    }
}

/// One pass over a frame. The value of a channel is `pixel * scale + bias`, pixel in 0–255.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// The whole frame when `None`.
    pub crop: Option<Rectangle>,
    /// Extent of the result, in pixels.
    pub width: u32,
    /// Extent of the result, in pixels.
    pub height: u32,
    pub fit: Fit,
    pub layout: Layout,
    pub colour: Colour,
    pub element: Element,
    /// Per channel, in the order of `colour`.
    pub scale: [f32; 3],
    /// Per channel, added after `scale`.
    pub bias: [f32; 3],
}

impl View {
    /// The value that a letterbox is filled with, before scale and bias. YOLO's grey.
    pub const FILL: f32 = 114.0;

    /// What the view of a frame yields: `[1, c, h, w]` or `[1, h, w, c]`.
    pub fn spec(&self) -> Result<Spec, Fault> {
        let (height, width, channels) = (self.height as usize, self.width as usize, self.colour.channels());
        if height == 0 || width == 0 {
            return Err(Fault::Invalid("a view's width and height are at least 1".into()));
        }
        let extents = match self.layout {
            Layout::Nchw => [1, channels, height, width],
            Layout::Nhwc => [1, height, width, channels],
        };
        let shape = Shape::new(extents).map_err(|error| Fault::TooLarge(error.to_string()))?;
        Ok(Spec { element: self.element, shape })
    }

    /// The part of a `width` x `height` frame that is looked at, checked to lie inside it.
    pub fn crop_within(&self, width: u32, height: u32) -> Result<Rectangle, Fault> {
        let Some(crop) = self.crop else {
            return Ok(Rectangle { left: 0, top: 0, width, height });
        };
        let fits = |start: u32, extent: u32, limit: u32| {
            extent > 0 && start.checked_add(extent).is_some_and(|end| end <= limit)
        };
        if fits(crop.left, crop.width, width) && fits(crop.top, crop.height, height) {
            Ok(crop)
        } else {
            Err(Fault::Invalid(format!("the crop {crop:?} is not inside the {width}x{height} frame")))
        }
    }
}
