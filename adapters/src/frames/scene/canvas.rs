//! Paints smooth shapes into an NV12 frame, BT.601 limited. Knows nothing of people.

use super::dice::Dice;
use std::ops::Range;

/// Luma, Cb and Cr.
#[derive(Clone, Copy)]
pub(super) struct Paint([f32; 3]);

impl Paint {
    /// From red, green and blue of 0 to 1. Formula: ITU-R BT.601, limited.
    pub fn rgb(red: f32, green: f32, blue: f32) -> Self {
        let [red, green, blue] = [red, green, blue].map(|value| value.clamp(0.0, 1.0));
        Self([
            16.0 + 65.481 * red + 128.553 * green + 24.966 * blue,
            128.0 - 37.797 * red - 74.203 * green + 112.0 * blue,
            128.0 + 112.0 * red - 93.786 * green - 18.214 * blue,
        ])
    }

    /// A colour whose channels lie between `least` and `most`.
    pub fn random(dice: &mut Dice, least: f32, most: f32) -> Self {
        Self::rgb(dice.between(least, most), dice.between(least, most), dice.between(least, most))
    }

    pub fn mix(self, other: Self, share: f32) -> Self {
        Self([0, 1, 2].map(|index| self.0[index] + (other.0[index] - self.0[index]) * share))
    }

    /// The same colour in other light.
    pub fn lit(self, light: f32) -> Self {
        self.mix(Self([16.0, 128.0, 128.0]), 1.0 - light)
    }
}

/// What can be painted; lengths in pixels.
#[derive(Clone, Copy)]
pub(super) enum Shape {
    Ellipse { x: f32, y: f32, across: f32, down: f32 },
    Slab { left: f32, top: f32, right: f32, bottom: f32, round: f32 },
    Limb { from: (f32, f32), to: (f32, f32), thick: f32 },
}

impl Shape {
    /// Left, top, right and bottom.
    fn bounds(self) -> [f32; 4] {
        match self {
            Self::Ellipse { x, y, across, down } => [x - across, y - down, x + across, y + down],
            Self::Slab { left, top, right, bottom, .. } => [left, top, right, bottom],
            Self::Limb { from, to, thick } => {
                [from.0.min(to.0) - thick, from.1.min(to.1) - thick, from.0.max(to.0) + thick, from.1.max(to.1) + thick]
            }
        }
    }

    /// Pixels from the point to the edge, negative inside; exact only near the edge.
    fn distance(self, x: f32, y: f32) -> f32 {
        match self {
            Self::Ellipse { x: cx, y: cy, across, down } => {
                let reach = length((x - cx) / across, (y - cy) / down);
                (reach - 1.0) * across.min(down)
            }
            Self::Slab { left, top, right, bottom, round } => {
                let dx = (left + round - x).max(x - right + round);
                let dy = (top + round - y).max(y - bottom + round);
                dx.max(dy).min(0.0) + length(dx.max(0.0), dy.max(0.0)) - round
            }
            Self::Limb { from, to, thick } => {
                let (dx, dy) = (to.0 - from.0, to.1 - from.1);
                let along = ((x - from.0) * dx + (y - from.1) * dy) / (dx * dx + dy * dy).max(1e-6);
                let along = along.clamp(0.0, 1.0);
                length(x - from.0 - along * dx, y - from.1 - along * dy) - thick
            }
        }
    }
}

/// An NV12 frame.
#[derive(Clone)]
pub(super) struct Canvas {
    width: usize,
    height: usize,
    luma: Vec<u8>,
    /// Cb and Cr in turn, rows of `chroma_width` pairs.
    chroma: Vec<u8>,
}

impl Canvas {
    pub fn new(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        let chroma = width.div_ceil(2) * height.div_ceil(2) * 2;
        Self { width, height, luma: vec![16; width * height], chroma: vec![128; chroma] }
    }

    pub fn paint(&mut self, shape: Shape, Paint([luma, cb, cr]): Paint) {
        let [left, top, right, bottom] = shape.bounds();
        let (columns, rows) = (span(left, right, self.width, 1.0), span(top, bottom, self.height, 1.0));
        for y in rows {
            for x in columns.clone() {
                let cover = 0.5 - shape.distance(x as f32 + 0.5, y as f32 + 0.5);
                blend(&mut self.luma[y * self.width + x], luma, cover);
            }
        }
        let chroma_width = self.width.div_ceil(2);
        let columns = span(left, right, chroma_width, 2.0);
        for y in span(top, bottom, self.height.div_ceil(2), 2.0) {
            for x in columns.clone() {
                let cover = 0.5 - shape.distance((2 * x + 1) as f32, (2 * y + 1) as f32) / 2.0;
                let pair = 2 * (y * chroma_width + x);
                blend(&mut self.chroma[pair], cb, cover);
                blend(&mut self.chroma[pair + 1], cr, cover);
            }
        }
    }

    /// Adds noise to the luma, as a sensor does: each row somewhere else in `grain`, which is longer than a row.
    pub fn grain(&mut self, grain: &[i8], mut dice: Dice) {
        let starts = (grain.len() - self.width) as u64;
        for row in self.luma.chunks_exact_mut(self.width) {
            let grain = &grain[dice.below(starts) as usize..];
            for (luma, &noise) in row.iter_mut().zip(grain) {
                *luma = luma.saturating_add_signed(noise);
            }
        }
    }

    /// The planes, one after the other.
    pub fn into_pixels(mut self) -> Vec<u8> {
        self.luma.append(&mut self.chroma);
        self.luma
    }
}

/// Not `hypot`, which differs between machines.
fn length(x: f32, y: f32) -> f32 {
    (x * x + y * y).sqrt()
}

/// Samples of `step` pixels that a shape may touch.
fn span(from: f32, to: f32, limit: usize, step: f32) -> Range<usize> {
    // A cast saturates: shapes may lie far outside.
    let start = (from / step - 1.0).floor() as usize;
    let end = (to / step + 1.0).ceil() as usize;
    start..end.min(limit)
}

fn blend(sample: &mut u8, value: f32, cover: f32) {
    let cover = cover.clamp(0.0, 1.0);
    let old = f32::from(*sample);
    *sample = (old + (value - old) * cover + 0.5) as u8;
}
