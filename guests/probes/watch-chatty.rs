//! Says 1,000 things of every frame: 600 good ones and 400 that nobody asked for.

use burst_guest::{Event, Frame, Region, watcher};

const COUNT: u16 = 1;
const DETECTION: u16 = 2;
const UNKNOWN: u16 = 999;

watcher!(watch);

fn watch(_: Frame) -> Result<Vec<Event>, String> {
    Ok((0..1_000).map(say).collect())
}

fn say(index: usize) -> Event {
    let inside = Region { left: 400, top: 0, width: 600, height: 1_000 };
    let outside = Region { left: 401, ..inside };
    match index % 10 {
        0..=2 => Event::count(COUNT, index),
        3..=5 => Event::detection(DETECTION, 0.5, inside),
        6 => Event::detection(DETECTION, 0.5, outside),
        7 => Event::detection(DETECTION, 0.5, Region { left: u16::MAX, top: u16::MAX, ..inside }),
        8 => Event::count(DETECTION, index),
        _ => Event::count(UNKNOWN, index),
    }
}
