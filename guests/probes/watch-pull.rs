//! Asks the camera `camera` for frames itself. Counts what its source says: label 1 enqueued, 2 dropped, 3 dequeued, and
//! as label 4 whether there was a newer frame than the one that it was given.

use burst_guest::{Event, Frame, Source, watcher};

const MAX_AGE_MS: u32 = 1_000;

watcher!(watch);

fn watch(frame: Frame) -> Result<Vec<Event>, String> {
    let source = Source::open("camera")?;
    let given = frame.info().sequence;
    let newer = source.latest(MAX_AGE_MS).is_some_and(|frame| frame.info().sequence > given);
    let counted = source.statistics();
    let counts = [counted.enqueued, counted.dropped, counted.dequeued, newer.into()];
    Ok((1..).zip(counts).map(|(label, value)| Event::count(label, value as usize)).collect())
}
