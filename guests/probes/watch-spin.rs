//! Looks at the first frame for ever.

use burst_guest::{Event, Frame, watcher};

watcher!(watch);

#[allow(clippy::empty_loop)]
fn watch(_: Frame) -> Result<Vec<Event>, String> {
    loop {}
}
