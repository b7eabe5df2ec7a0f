//! What was heard of other nodes: who is alive, and what each told last.

use burst_host::{nouns::NodeName, ports::News};
use bytes::{Buf, Bytes};
use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// Keeps the two apart: news may come before the sign of life, and in any order.
#[derive(Default)]
pub struct Heard {
    inside: Mutex<Inside>,
    news: watch::Sender<News>,
}

#[derive(Default)]
struct Inside {
    alive: BTreeSet<NodeName>,
    told: BTreeMap<NodeName, (Serial, Bytes)>,
}

impl Heard {
    pub fn news(&self) -> watch::Receiver<News> {
        self.news.subscribe()
    }

    pub fn appeared(&self, node: NodeName) {
        self.change(|inside| inside.alive.insert(node));
    }

    pub fn left(&self, node: &NodeName) {
        self.change(|inside| inside.alive.remove(node));
    }

    pub fn is_alive(&self, node: &NodeName) -> bool {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).alive.contains(node)
    }

    /// News as they came; older ones than known are dropped.
    pub fn told(&self, node: NodeName, message: Bytes) {
        let Some((serial, news)) = serial(&message) else { return };
        self.change(|inside| {
            let newer = inside.told.get(&node).is_none_or(|(known, _)| serial.is_after(*known));
            // Nothing but a number: it has not told anything yet.
            if newer && !news.is_empty() {
                inside.told.insert(node, (serial, news));
            }
            newer
        });
    }

    fn change(&self, change: impl FnOnce(&mut Inside) -> bool) {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        if change(&mut inside) {
            let told = |node: &NodeName| Some((node.clone(), inside.told.get(node)?.1.clone()));
            let news: News = Arc::new(inside.alive.iter().filter_map(told).collect());
            self.news.send_if_modified(|known| {
                let changed = *known != news;
                *known = news;
                changed
            });
        }
    }
}

/// What is in front of news: which process told them, by a random number, and how many it told before. Clocks may go back.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Serial {
    process: u64,
    number: u64,
}

impl Serial {
    fn is_after(self, known: Self) -> bool {
        self.process != known.process || self.number > known.number
    }

    fn write(self, news: &[u8]) -> Bytes {
        [&self.process.to_be_bytes()[..], &self.number.to_be_bytes(), news].concat().into()
    }
}

/// What a process goes out with that has not told anything yet.
pub fn first() -> Bytes {
    // The standard library's own random number.
    Serial { process: RandomState::new().hash_one(0), number: 0 }.write(&[])
}

/// News that come after others of the same process.
pub fn next(before: &Bytes, news: &[u8]) -> Bytes {
    let Some((serial, _)) = serial(before) else { return first() };
    Serial { number: serial.number.saturating_add(1), ..serial }.write(news)
}

fn serial(message: &Bytes) -> Option<(Serial, Bytes)> {
    let mut rest = message.clone();
    let serial = Serial { process: rest.try_get_u64().ok()?, number: rest.try_get_u64().ok()? };
    Some((serial, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_of_a_process_counts_and_the_latest_process() {
        let (heard, node) = (Heard::default(), "a.hall".parse::<NodeName>().unwrap());
        heard.appeared(node.clone());
        let told = |message: &Bytes| {
            heard.told(node.clone(), message.clone());
            heard.news().borrow().get(&node).cloned()
        };
        let one = next(&first(), b"one");
        let two = next(&one, b"two");
        assert_eq!(told(&first()), None);
        assert_eq!(told(&two).as_deref(), Some(&b"two"[..]));
        assert_eq!(told(&one).as_deref(), Some(&b"two"[..]), "it came late");
        assert_eq!(told(&next(&first(), b"again")).as_deref(), Some(&b"again"[..]), "it started again");
        assert_eq!(told(&Bytes::from_static(b"short")).as_deref(), Some(&b"again"[..]));
    }
}
