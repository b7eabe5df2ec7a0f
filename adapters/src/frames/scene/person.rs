//! Somebody who walks through the scene: when, where, and what they look like.

use super::{
    Bounds, PEOPLE_MAX, Part, Stage,
    canvas::{Canvas, Paint, Shape},
    dice::Dice,
};

/// Height over the height of the frame.
const SIZE_MIN: f32 = 1.0 / 8.0;
const SIZE_MAX: f32 = 1.0 / 2.0;
/// Width over height, arms and legs included.
const ASPECT: f32 = 0.36;
/// How long somebody stays.
const TRIP_S: (f32, f32) = (12.0, 26.0);

/// One person at one moment; lengths in pixels.
pub(super) struct Person {
    x: f32,
    feet: f32,
    height: f32,
    /// Where the legs are, -1 to 1.
    stride: f32,
    look: Look,
}

struct Look {
    skin: Paint,
    hair: Paint,
    top: Paint,
    trousers: Paint,
    shoes: Paint,
    /// Half of the shoulders' width over the height.
    shoulders: f32,
    /// Where the upper garment ends, over the height: a jacket, a coat.
    hem: f32,
    bag: Option<Paint>,
}

/// A way through the frame, in its widths: in at one side, perhaps a stop, out at one side.
struct Path {
    from: f32,
    stop: Option<f32>,
    to: f32,
}

impl Person {
    /// Whoever walks in this slot now. A slot has one trip after the other, and not every trip has somebody on it.
    pub fn at(stage: &Stage, slot: u64, seconds: f64) -> Option<Self> {
        let mut dice = Dice::new(&[stage.seed, Part::Person as u64, slot]);
        let trip_s = f64::from(dice.between(TRIP_S.0, TRIP_S.1));
        let trips = seconds / trip_s + f64::from(dice.unit());
        let (trip, progress) = (trips.floor() as u64, trips.fract() as f32);
        let mut dice = Dice::new(&[stage.seed, Part::Person as u64, slot, trip]);
        // A depth of its own for each slot: people pass behind each other, and seldom through.
        let near = (slot as f32 + dice.unit()) / PEOPLE_MAX as f32;
        dice.chance(stage.crowd).then(|| Self::on_trip(stage, &mut dice, near, progress))
    }

    fn on_trip(stage: &Stage, dice: &mut Dice, near: f32, progress: f32) -> Self {
        let start = SIZE_MIN + (SIZE_MAX - SIZE_MIN) * near;
        let end = (start * dice.between(0.85, 1.18)).clamp(SIZE_MIN, SIZE_MAX);
        let size = start + (end - start) * progress;
        let height = size * stage.height;
        // The nearer, the larger and the lower.
        let feet = 0.40 + 0.58 * (size - SIZE_MIN) / (SIZE_MAX - SIZE_MIN) + dice.between(-0.03, 0.02);
        let path = Path::new(dice, ASPECT * SIZE_MAX * stage.height / stage.width / 2.0);
        let x = path.at(progress) * stage.width;
        let steps = x / (0.5 * height);
        let stride = 4.0 * (steps - steps.floor() - 0.5).abs() - 1.0;
        Self { x, feet: feet * stage.height, height, stride, look: Look::new(dice) }
    }

    pub fn bounds(&self) -> Bounds {
        Bounds::standing(self.x, self.feet, ASPECT * self.height, self.height)
    }

    pub fn paint(&self, canvas: &mut Canvas, light: f32) {
        let mut paint = |shape, paint: Paint| canvas.paint(shape, paint.lit(light));
        let Look { skin, hair, top, trousers, shoes, shoulders, hem, bag } = self.look;
        let swing = self.stride * 0.10;
        for side in [-1.0, 1.0] {
            let foot = (side * 0.02 + side * swing, 0.96);
            paint(self.limb((side * 0.05, 0.5), foot, 0.048), trousers);
            paint(self.limb(foot, (foot.0 + 0.02, 0.975), 0.024), shoes);
        }
        let far = self.limb((shoulders, 0.22), (shoulders - swing, 0.47), 0.032);
        paint(far, top.lit(0.8));
        paint(self.slab(-shoulders, 0.15, shoulders, hem, 0.06), top);
        paint(self.limb((-shoulders, 0.22), (swing - shoulders, 0.47), 0.032), top.lit(0.9));
        paint(self.ellipse(swing - shoulders, 0.49, 0.025, 0.025), skin);
        paint(self.slab(-0.03, 0.12, 0.03, 0.17, 0.01), skin.lit(0.85));
        paint(self.ellipse(0.0, 0.065, 0.062, 0.065), hair);
        paint(self.ellipse(0.012, 0.085, 0.046, 0.055), skin);
        if let Some(colour) = bag {
            paint(self.slab(shoulders - 0.02, 0.4, shoulders + 0.06, 0.56, 0.02), colour);
        }
    }

    /// From fractions of the height, right of the middle and below the top of the head, to pixels.
    fn point(&self, (x, y): (f32, f32)) -> (f32, f32) {
        (self.x + x * self.height, self.feet + (y - 1.0) * self.height)
    }

    fn limb(&self, from: (f32, f32), to: (f32, f32), thick: f32) -> Shape {
        Shape::Limb { from: self.point(from), to: self.point(to), thick: thick * self.height }
    }

    fn ellipse(&self, x: f32, y: f32, across: f32, down: f32) -> Shape {
        let (x, y) = self.point((x, y));
        Shape::Ellipse { x, y, across: across * self.height, down: down * self.height }
    }

    fn slab(&self, left: f32, top: f32, right: f32, bottom: f32, round: f32) -> Shape {
        let ((left, top), (right, bottom)) = (self.point((left, top)), self.point((right, bottom)));
        Shape::Slab { left, top, right, bottom, round: round * self.height }
    }
}

impl Look {
    fn new(dice: &mut Dice) -> Self {
        let (fair, dark) = (Paint::rgb(0.95, 0.78, 0.68), Paint::rgb(0.34, 0.21, 0.15));
        Self {
            skin: fair.mix(dark, dice.unit()),
            hair: Paint::rgb(0.1, 0.07, 0.05).mix(Paint::random(dice, 0.1, 0.9), dice.between(0.0, 0.7)),
            top: Paint::random(dice, 0.0, 1.0),
            trousers: Paint::random(dice, 0.0, 0.7),
            shoes: Paint::random(dice, 0.0, 0.4),
            shoulders: dice.between(0.10, 0.135),
            hem: if dice.chance(0.25) { dice.between(0.6, 0.78) } else { 0.52 },
            bag: dice.chance(0.3).then(|| Paint::random(dice, 0.0, 0.9)),
        }
    }
}

impl Path {
    /// Starts and ends `margin` outside.
    fn new(dice: &mut Dice, margin: f32) -> Self {
        let (left, right) = (-margin, 1.0 + margin);
        let (from, to) = if dice.chance(0.5) { (left, right) } else { (right, left) };
        let stop = dice.chance(0.5).then(|| dice.between(0.15, 0.85));
        let back = stop.is_some() && dice.chance(0.5);
        Self { from, stop, to: if back { from } else { to } }
    }

    fn at(&self, progress: f32) -> f32 {
        let between = |from: f32, to: f32, share: f32| from + (to - from) * share;
        match self.stop {
            None => between(self.from, self.to, progress),
            Some(stop) if progress < 0.4 => between(self.from, stop, progress / 0.4),
            Some(stop) if progress < 0.6 => stop,
            Some(stop) => between(stop, self.to, (progress - 0.6) / 0.4),
        }
    }
}
