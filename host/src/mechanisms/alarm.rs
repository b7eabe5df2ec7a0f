//! A thread's alarm clock: set by anybody, heard by one.
//!
//! Setting it wakes nobody. On a core that slept for an hour, waking a thread takes longer than answering a request.

pub use clock::Alarm;

#[cfg(target_os = "linux")]
mod clock {
    use rustix::{
        fd::OwnedFd,
        io::{Errno, read},
        time::{
            Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
        },
    };
    use std::{io, time::Duration};

    /// The kernel's timer as a file.
    pub struct Alarm(OwnedFd);

    impl Alarm {
        pub fn new() -> io::Result<Self> {
            Ok(Self(timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC)?))
        }

        /// Rings after every `period` from now on; never again where that is zero.
        pub fn set(&self, period: Duration) -> io::Result<()> {
            let period = Timespec::try_from(period).map_err(io::Error::other)?;
            let rings = Itimerspec { it_interval: period, it_value: period };
            timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &rings)?;
            Ok(())
        }

        /// Sleeps until it rings.
        pub fn wait(&self) -> io::Result<()> {
            let mut rings = [0; size_of::<u64>()];
            loop {
                match read(&self.0, &mut rings) {
                    Err(Errno::INTR) => {}
                    outcome => return Ok(outcome.map(drop)?),
                }
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod clock {
    use std::{
        io,
        sync::{Condvar, Mutex, PoisonError},
        time::Duration,
    };

    /// Without such a timer the thread has to be woken.
    pub struct Alarm {
        period: Mutex<Duration>,
        changed: Condvar,
    }

    impl Alarm {
        pub fn new() -> io::Result<Self> {
            Ok(Self { period: Mutex::default(), changed: Condvar::new() })
        }

        /// Rings after every `period` from now on; never again where that is zero.
        pub fn set(&self, period: Duration) -> io::Result<()> {
            *self.period.lock().unwrap_or_else(PoisonError::into_inner) = period;
            self.changed.notify_one();
            Ok(())
        }

        /// Sleeps until it rings.
        pub fn wait(&self) -> io::Result<()> {
            let period = self.period.lock().unwrap_or_else(PoisonError::into_inner);
            let silent = |period: &mut Duration| period.is_zero();
            let period = *self.changed.wait_while(period, silent).unwrap_or_else(PoisonError::into_inner);
            std::thread::sleep(period);
            Ok(())
        }
    }
}
