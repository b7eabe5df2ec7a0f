//! Threads that compute, so that the reactor never does.
//!
//! One job runs on one thread. While few run, each may split its matrix products over all cores; once they fill the
//! cores, each keeps to its own, which is the better use of them.

use burst_host::nouns::Fault;
use std::{
    cell::Cell,
    collections::VecDeque,
    num::NonZeroUsize,
    panic::{self, AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};
use tokio::sync::{Semaphore, oneshot};
use tract_linalg::multithread::{Executor, multithread_tract_scope};

/// Jobs queued or running. Who comes later waits outside until its deadline, in the order of arrival.
const QUEUE_MAX: usize = 1024;

type Job = Box<dyn FnOnce() + Send>;

/// The pool. Dropping it ends the threads once their jobs are done.
pub(crate) struct Workers {
    shared: Arc<Shared>,
    places: Arc<Semaphore>,
}

struct Shared {
    queue: Mutex<Queue>,
    arrival: Condvar,
    running: AtomicUsize,
    threads: usize,
    helpers: Executor,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

impl Workers {
    pub(crate) fn start(threads: NonZeroUsize) -> Result<Self, Fault> {
        let threads = threads.get();
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            arrival: Condvar::new(),
            running: AtomicUsize::new(0),
            threads,
            helpers: helpers(threads)?,
        });
        let workers = Self { shared, places: Arc::new(Semaphore::new(QUEUE_MAX)) };
        for index in 0..threads {
            let shared = Arc::clone(&workers.shared);
            let builder = thread::Builder::new().name(format!("burst-cpu-{index}"));
            builder.spawn(move || shared.work()).map_err(|_| Fault::OutOfMemory)?;
        }
        Ok(workers)
    }

    /// Runs `job` on a compute thread. A panic in it is a fault of its own.
    ///
    /// Fails with `TimedOut` at the deadline; a job that has not started by then never does.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Option<Instant>,
        job: impl FnOnce() -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let passed = move || deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if passed() {
            return Err(Fault::TimedOut);
        }
        let place = until(deadline, Arc::clone(&self.places).acquire_owned()).await?.map_err(|_| Fault::DeviceLost)?;
        let (reply, answer) = oneshot::channel();
        self.push(Box::new(move || {
            // Who asked is gone when the receiver is.
            if !passed() && !reply.is_closed() {
                // Only fails when nobody waits any more.
                let _ = reply.send(guarded(job));
            }
            drop(place);
        }));
        // A job that was dropped unstarted was too late.
        until(deadline, answer).await?.unwrap_or(Err(Fault::TimedOut))
    }

    fn push(&self, job: Job) {
        self.shared.lock().jobs.push_back(job);
        self.shared.arrival.notify_one();
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.arrival.notify_all();
    }
}

impl Shared {
    /// Jobs run outside the lock, so a poisoned queue is whole.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(job) = self.next() {
            let running = 1 + self.running.fetch_add(1, Ordering::Relaxed);
            let split = running * 2 <= self.threads;
            multithread_tract_scope(if split { self.helpers.clone() } else { Executor::SingleThread }, job);
            self.running.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sleeps until there is a job; `None` once the pool is closed.
    fn next(&self) -> Option<Job> {
        let mut queue = self.lock();
        loop {
            match queue.jobs.pop_front() {
                Some(job) => return Some(job),
                None if queue.closed => return None,
                None => queue = self.arrival.wait(queue).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

fn helpers(threads: usize) -> Result<Executor, Fault> {
    if threads < 2 {
        return Ok(Executor::SingleThread);
    }
    // It panics where threads can't be started.
    catch_unwind(|| Executor::multithread_with_name(threads, HELPER)).map_err(|_| Fault::OutOfMemory)
}

async fn until<F: Future>(deadline: Option<Instant>, future: F) -> Result<F::Output, Fault> {
    match deadline {
        Some(deadline) => tokio::time::timeout_at(deadline.into(), future).await.map_err(|_| Fault::TimedOut),
        None => Ok(future.await),
    }
}

thread_local! {
    /// Whether a panic of this thread is caught and told as a fault.
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Prefix of the names of the threads that compute for a guarded job.
const HELPER: &str = "burst-cpu-helper";

/// tract panics on some models; the host must not. Nothing is printed: the fault says it.
pub(super) fn guarded<T>(job: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
    static HOOK: Once = Once::new();
    HOOK.call_once(silence_guarded);
    let outer = GUARDED.replace(true);
    let answer = catch_unwind(AssertUnwindSafe(job));
    GUARDED.set(outer);
    answer.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        Err(fault(text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")))
    })
}

/// Keeps panics of guarded jobs from the hook that prints them; all others reach it.
fn silence_guarded() {
    let printing = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let helper = thread::current().name().is_some_and(|name| name.starts_with(HELPER));
        if !helper && !GUARDED.get() {
            printing(panic);
        }
    }));
}

/// What a panic means to the caller.
fn fault(text: &str) -> Fault {
    if text.contains("divide by zero") || text.contains("divisor of zero") {
        return Fault::Invalid("an integer is divided by zero".into());
    }
    let line = text.lines().next().unwrap_or_default();
    Fault::Unsupported(format!("tract gave up: {}", line.chars().take(200).collect::<String>()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn workers(threads: usize) -> Workers {
        Workers::start(NonZeroUsize::new(threads).unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_and_the_thread_lives_on() {
        let workers = workers(1);
        for _ in 0..3 {
            let answer: Result<(), _> = workers.run(None, || panic!("ouch")).await;
            assert_eq!(answer, Err(Fault::Unsupported("tract gave up: ouch".into())));
        }
        assert_eq!(workers.run(None, || Ok(7)).await, Ok(7));
    }

    #[tokio::test]
    async fn a_late_job_never_starts() {
        let workers = workers(1);
        let (started, wait) = (Arc::new(AtomicUsize::new(0)), Duration::from_millis(20));
        let count = Arc::clone(&started);
        let busy = workers.run(None, move || {
            thread::sleep(5 * wait);
            Ok(())
        });
        let late = workers.run(Some(Instant::now() + wait), move || Ok(count.fetch_add(1, Ordering::SeqCst)));
        let begin = Instant::now();
        let (busy, late) = tokio::join!(busy, async { (late.await, begin.elapsed()) });
        assert_eq!((busy, late.0), (Ok(()), Err(Fault::TimedOut)));
        assert!(late.1 < 4 * wait, "the answer came at the deadline, not when the thread was free");
        assert_eq!(workers.run(None, || Ok(1)).await, Ok(1));
        assert_eq!(started.load(Ordering::SeqCst), 0);
    }

    #[tokio::test]
    async fn a_full_queue_holds_callers_back() {
        let workers = workers(1);
        let held = Arc::clone(&workers.places).acquire_many_owned(QUEUE_MAX as u32).await.unwrap();
        let deadline = Some(Instant::now() + Duration::from_millis(10));
        assert_eq!(workers.run(deadline, || Ok(())).await, Err(Fault::TimedOut));
        drop(held);
        assert_eq!(workers.run(None, || Ok(())).await, Ok(()));
    }
}
