//! A drawn shop with people walking through it: a camera that needs no camera and knows the truth.
//!
//! A frame depends on nothing but the extent, the rate, the seed and its sequence: whoever asks again gets it again.

mod canvas;
mod dice;
mod person;
mod prop;
mod shop;

use super::{
    EXTENT_MAX,
    paced::{Picture, Reel, period},
};
use burst_host::{
    nouns::{ColourSpace, Matrix, PixelFormat, Range, Rectangle},
    ports::SourceError,
};
use canvas::Canvas;
use dice::Dice;
use person::Person;
use prop::Prop;
use std::{cmp::Ordering, sync::Arc};

/// How many people there are at most.
pub const PEOPLE_MAX: u64 = 6;

/// The share of a person that must be in view for [`Scene::people`] to list them.
pub const VISIBLE_MIN: f32 = 0.5;

/// A shop, what stands in it, and who walks through it.
#[derive(Clone)]
pub struct Scene(Arc<Plan>);

struct Plan {
    stage: Stage,
    period_s: f64,
    backdrop: Canvas,
    /// Sensor noise, longer than a row.
    grain: Vec<i8>,
}

/// What everything in the scene is placed on and lit by.
#[derive(Clone, Copy)]
struct Stage {
    /// In pixels.
    width: f32,
    /// In pixels.
    height: f32,
    seed: u64,
    /// How likely it is that somebody is there.
    crowd: f32,
    /// 1 is bright.
    light: f32,
}

/// The parts of a scene that roll their own dice.
#[derive(Clone, Copy)]
enum Part {
    Stage,
    Shop,
    Grain,
    Person,
    Prop,
}

/// Somebody who is at least partly inside the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sighting {
    /// Cut to the frame, but not where something stands in front of them.
    pub bounds: Rectangle,
    /// The share of the whole person that is inside the frame with nothing in front.
    pub visible: f32,
}

impl Scene {
    /// The scene of this seed; `width` and `height` in pixels. People walk as fast at any `fps`, in frames per second.
    ///
    /// `Permanent` when an extent is 0 or above [`EXTENT_MAX`], or the rate is out of bounds.
    pub fn new(width: u32, height: u32, fps: f32, seed: u64) -> Result<Self, SourceError> {
        if !(1..=EXTENT_MAX).contains(&width) || !(1..=EXTENT_MAX).contains(&height) {
            let what = format!("a scene of {width}x{height} is not within 1 to {EXTENT_MAX}");
            return Err(SourceError::Permanent(what));
        }
        let mut dice = Dice::new(&[seed, Part::Stage as u64]);
        let stage = Stage {
            width: width as f32,
            height: height as f32,
            seed,
            crowd: dice.between(0.1, 0.7),
            light: dice.between(0.65, 1.0),
        };
        let mut backdrop = Canvas::new(width, height);
        shop::paint(&mut backdrop, &stage);
        let noise = dice.between(0.0, 7.0);
        let grain = (0..2 * EXTENT_MAX).map(|_| ((dice.unit() + dice.unit() - 1.0) * noise) as i8).collect();
        Ok(Self(Arc::new(Plan { stage, period_s: period(fps)?.as_secs_f64(), backdrop, grain })))
    }

    /// The people in frame `sequence` of whom at least half can be seen, from the back of the shop to the front.
    pub fn people(&self, sequence: u64) -> Vec<Rectangle> {
        let sightings = self.sightings(sequence).into_iter();
        sightings.filter(|sighting| sighting.visible >= VISIBLE_MIN).map(|sighting| sighting.bounds).collect()
    }

    /// Everybody in frame `sequence`, however little of them can be seen, from the back of the shop to the front.
    pub fn sightings(&self, sequence: u64) -> Vec<Sighting> {
        let things = self.things(sequence);
        let sight = |(index, thing): (usize, &Thing)| match thing {
            Thing::Person(person) => self.sighting(person.bounds(), &things[index + 1..]),
            Thing::Prop(_) => None,
        };
        things.iter().enumerate().filter_map(sight).collect()
    }

