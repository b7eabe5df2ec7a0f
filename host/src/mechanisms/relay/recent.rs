//! What is kept of the sessions that were used last.

use std::{collections::HashMap, hash::Hash};

/// Entries of a map: the one that was used longest ago makes place. What they may hold is reached before, unless they
/// hold next to nothing.
pub const ENTRIES_MAX: usize = 1 << 14;
/// What is taken for a value beside its contents, and for an entry beside its values.
pub const OVERHEAD_BYTES: u64 = 256;

/// What is held of a session.
pub trait Held {
    fn bytes(&self) -> u64;

    /// Whether there is something that it can go on without.
    fn can_spare(&self) -> bool {
        false
    }

    /// Forgets that.
    fn spare(&mut self) {}
}

/// A map of bounded size.
pub struct Recent<K, V> {
    entries: HashMap<K, (u64, V)>,
    /// Of all of them; none is changed where it is.
    bytes: u64,
    uses: u64,
    bytes_max: u64,
}

impl<K: Clone + Eq + Hash, V: Held> Recent<K, V> {
    pub fn new(bytes_max: u64) -> Self {
        Self { entries: HashMap::new(), bytes: 0, uses: 0, bytes_max }
    }

    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.entries.keys()
    }

    /// What all of them hold.
    #[cfg(test)]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn get(&mut self, key: &K) -> Option<&mut V> {
        self.uses += 1;
        let (used, value) = self.entries.get_mut(key)?;
        *used = self.uses;
        Some(value)
    }

    pub fn take(&mut self, key: &K) -> Option<V> {
        let (_, value) = self.entries.remove(key)?;
        self.bytes -= held(&value);
        Some(value)
    }

    /// Puts it in as the latest, and forgets of the others what there is no room for: first what they can go on without,
    /// then those that were used longest ago. `false` where that is not enough.
    pub fn insert(&mut self, key: K, value: V) -> bool {
        self.uses += 1;
        self.bytes += held(&value);
        self.entries.insert(key.clone(), (self.uses, value));
        while self.bytes > self.bytes_max && self.spare() {}
        while self.entries.len() > ENTRIES_MAX || self.bytes > self.bytes_max {
            let others = self.entries.iter().filter(|(other, _)| **other != key);
            let Some(oldest) = others.min_by_key(|(_, (used, _))| *used).map(|(key, _)| key.clone()) else {
                return false;
            };
            self.take(&oldest);
        }
        true
    }

    /// Forgets what the longest unused can go on without; `false` where nothing is left of that.
    fn spare(&mut self) -> bool {
        let rich = self.entries.values_mut().filter(|(_, value)| value.can_spare());
        let Some((_, value)) = rich.min_by_key(|(used, _)| *used) else { return false };
        self.bytes -= held(value);
        value.spare();
        self.bytes += held(value);
        true
    }

    pub fn forget(&mut self, which: impl Fn(&K) -> bool) {
        let gone: Vec<K> = self.entries.keys().filter(|key| which(key)).cloned().collect();
        gone.iter().for_each(|key| drop(self.take(key)));
    }
}

fn held(value: &impl Held) -> u64 {
    OVERHEAD_BYTES + value.bytes()
}
