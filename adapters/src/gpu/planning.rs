//! Makes plans off the reactor: walking a graph, folding what is known and compiling kernels takes up to seconds. One at
//! a time for a program, so that who waits for the same plan finds it made.

use burst_host::nouns::Fault;
use std::{sync::Arc, time::Instant};
use tokio::{runtime::Handle, sync::Mutex, task::spawn_blocking, time::timeout_at};

/// The turns of one program.
#[derive(Default)]
pub struct Planning(Arc<Mutex<()>>);

impl Planning {
    /// What is known, or what is made by the deadline. What is begun is finished all the same: the next run finds it.
    pub async fn plan<T: Send + 'static, F: Future<Output = Result<T, Fault>>>(
        &self,
        deadline: Instant,
        known: impl Fn() -> Option<T>,
        make: impl FnOnce() -> F + Send + 'static,
    ) -> Result<T, Fault> {
        if let Some(plan) = known() {
            return Ok(plan);
        }
        let planned = async {
            let turn = self.0.clone().lock_owned().await;
            if let Some(plan) = known() {
                return Ok(plan);
            }
            let make = move || async move {
                let _turn = turn;
                make().await
            };
            off_reactor(make).await
        };
        timeout_at(deadline.into(), planned).await.unwrap_or(Err(Fault::TimedOut))
    }
}

/// Runs what computes much and waits little on a thread that may take its time.
pub async fn off_reactor<T: Send + 'static, F: Future<Output = Result<T, Fault>>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T, Fault> {
    let reactor = Handle::current();
    let done = spawn_blocking(move || reactor.block_on(work())).await;
    done.unwrap_or_else(|_| Err(Fault::Unsupported("its plan on the GPU broke off; the log says why".into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::{Mutex, atomic::AtomicUsize, atomic::Ordering::SeqCst},
        thread,
        time::Duration,
    };

    /// Plans that take so long, and how many were made.
    #[derive(Default)]
    struct Plans {
        planning: Planning,
        made: Arc<AtomicUsize>,
        kept: Arc<Mutex<Option<u32>>>,
    }

    impl Plans {
        async fn get(&self, patience: Duration) -> Result<u32, Fault> {
            let (made, kept) = (self.made.clone(), self.kept.clone());
            let make = move || async move {
                made.fetch_add(1, SeqCst);
                thread::sleep(Duration::from_millis(200));
                *kept.lock().unwrap() = Some(7);
                Ok(7)
            };
            self.planning.plan(Instant::now() + patience, || *self.kept.lock().unwrap(), make).await
        }
    }

    #[tokio::test]
    async fn two_that_need_the_same_plan_make_it_once() {
        let plans = Plans::default();
        let minute = Duration::from_secs(60);
        assert_eq!(tokio::join!(plans.get(minute), plans.get(minute)), (Ok(7), Ok(7)));
        assert_eq!(plans.made.load(SeqCst), 1);
    }

    /// On the one thread of this reactor, nothing else would tick.
    #[tokio::test]
    async fn who_waits_obeys_the_deadline_and_leaves_the_plan_for_the_next() {
        let plans = Plans::default();
        let start = Instant::now();
        assert_eq!(plans.get(Duration::from_millis(20)).await, Err(Fault::TimedOut));
        assert!(start.elapsed() < Duration::from_millis(150), "{:?}", start.elapsed());
        assert_eq!(plans.get(Duration::from_secs(60)).await, Ok(7));
        assert_eq!(plans.made.load(SeqCst), 1, "the second found what the first began");
    }
}