    /// The pixels of frame `sequence`: NV12, BT.601, limited range.
    pub fn draw(&self, sequence: u64) -> Vec<u8> {
        let mut canvas = self.0.backdrop.clone();
        for thing in self.things(sequence) {
            match thing {
                Thing::Person(person) => person.paint(&mut canvas, self.0.stage.light),
                Thing::Prop(prop) => prop.paint(&mut canvas, self.0.stage.light),
            }
        }
        canvas.grain(&self.0.grain, Dice::new(&[self.0.stage.seed, Part::Grain as u64, sequence]));
        canvas.into_pixels()
    }

    /// A reel of this scene from its start.
    pub(super) fn reel(self) -> impl Reel {
        Shown { scene: self, sequence: 0 }
    }

    /// From the back of the shop to the front.
    fn things(&self, sequence: u64) -> Vec<Thing> {
        let stage = &self.0.stage;
        let seconds = sequence as f64 * self.0.period_s;
        let people = (0..PEOPLE_MAX).filter_map(|slot| Person::at(stage, slot, seconds)).map(Thing::Person);
        let mut things: Vec<_> = people.chain(Prop::all(stage, seconds).map(Thing::Prop)).collect();
        things.sort_by(Thing::depth);
        things
    }

    fn sighting(&self, bounds: Bounds, nearer: &[Thing]) -> Option<Sighting> {
        const GRID: u16 = 16;
        let (width, height) = (self.0.stage.width, self.0.stage.height);
        let frame = Bounds { left: 0.0, top: 0.0, right: width, bottom: height };
        let seen = |x, y| frame.holds(x, y) && !nearer.iter().any(|thing| thing.core().holds(x, y));
        let core = bounds.core();
        let at = |from: f32, to: f32, step: u16| from + (to - from) * (f32::from(step) + 0.5) / f32::from(GRID);
        let steps = (0..GRID).flat_map(|row| (0..GRID).map(move |column| (column, row)));
        let points =
            steps.filter(|&(column, row)| seen(at(core.left, core.right, column), at(core.top, core.bottom, row)));
        let visible = points.count() as f32 / f32::from(GRID * GRID);

        let [left, right] = [bounds.left.floor(), bounds.right.ceil()].map(|x| x.clamp(0.0, width) as u32);
        let [top, bottom] = [bounds.top.floor(), bounds.bottom.ceil()].map(|y| y.clamp(0.0, height) as u32);
        let inside = right > left && bottom > top;
        inside.then(|| Sighting { bounds: Rectangle { left, top, width: right - left, height: bottom - top }, visible })
    }
}

struct Shown {
    scene: Scene,
    sequence: u64,
}

impl Reel for Shown {
    fn next(&mut self) -> Result<Picture, SourceError> {
        let pixels = self.scene.draw(self.sequence).into();
        self.sequence += 1;
        let Stage { width, height, .. } = self.scene.0.stage;
        let colour = ColourSpace { matrix: Matrix::Bt601, range: Range::Limited };
        Ok(Picture { width: width as u32, height: height as u32, format: PixelFormat::Nv12, colour, pixels })
    }
}

enum Thing {
    Person(Person),
    Prop(Prop),
}

impl Thing {
    fn bounds(&self) -> Bounds {
        match self {
            Self::Person(person) => person.bounds(),
            Self::Prop(prop) => prop.bounds(),
        }
    }

    fn core(&self) -> Bounds {
        self.bounds().core()
    }

    /// What stands lower in the frame stands nearer.
    fn depth(&self, other: &Self) -> Ordering {
        self.bounds().bottom.total_cmp(&other.bounds().bottom)
    }
}

/// Edges in pixels, inside the frame or not.
#[derive(Clone, Copy)]
struct Bounds {
    left: f32,
    top: f32,
    right: f32,
    bottom: f32,
}

impl Bounds {
    /// What stands at `x` with its feet at `feet`.
    fn standing(x: f32, feet: f32, width: f32, height: f32) -> Self {
        Self { left: x - width / 2.0, top: feet - height, right: x + width / 2.0, bottom: feet }
    }

