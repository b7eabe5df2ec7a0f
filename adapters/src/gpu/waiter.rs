//! The thread that waits for the device: however many wait for their results, only this one is blocked.

use burst_host::nouns::Fault;
use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};
use tokio::sync::oneshot;
use wgpu::{PollType, SubmissionIndex};

/// Sleeps while nobody waits, and ends when dropped.
pub struct Waiter {
    shared: Arc<Shared>,
    thread: Option<thread::JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waits: Mutex<Waits>,
    arrival: Condvar,
}

type Wait = (SubmissionIndex, Option<oneshot::Sender<()>>);

#[derive(Default)]
struct Waits {
    /// In the order of arrival, which is nearly that of the device.
    queue: VecDeque<Wait>,
    /// Work that nobody waits for, and whose end is to be told all the same.
    followed: Option<SubmissionIndex>,
    closed: bool,
}

impl Waiter {
    /// Starts the thread; `hung` is called, once, when the device does not finish within `patience`.
    pub fn start(device: wgpu::Device, patience: Duration, hung: impl Fn() + Send + 'static) -> Result<Self, Fault> {
        let shared = Arc::<Shared>::default();
        let waits = shared.clone();
        let work = move || {
            // However this thread ends, nobody waits for it afterwards.
            let _closes = Closes(waits.clone());
            while let Some((index, done)) = waits.next() {
                let wait = PollType::Wait { submission_index: Some(index), timeout: Some(patience) };
                match device.poll(wait) {
                    Ok(_) => drop(done.map(|done| done.send(()))),
                    Err(error) => {
                        tracing::error!(%error, "the GPU does not finish its work");
                        hung();
                        // The others would wait as long, one after the other.
                        return;
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("burst-gpu".into()).spawn(work).map_err(|_| Fault::OutOfMemory)?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Waits until the device has done everything up to `index`, and has told everybody who asked for it.
    pub async fn wait(&self, index: SubmissionIndex) -> Result<(), Fault> {
        let (done, finished) = oneshot::channel();
        {
            let mut waits = self.shared.lock();
            if waits.closed {
                return Err(Fault::DeviceLost);
            }
            waits.queue.push_back((index, Some(done)));
        }
        self.shared.arrival.notify_one();
        finished.await.map_err(|_| Fault::DeviceLost)
    }

    /// Sees to it that everybody is told once the device has done everything up to `index`.
    pub fn follow(&self, index: SubmissionIndex) {
        self.shared.lock().followed = Some(index);
        self.shared.arrival.notify_one();
    }
}

/// Closes the queue when it is dropped.
struct Closes(Arc<Shared>);

impl Drop for Closes {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.arrival.notify_one();
        // The thread holds the device, which must not outlive the process's last words.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waits> {
        self.waits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets go of everybody who waits.
    fn close(&self) {
        let mut waits = self.lock();
        waits.closed = true;
        waits.queue.clear();
    }

    /// Sleeps until somebody waits; who gave up is passed over.
    fn next(&self) -> Option<Wait> {
        let mut waits = self.lock();
        loop {
            match waits.queue.pop_front() {
                _ if waits.closed => return None,
                Some((_, Some(done))) if done.is_closed() => {}
                Some(wait) => return Some(wait),
                None => match waits.followed.take() {
                    Some(index) => return Some((index, None)),
                    None => waits = self.arrival.wait(waits).unwrap_or_else(PoisonError::into_inner),
                },
            }
        }
    }
}
