//! Views of a frame, with defaults.

use crate::{Colour, Element, Fit, Layout, Rectangle, View};

impl View {
    /// The whole frame, stretched to `width` x `height` pixels: RGB, NCHW, FP32, values from 0 to 1.
    pub const fn new(width: u32, height: u32) -> Self {
        const UNIT: f32 = 1.0 / 255.0;
        Self {
            crop: None,
            width,
            height,
            fit: Fit::Stretch,
            layout: Layout::Nchw,
            colour: Colour::Rgb,
            element: Element::Fp32,
            scale: (UNIT, UNIT, UNIT),
            bias: (0.0, 0.0, 0.0),
        }
    }

    /// Looks at a part of the frame.
    pub const fn crop(self, rectangle: Rectangle) -> Self {
        Self { crop: Some(rectangle), ..self }
    }

    /// Keeps the aspect ratio and fills the rest with grey.
    pub const fn letterbox(self) -> Self {
        Self { fit: Fit::Letterbox, ..self }
    }

    /// Channels last.
    pub const fn nhwc(self) -> Self {
        Self { layout: Layout::Nhwc, ..self }
    }

    /// Another order of channels, or one channel.
    pub const fn colour(self, colour: Colour) -> Self {
        Self { colour, ..self }
    }

    /// Bytes as they are, 0 to 255.
    pub const fn bytes(self) -> Self {
        Self { element: Element::U8, scale: (1.0, 1.0, 1.0), bias: (0.0, 0.0, 0.0), ..self }
    }

    /// `(value - mean) / deviation`, value from 0 to 1, per channel in the order of the colour.
    pub const fn normalise(self, mean: [f32; 3], deviation: [f32; 3]) -> Self {
        let [a, b, c] = deviation;
        let scale = (1.0 / (255.0 * a), 1.0 / (255.0 * b), 1.0 / (255.0 * c));
        Self { scale, bias: (-mean[0] / a, -mean[1] / b, -mean[2] / c), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normalising_maps_the_mean_to_zero_and_a_deviation_to_one() {
        let view = View::new(1, 1).normalise([0.5, 0.4, 0.3], [0.2, 0.25, 0.1]);
        assert!((0.5 * 255.0 * view.scale.0 + view.bias.0).abs() < 1e-6);
        assert!((0.65 * 255.0 * view.scale.1 + view.bias.1 - 1.0).abs() < 1e-6);
        assert!((0.2 * 255.0 * view.scale.2 + view.bias.2 + 1.0).abs() < 1e-6);
    }
}
