//! Answers that were given, for whoever asks again: a stage computes a request once.

use crate::nouns::Epoch;
use bytes::Bytes;
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::OnceCell;

/// Kept answers, and their bytes; the oldest are forgotten first. Who asks then is computed for again, which costs time
/// and changes nothing.
const KEPT_MAX: usize = 4096;
const KEPT_MAX_BYTES: usize = 64 << 20;

/// A request, at a stage of a spread.
pub type Key = (u128, Epoch, usize);

/// What was answered lately, and what is being computed.
#[derive(Default)]
pub struct Answered {
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    answers: HashMap<Key, Arc<OnceCell<Bytes>>>,
    /// Those that are complete, oldest first.
    kept: VecDeque<(Key, usize)>,
    kept_bytes: usize,
}

impl Answered {
    /// The answer to a call, and whether it was known or under way. A refusal (`Err`) is not kept: it may be another
    /// one the next time.
    pub async fn once(&self, key: Key, compute: impl Future<Output = Result<Bytes, Bytes>>) -> (Bytes, bool) {
        let cell = self.inside().answers.entry(key.clone()).or_default().clone();
        let mut first = false;
        let answer = cell.get_or_try_init(|| {
            first = true;
            compute
        });
        let answer = answer.await.cloned();
        let mut inside = self.inside();
        match answer {
            Ok(answer) => {
                if first {
                    inside.keep(key, answer.len());
                }
                (answer, !first)
            }
            Err(refusal) => {
                // Others may wait in the same cell for their own try.
                if inside.answers.get(&key).is_some_and(|known| known.get().is_none() && Arc::strong_count(known) <= 2)
                {
                    inside.answers.remove(&key);
                }
                (refusal, false)
            }
        }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inside {
    fn keep(&mut self, key: Key, bytes: usize) {
        self.kept.push_back((key, bytes));
        self.kept_bytes += bytes;
        while self.kept.len() > KEPT_MAX || self.kept_bytes > KEPT_MAX_BYTES {
            let Some((key, bytes)) = self.kept.pop_front() else { break };
            self.answers.remove(&key);
            self.kept_bytes -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use tokio::{sync::Notify, task::yield_now};

    fn key(request: u128) -> Key {
        (request, Epoch { number: 1, leader: "a.hall".parse().unwrap() }, 0)
    }

    #[tokio::test]
    async fn a_request_is_computed_once() {
        let (answered, go, runs) = (Answered::default(), Notify::new(), AtomicUsize::new(0));
        let compute = || async {
            runs.fetch_add(1, Relaxed);
            go.notified().await;
            Ok(Bytes::from_static(b"y"))
        };
        let asked = futures::future::join3(answered.once(key(1), compute()), answered.once(key(1), compute()), async {
            yield_now().await;
            go.notify_one();
        });
        let (first, second, ()) = asked.await;
        assert_eq!((first, second), ((Bytes::from_static(b"y"), false), (Bytes::from_static(b"y"), true)));
        assert_eq!(answered.once(key(1), compute()).await, (Bytes::from_static(b"y"), true));
        assert_eq!(runs.load(Relaxed), 1);
    }

    #[tokio::test]
    async fn refusals_are_not_kept() {
        let answered = Answered::default();
        let refusal = answered.once(key(1), async { Err(Bytes::from_static(b"no")) }).await;
        assert_eq!(refusal, (Bytes::from_static(b"no"), false));
        assert!(answered.inside().answers.is_empty());
        let answer = answered.once(key(1), async { Ok(Bytes::from_static(b"yes")) }).await;
        assert_eq!(answer, (Bytes::from_static(b"yes"), false));
    }

    #[tokio::test]
    async fn the_oldest_are_forgotten() {
        let answered = Answered::default();
        for request in 0..5 {
            answered.once(key(request), async { Ok(Bytes::from(vec![0; 20 << 20])) }).await;
        }
        let inside = answered.inside();
        let left: Vec<u128> = inside.kept.iter().map(|((request, ..), _)| *request).collect();
        assert_eq!((left, inside.kept_bytes, inside.answers.len()), (vec![2, 3, 4], 60 << 20, 3));
    }
}
