//! Moves the epoch while guests run, and sleeps while none does.

use super::alarm::Alarm;
use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    thread,
    time::Duration,
};
use wasmtime::{Engine, EngineWeak};

/// One OS thread for the one engine: a guest that spins can hold every async worker, but not this.
pub struct Ticker {
    state: Arc<State>,
}

struct State {
    running: AtomicUsize,
    ticks: AtomicBool,
    alarm: Alarm,
}

impl Ticker {
    /// How often a running guest can be interrupted.
    pub const TICK: Duration = Duration::from_millis(1);

    /// Ticks without a running guest before the alarm is off, so that a busy host hardly ever sets it.
    const LINGER_TICKS: u32 = 20;

    /// Starts the thread; it ends when the engine is gone.
    pub fn start(engine: &Engine) -> io::Result<Self> {
        let state =
            Arc::new(State { running: AtomicUsize::new(0), ticks: AtomicBool::new(false), alarm: Alarm::new()? });
        let (weak, shared) = (engine.weak(), state.clone());
        thread::Builder::new().name("burst-ticker".into()).spawn(move || {
            if let Err(error) = tick(&weak, &shared) {
                tracing::error!(%error, "no guest can be interrupted any more: the ticker has no alarm");
            }
        })?;
        Ok(Self { state })
    }

    /// Keeps the epoch moving until the guard is dropped.
    pub fn run(self: &Arc<Self>) -> Running {
        self.state.running.fetch_add(1, SeqCst);
        self.state.start();
        Running(self.clone())
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.state.start();
    }
}

impl State {
    fn start(&self) {
        if !self.ticks.load(SeqCst)
            && !self.ticks.swap(true, SeqCst)
            && let Err(error) = self.alarm.set(Ticker::TICK)
        {
            tracing::error!(%error, "a guest runs that can't be interrupted: the alarm can't be set");
        }
    }

    fn stop(&self) -> io::Result<()> {
        self.alarm.set(Duration::ZERO)?;
        self.ticks.store(false, SeqCst);
        // A guest that started before it could see the flag is seen here instead.
        if self.running.load(SeqCst) > 0 {
            self.start();
        }
        Ok(())
    }
}

/// A guest is running.
pub struct Running(Arc<Ticker>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.state.running.fetch_sub(1, SeqCst);
    }
}

fn tick(engine: &EngineWeak, state: &State) -> io::Result<()> {
    let mut idle_ticks = 0;
    loop {
        state.alarm.wait()?;
        let Some(engine) = engine.upgrade() else { return Ok(()) };
        engine.increment_epoch();
        idle_ticks = if state.running.load(SeqCst) == 0 { idle_ticks + 1 } else { 0 };
        if idle_ticks >= Ticker::LINGER_TICKS {
            idle_ticks = 0;
            state.stop()?;
        }
    }
}
