//! What stands in the shop and is nobody: trolleys, boxes, signs, plants.

use super::{
    Bounds, Part, Stage,
    canvas::{Canvas, Paint, Shape},
    dice::Dice,
};

/// One thing at one moment; lengths in pixels.
pub(super) struct Prop {
    kind: Kind,
    x: f32,
    feet: f32,
    height: f32,
    colour: Paint,
    second: Paint,
}

#[derive(Clone, Copy)]
enum Kind {
    Trolley,
    Boxes,
    Sign,
    Plant,
}

impl Prop {
    /// All of them now; some trolleys roll.
    pub fn all(stage: &Stage, seconds: f64) -> impl Iterator<Item = Self> {
        let count = 1 + Dice::new(&[stage.seed, Part::Prop as u64]).below(6);
        (0..count).map(move |index| Self::at(stage, index, seconds))
    }

    fn at(stage: &Stage, index: u64, seconds: f64) -> Self {
        let mut dice = Dice::new(&[stage.seed, Part::Prop as u64, index]);
        let near = dice.unit();
        let kind = [Kind::Trolley, Kind::Boxes, Kind::Sign, Kind::Plant][dice.below(4) as usize];
        let place = dice.between(0.03, 0.97);
        let x = match kind {
            Kind::Trolley if dice.chance(0.4) => {
                let way = (seconds / f64::from(dice.between(20.0, 40.0)) + f64::from(place)).fract() as f32;
                way * 1.6 - 0.3
            }
            _ => place,
        };
        Self {
            kind,
            x: x * stage.width,
            feet: (0.40 + 0.55 * near) * stage.height,
            height: kind.height() * (0.6 + near) * dice.between(0.8, 1.2) * stage.height,
            colour: Paint::random(&mut dice, 0.0, 1.0),
            second: Paint::random(&mut dice, 0.2, 0.9),
        }
    }

    pub fn bounds(&self) -> Bounds {
        Bounds::standing(self.x, self.feet, self.kind.aspect() * self.height, self.height)
    }

    pub fn paint(&self, canvas: &mut Canvas, light: f32) {
        let mut paint = |shape, paint: Paint| canvas.paint(shape, paint.lit(light));
        let (colour, second) = (self.colour, self.second);
        let metal = Paint::rgb(0.55, 0.56, 0.58);
        match self.kind {
            Kind::Trolley => {
                paint(self.slab((-0.5, 0.15), (0.45, 0.6), 0.05), metal.lit(0.7));
                paint(self.slab((-0.4, 0.22), (0.35, 0.45), 0.05), colour);
                for bar in [-0.3, -0.1, 0.1, 0.3] {
                    paint(self.limb((bar, 0.15), (bar, 0.6), 0.015), metal);
                }
                paint(self.limb((0.45, 0.2), (0.55, 0.02), 0.03), second);
                paint(self.limb((-0.4, 0.78), (0.45, 0.78), 0.02), metal);
                paint(self.limb((0.4, 0.6), (0.42, 0.85), 0.02), metal);
                for wheel in [-0.35, 0.4] {
                    paint(self.disc(wheel, 0.93, 0.07), Paint::rgb(0.1, 0.1, 0.1));
                }
            }
            Kind::Boxes => {
                paint(self.slab((-0.45, 0.45), (0.45, 1.0), 0.02), colour);
                paint(self.slab((-0.05, 0.45), (0.05, 1.0), 0.0), second);
                paint(self.slab((-0.3, 0.0), (0.25, 0.46), 0.02), colour.mix(second, 0.4));
            }
            Kind::Sign => {
                paint(self.limb((0.0, 0.1), (0.0, 0.97), 0.015), metal);
                paint(self.limb((-0.1, 0.98), (0.1, 0.98), 0.02), metal.lit(0.6));
                paint(self.slab((-0.17, 0.0), (0.17, 0.3), 0.03), colour);
                paint(self.slab((-0.12, 0.1), (0.12, 0.15), 0.0), second);
            }
            Kind::Plant => {
                paint(self.slab((-0.16, 0.72), (0.16, 1.0), 0.03), colour);
                for (x, y) in [(0.0, 0.2), (-0.18, 0.4), (0.18, 0.42), (0.02, 0.55)] {
                    paint(self.disc(x, y, 0.19), Paint::rgb(0.15, 0.45, 0.15).mix(second, 0.25));
                }
            }
        }
    }

    /// From fractions of the height, right of the middle and below the top, to pixels.
    fn point(&self, (x, y): (f32, f32)) -> (f32, f32) {
        (self.x + x * self.height, self.feet + (y - 1.0) * self.height)
    }

    fn slab(&self, from: (f32, f32), to: (f32, f32), round: f32) -> Shape {
        let ((left, top), (right, bottom)) = (self.point(from), self.point(to));
        Shape::Slab { left, top, right, bottom, round: round * self.height }
    }

    fn limb(&self, from: (f32, f32), to: (f32, f32), thick: f32) -> Shape {
        Shape::Limb { from: self.point(from), to: self.point(to), thick: thick * self.height }
    }

    fn disc(&self, x: f32, y: f32, radius: f32) -> Shape {
        let (x, y) = self.point((x, y));
        Shape::Ellipse { x, y, across: radius * self.height, down: radius * self.height }
    }
}

impl Kind {
    /// Over the height of the frame, half-way to the front.
    fn height(self) -> f32 {
        match self {
            Self::Trolley => 0.16,
            Self::Boxes => 0.15,
            Self::Sign => 0.26,
            Self::Plant => 0.18,
        }
    }

    /// Width over height of the part that hides what is behind it.
    fn aspect(self) -> f32 {
        match self {
            Self::Trolley => 1.1,
            Self::Boxes => 0.9,
            Self::Sign => 0.2,
            Self::Plant => 0.7,
        }
    }
}