    /// The middle part, which hides what is behind it.
    fn core(self) -> Self {
        let trim = (self.right - self.left) * 0.15;
        Self { left: self.left + trim, right: self.right - trim, ..self }
    }

    fn holds(&self, x: f32, y: f32) -> bool {
        (self.left..self.right).contains(&x) && (self.top..self.bottom).contains(&y)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everybody over many frames of many seeds.
    fn crowd() -> impl Iterator<Item = (Scene, u64, Vec<Sighting>)> {
        let scenes = (0..20).map(|seed| Scene::new(320, 240, 5.0, seed).unwrap());
        scenes.flat_map(|scene| {
            (0..1000u64).step_by(53).map(move |sequence| {
                let sightings = scene.sightings(sequence);
                (scene.clone(), sequence, sightings)
            })
        })
    }

    #[test]
    fn the_same_seed_is_the_same_scene() {
        let draw = |seed, sequence| Scene::new(65, 47, 5.0, seed).unwrap().draw(sequence);
        assert_eq!(draw(3, 40), draw(3, 40));
        assert_ne!(draw(3, 40), draw(3, 41));
        assert_ne!(draw(3, 40), draw(4, 40));
    }

    #[test]
    fn people_are_as_promised() {
        let (mut counts, mut cut, mut hidden) = ([0; PEOPLE_MAX as usize + 1], 0, 0);
        for (scene, sequence, sightings) in crowd() {
            counts[scene.people(sequence).len()] += 1;
            for Sighting { bounds, visible } in sightings {
                assert!(bounds.left + bounds.width <= 320 && bounds.top + bounds.height <= 240);
                assert!((240 / 8..=240 / 2 + 1).contains(&bounds.height) || bounds.top + bounds.height == 240);
                assert!((0.0..=1.0).contains(&visible));
                cut += usize::from(bounds.left == 0 || bounds.left + bounds.width == 320);
                hidden += usize::from(visible < VISIBLE_MIN);
            }
        }
        assert!(counts.iter().all(|&count| count > 0), "not every number of people occurs: {counts:?}");
        assert!(cut > 20 && hidden > 20, "{cut} at an edge, {hidden} hidden");
    }

    #[test]
    fn people_walk_smoothly() {
        let scene = Scene::new(320, 240, 25.0, 1).unwrap();
        for sequence in 0..500 {
            let (before, after) = (scene.sightings(sequence), scene.sightings(sequence + 1));
            let near = |a: &Sighting, b: &Sighting| a.bounds.left.abs_diff(b.bounds.left) < 8;
            let new = after.iter().filter(|now| !before.iter().any(|then| near(then, now)));
            let edge =
                |sighting: &Sighting| sighting.bounds.left == 0 || sighting.bounds.left + sighting.bounds.width == 320;
            assert!(new.into_iter().all(edge), "somebody appeared out of nothing at {sequence}");
        }
    }

    #[test]
    fn people_are_where_the_truth_says() {
        // Without people the frame is the same but for the noise.
        let mut seen = 0;
        for (scene, sequence, sightings) in crowd().step_by(11) {
            let empty = (0..).find(|&at| scene.sightings(at).is_empty());
            let (Some(empty), [one]) = (empty.filter(|&at| at < 5000), &sightings[..]) else { continue };
            let (with, without) = (scene.draw(sequence), scene.draw(empty));
            let middle = (one.bounds.top + one.bounds.height / 2) * 320 + one.bounds.left + one.bounds.width / 2;
            seen += usize::from(with[middle as usize].abs_diff(without[middle as usize]) > 12);
        }
        assert!(seen > 0);
    }

    #[test]
    fn bad_scenes_are_refused() {
        let refused = |width, height, fps| matches!(Scene::new(width, height, fps, 0), Err(SourceError::Permanent(_)));
        assert!(refused(0, 1, 5.0) && refused(1, 8193, 5.0));
        assert!([0.0, -1.0, f32::NAN, f32::INFINITY, 1e9].into_iter().all(|fps| refused(8, 8, fps)));
        assert!(!refused(1, 1, 5.0));
    }
}
