//! What was used lately, and no more than so much of it.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// The most recently used first; the least is dropped.
pub struct Recent<K, V> {
    entries: Mutex<VecDeque<(K, Arc<V>)>>,
    max: usize,
}

impl<K: PartialEq, V> Recent<K, V> {
    pub fn new(max: usize) -> Self {
        Self { entries: Mutex::default(), max }
    }

    pub fn get(&self, key: &K) -> Option<Arc<V>> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let index = entries.iter().position(|(known, _)| known == key)?;
        let entry = entries.remove(index)?;
        let value = entry.1.clone();
        entries.push_front(entry);
        Some(value)
    }

    pub fn keep(&self, key: K, value: V) -> Arc<V> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.truncate(self.max - 1);
        let value = Arc::new(value);
        entries.push_front((key, value.clone()));
        value
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_least_recently_used_goes() {
        let recent = super::Recent::new(2);
        recent.keep(1, "one");
        recent.keep(2, "two");
        assert!(recent.get(&1).is_some());
        recent.keep(3, "three");
        assert_eq!([1, 2, 3].map(|key| recent.get(&key).is_some()), [true, false, true]);
    }
}
