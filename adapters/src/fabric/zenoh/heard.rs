//! What was heard of other nodes: who is alive, and what each told last.

use burst_host::{nouns::NodeName, ports::News};
use bytes::{Buf, Bytes};
use std::{
    collections::{BTreeMap, BTreeSet},
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
    told: BTreeMap<NodeName, (u64, Bytes)>,
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

    /// News with their serial number in front; older ones than known are dropped.
    pub fn told(&self, node: NodeName, message: Bytes) {
        let Some((serial, news)) = serial(&message) else { return };
        self.change(|inside| {
            let newer = inside.told.get(&node).is_none_or(|(known, _)| *known < serial);
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

/// The number in front of news, and the news.
pub fn serial(message: &Bytes) -> Option<(u64, Bytes)> {
    let mut rest = message.clone();
    let serial = rest.try_get_u64().ok()?;
    Some((serial, rest))
}
