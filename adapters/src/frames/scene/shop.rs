//! The empty shop: walls, floor, lamps, shelves full of goods.

use super::{
    Part, Stage,
    canvas::{Canvas, Paint, Shape},
    dice::Dice,
};

const BANDS: u16 = 48;

/// Paints everything that never moves.
pub(super) fn paint(canvas: &mut Canvas, stage: &Stage) {
    let mut dice = Dice::new(&[stage.seed, Part::Shop as u64]);
    let horizon = dice.between(0.25, 0.38);
    let (wall, corner) = (plaster(&mut dice, 0.45, 0.95), plaster(&mut dice, 0.3, 0.8));
    let (back, front) = (plaster(&mut dice, 0.25, 0.7), plaster(&mut dice, 0.4, 0.9));
    let mut brush = Brush { canvas, stage };
    brush.gradient(0.0, horizon, wall, corner);
    brush.gradient(horizon, 1.0, back, front);
    brush.tiles(horizon, back.mix(front, 0.5).lit(dice.between(0.7, 0.95)));
    brush.lamps(&mut dice, horizon);
    for _ in 0..1 + dice.below(3) {
        brush.shelf(&mut dice, horizon);
    }
}

/// A pale colour, as walls and floors have.
fn plaster(dice: &mut Dice, least: f32, most: f32) -> Paint {
    let grey = dice.between(least, most);
    Paint::rgb(grey, grey, grey).mix(Paint::random(dice, least, most), 0.45)
}

/// Paints in fractions of the frame.
struct Brush<'a> {
    canvas: &'a mut Canvas,
    stage: &'a Stage,
}

impl Brush<'_> {
    fn slab(&mut self, left: f32, top: f32, right: f32, bottom: f32, paint: Paint) {
        let (width, height) = (self.stage.width, self.stage.height);
        let (left, right, top, bottom) = (left * width, right * width, top * height, bottom * height);
        self.canvas.paint(Shape::Slab { left, top, right, bottom, round: 0.0 }, paint.lit(self.stage.light));
    }

    fn gradient(&mut self, top: f32, bottom: f32, upper: Paint, lower: Paint) {
        let step = (bottom - top) / f32::from(BANDS);
        for band in 0..BANDS {
            let from = top + step * f32::from(band);
            // Bands overlap: what covers half a pixel would let the dark through.
            self.slab(-0.1, from - 0.01, 1.1, from + step + 0.02, upper.mix(lower, f32::from(band) / f32::from(BANDS)));
        }
    }

    fn tiles(&mut self, horizon: f32, joint: Paint) {
        let mut depth = 0.02;
        while horizon + depth < 1.0 {
            self.slab(0.0, horizon + depth, 1.0, horizon + depth + 0.003, joint);
            depth *= 1.5;
        }
    }

    fn lamps(&mut self, dice: &mut Dice, horizon: f32) {
        let count = dice.below(4);
        for _ in 0..count {
            let (left, top) = (dice.between(0.0, 0.9), dice.between(0.0, horizon * 0.3));
            self.slab(left, top, left + dice.between(0.05, 0.2), top + 0.015, Paint::rgb(1.0, 1.0, 0.95));
        }
    }

    fn shelf(&mut self, dice: &mut Dice, horizon: f32) {
        let (left, width) = (dice.between(-0.1, 0.85), dice.between(0.15, 0.5));
        let (top, bottom) = (horizon - dice.between(0.08, 0.22), horizon + dice.between(0.02, 0.1));
        let frame = Paint::random(dice, 0.2, 0.7);
        self.slab(left, top, left + width, bottom, frame);
        let boards = 2 + dice.below(3);
        let board = (bottom - top) / boards as f32;
        for row in 0..boards {
            let from = top + board * row as f32;
            self.slab(left + 0.005, from + 0.006, left + width - 0.005, from + board * 0.92, frame.lit(0.5));
            self.goods(dice, left + 0.01, left + width - 0.01, from + board * 0.92, board * 0.75);
        }
    }

    fn goods(&mut self, dice: &mut Dice, mut left: f32, right: f32, floor: f32, room: f32) {
        while left < right {
            let width = dice.between(0.008, 0.03);
            let paint = Paint::random(dice, 0.05, 0.95);
            if dice.chance(0.85) {
                self.slab(left, floor - room * dice.between(0.5, 1.0), (left + width * 0.9).min(right), floor, paint);
            }
            left += width;
        }
    }
}
