//! Events, quantised on the way.

use crate::{
    Event, Label, Region,
    bindings::imports::burst::edge::events::{Count, Detection, Measure, State},
};

impl Event {
    /// One thing seen at one place; `confidence` from 0 to 1 becomes per cent.
    pub fn detection(label: Label, confidence: f32, region: Region) -> Self {
        let confidence = (confidence.clamp(0.0, 1.0) * 100.0).round() as u8;
        Self::Detection(Detection { label, confidence, region })
    }

    /// How many of something are in view; 65,535 stands for that many and more.
    pub fn count(label: Label, value: usize) -> Self {
        Self::Count(Count { label, value: u16::try_from(value).unwrap_or(u16::MAX) })
    }

    /// `value` in units of the vocabulary, rounded to its `step`.
    pub fn measure(label: Label, value: f64, step: f64) -> Self {
        Self::Measure(Measure { label, steps: (value / step).round() as i32 })
    }

    /// One of the states that the vocabulary lists for a label.
    pub fn state(label: Label, index: u8) -> Self {
        Self::State(State { label, index })
    }
}

impl Region {
    /// A place in fractions of the frame's width and height, cut off at the frame's edges.
    pub fn from_fractions(left: f32, top: f32, width: f32, height: f32) -> Self {
        let (left, width) = span(left, width);
        let (top, height) = span(top, height);
        Self { left, top, width, height }
    }
}

/// Rounds both ends, so that places that touch still touch afterwards.
fn span(start: f32, extent: f32) -> (u16, u16) {
    let thousandths = |fraction: f32| (fraction.clamp(0.0, 1.0) * 1000.0).round() as u16;
    let from = thousandths(start);
    (from, thousandths(start + extent).saturating_sub(from))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check((start, extent): (f32, f32), expected: (u16, u16)) {
        assert_eq!(span(start, extent), expected, "{start} {extent}");
    }

    #[test]
    fn regions_stay_inside_the_frame() {
        check((0.25, 0.5), (250, 500));
        check((-0.1, 0.2), (0, 100));
        check((0.9, 0.2), (900, 100));
        check((-1.0, 3.0), (0, 1000));
        check((1.5, 0.1), (1000, 0));
        check((0.5, -0.2), (500, 0));
        check((f32::NAN, 0.5), (0, 0));
        check((0.5, f32::INFINITY), (500, 500));
    }

    #[test]
    fn numbers_are_rounded_and_bounded() {
        let region = Region::from_fractions(0.0, 0.0, 1.0, 1.0);
        assert!(matches!(Event::detection(1, 0.876, region), Event::Detection(Detection { confidence: 88, .. })));
        assert!(matches!(Event::detection(1, 7.0, region), Event::Detection(Detection { confidence: 100, .. })));
        assert!(matches!(Event::count(1, 70_000), Event::Count(Count { value: u16::MAX, .. })));
        assert!(matches!(Event::measure(1, -1.3, 0.5), Event::Measure(Measure { steps: -3, .. })));
    }
}
