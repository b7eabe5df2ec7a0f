//! Moves the epoch while guests run, and sleeps while none does.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread::{self, Thread},
    time::Duration,
};
use wasmtime::{Engine, EngineWeak};

/// One OS thread for the one engine: a guest that spins can hold every async worker, but not this.
pub struct Ticker {
    state: Arc<State>,
    thread: Thread,
}

struct State {
    running: AtomicUsize,
    parked: AtomicBool,
}

impl Ticker {
    /// How often a running guest can be interrupted.
    pub const TICK: Duration = Duration::from_millis(1);

    /// Ticks without a running guest before the thread parks. Waking it costs more than a tick, so a busy host never
    /// does.
    const LINGER_TICKS: u32 = 20;

    /// Starts the thread; it ends when the engine is gone.
    pub fn start(engine: &Engine) -> std::io::Result<Self> {
        let state = Arc::new(State { running: AtomicUsize::new(0), parked: AtomicBool::new(false) });
        let (weak, shared) = (engine.weak(), state.clone());
        let handle = thread::Builder::new().name("burst-ticker".into()).spawn(move || tick(&weak, &shared))?;
        Ok(Self { state, thread: handle.thread().clone() })
    }

    /// Keeps the epoch moving until the guard is dropped.
    pub fn run(self: &Arc<Self>) -> Running {
        self.state.running.fetch_add(1, SeqCst);
        if self.state.parked.load(SeqCst) {
            self.thread.unpark();
        }
        Running(self.clone())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.thread.unpark();
    }
}

/// A guest is running.
pub struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state.running.fetch_sub(1, SeqCst);
    }
}

fn tick(engine: &EngineWeak, state: &State) {
    let mut idle_ticks = 0;
    loop {
        idle_ticks = if state.running.load(SeqCst) == 0 { idle_ticks + 1 } else { 0 };
        if idle_ticks >= Ticker::LINGER_TICKS {
            state.parked.store(true, SeqCst);
            // A guest that started before it could see the flag is seen here instead.
            if state.running.load(SeqCst) == 0 {
                thread::park();
            }
            state.parked.store(false, SeqCst);
            idle_ticks = 0;
        } else {
            thread::sleep(Ticker::TICK);
        }
        match engine.upgrade() {
            Some(engine) => engine.increment_epoch(),
            None => return,
        }
    }
}
