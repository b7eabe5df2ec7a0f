//! The gate that every event passes: only the operator's words, in range, and not too many.

use super::{feed::FrameCounts, statistics::Counter};
use crate::nouns::{Event, Frame, Record, RecordValue, Region, Vocabulary, VocabularyEntry, VocabularyKind};
use std::{sync::Arc, time::Instant};

/// The gate of one guest at one camera.
pub struct Gate {
    guest: Arc<str>,
    vocabulary: Arc<Vocabulary>,
    bucket: Bucket,
    counts: Arc<GateCounts>,
}

/// What the gate let through and what it did not, by reason.
#[derive(Debug, Default)]
pub struct GateCounts {
    pub emitted: Counter,
    /// An id or a kind of event that the vocabulary does not list, or a value out of range.
    pub unknown: Counter,
    /// More events than the guest may emit.
    pub limited: Counter,
    /// A sink had no room.
    pub undelivered: Counter,
}

/// Why an event stays inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Unknown,
    Limited,
}

impl Gate {
    pub fn new(guest: Arc<str>, vocabulary: Arc<Vocabulary>, events_per_second: u32) -> Self {
        Self { guest, vocabulary, bucket: Bucket::new(events_per_second), counts: Arc::default() }
    }

    pub fn counts(&self) -> &Arc<GateCounts> {
        &self.counts
    }

    /// Puts an event into the operator's words, or refuses and counts it.
    pub fn admit(&mut self, event: Event, frame: &Frame) -> Result<Record, Refusal> {
        let admitted = self
            .word(event, frame)
            .ok_or(Refusal::Unknown)
            .and_then(|record| if self.bucket.take(Instant::now()) { Ok(record) } else { Err(Refusal::Limited) });
        match admitted {
            Ok(_) => self.counts.emitted.add(1),
            Err(Refusal::Unknown) => self.counts.unknown.add(1),
            Err(Refusal::Limited) => self.counts.limited.add(1),
        }
        admitted
    }

    fn word(&self, event: Event, frame: &Frame) -> Option<Record> {
        let entry = self.vocabulary.entry(event.label())?;
        Some(Record {
            guest: self.guest.clone(),
            camera: frame.camera.clone(),
            sequence: frame.sequence,
            captured_ms: frame.captured_ns / 1_000_000,
            label: entry.name.as_str().into(),
            value: value(event, entry)?,
        })
    }
}

/// The value of an event, if the vocabulary lists this kind for its label and it is in range.
fn value(event: Event, entry: &VocabularyEntry) -> Option<RecordValue> {
    match (event, &entry.kind) {
        (Event::Detection { confidence, region, .. }, VocabularyKind::Detection) => {
            (confidence <= 100 && is_inside(region)).then_some(RecordValue::Detection { confidence, region })
        }
        (Event::Count { value, .. }, VocabularyKind::Count) => Some(RecordValue::Count { value }),
        (Event::Measure { steps, .. }, VocabularyKind::Measure { step, unit }) => {
            Some(RecordValue::Measure { value: f64::from(steps) * step, unit: unit.clone() })
        }
        (Event::State { index, .. }, VocabularyKind::State { states }) => {
            states.get(usize::from(index)).map(|state| RecordValue::State { state: state.clone() })
        }
        _ => None,
    }
}

fn is_inside(region: Region) -> bool {
    let ends = |start: u16, extent: u16| u32::from(start) + u32::from(extent) <= 1000;
    ends(region.left, region.width) && ends(region.top, region.height)
}

/// A token bucket that holds one second's worth.
struct Bucket {
    per_second: f64,
    tokens: f64,
    filled: Instant,
}

impl Bucket {
    fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, tokens: per_second, filled: Instant::now() }
    }

    fn take(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.filled = now;
        self.tokens = (self.tokens + elapsed * self.per_second).min(self.per_second);
        let affordable = self.tokens >= 1.0;
        if affordable {
            self.tokens -= 1.0;
        }
        affordable
    }
}

/// Everything that is counted of one guest at one camera.
#[derive(Clone, Debug)]
pub struct LaneCounts {
    pub guest: Arc<str>,
    pub camera: Arc<str>,
    pub frames: Arc<FrameCounts>,
    pub events: Arc<GateCounts>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nouns::{ColourSpace, PixelFormat};
    use std::time::Duration;

    fn gate(per_second: u32) -> Gate {
        let entry = |id, name: &str, kind| VocabularyEntry { id, name: name.into(), kind };
        let measure = VocabularyKind::Measure { step: 0.5, unit: "m".into() };
        let state = VocabularyKind::State { states: vec!["open".into(), "closed".into()] };
        let vocabulary = Vocabulary::new([
            entry(1, "person", VocabularyKind::Detection),
            entry(2, "people", VocabularyKind::Count),
            entry(3, "queue", measure),
            entry(4, "door", state),
        ]);
        Gate::new("guest".into(), Arc::new(vocabulary.unwrap()), per_second)
    }

    fn frame() -> Frame {
        Frame {
            camera: "door".into(),
            sequence: 7,
            captured_ns: 1_999_999,
            received: Instant::now(),
            width: 2,
            height: 1,
            format: PixelFormat::Grey8,
            colour: ColourSpace::default(),
            pixels: vec![0, 0].into(),
        }
    }

    fn check(event: Event, expected: Option<&str>) {
        let said = gate(10).admit(event, &frame()).ok();
        let said = said.map(|record| serde_json::to_value(record.value).unwrap().to_string());
        assert_eq!(said.as_deref(), expected, "{event:?}");
    }

    #[test]
    fn only_the_vocabulary_in_range_passes() {
        let region = |left, width| Region { left, top: 0, width, height: 1000 };
        let seen = |confidence, region| Event::Detection { label: 1, confidence, region };
        let text = r#"{"confidence":100,"kind":"detection","region":{"height":1000,"left":400,"top":0,"width":600}}"#;
        check(seen(100, region(400, 600)), Some(text));
        check(seen(101, region(400, 600)), None);
        check(seen(100, region(401, 600)), None);
        check(seen(100, region(u16::MAX, u16::MAX)), None);
        check(Event::Count { label: 2, value: 3 }, Some(r#"{"kind":"count","value":3}"#));
        check(Event::Count { label: 1, value: 3 }, None);
        check(Event::Count { label: 9, value: 3 }, None);
        check(Event::Measure { label: 3, steps: -3 }, Some(r#"{"kind":"measure","unit":"m","value":-1.5}"#));
        check(Event::State { label: 4, index: 1 }, Some(r#"{"kind":"state","state":"closed"}"#));
        check(Event::State { label: 4, index: 2 }, None);
    }

    #[test]
    fn more_than_the_limit_is_counted_and_kept_inside() {
        let mut gate = gate(5);
        let passed = (0..20).filter(|_| gate.admit(Event::Count { label: 2, value: 1 }, &frame()).is_ok()).count();
        assert_eq!((passed as u64, gate.counts.limited.get()), (5, 15));
        let bucket = &mut gate.bucket;
        assert!(bucket.take(bucket.filled + Duration::from_millis(200)));
    }
}
