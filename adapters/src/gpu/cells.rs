//! What is made once and kept for whoever needs it next, and no more than so much of it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

/// Each made once, by who needs it first; who needs the same one waits, who needs another one does not. Where there are
/// too many, the least recently used goes.
pub struct Cells<K, V> {
    cells: Mutex<Held<K, V>>,
    max: usize,
}

/// What is held, and when it was used: at which of all uses.
struct Held<K, V> {
    cells: HashMap<K, (Arc<OnceLock<V>>, u64)>,
    uses: u64,
}

impl<K: Clone + Eq + Hash, V: Clone> Cells<K, V> {
    pub fn new(max: usize) -> Self {
        Self { cells: Mutex::new(Held { cells: HashMap::new(), uses: 0 }), max }
    }

    /// The value of a key, made the first time.
    pub fn get(&self, key: &K, make: impl FnOnce() -> V) -> V {
        self.cell(key).get_or_init(make).clone()
    }

    fn cell(&self, key: &K) -> Arc<OnceLock<V>> {
        let mut held = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        held.uses += 1;
        let now = held.uses;
        if let Some((cell, used)) = held.cells.get_mut(key) {
            *used = now;
            return cell.clone();
        }
        if held.cells.len() >= self.max {
            let least = held.cells.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            least.map(|key| held.cells.remove(&key));
        }
        held.cells.entry(key.clone()).or_insert_with(|| (Arc::default(), now)).0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Cells;

    #[test]
    fn the_least_recently_used_makes_room_and_is_made_again() {
        let cells = Cells::new(2);
        let made = |key: u32| {
            let mut made = false;
            cells.get(&key, || made = true);
            made
        };
        assert_eq!([1, 2, 1, 3].map(made), [true, true, false, true]);
        assert_eq!([1, 2].map(made), [false, true], "2 had to go for 3");
        assert_eq!(cells.cells.lock().unwrap().cells.len(), 2);
    }
}
