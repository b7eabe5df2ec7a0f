//! Runs that were submitted and are not done: nobody queues more on the device than it may.

use burst_host::nouns::Charge;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// A run's place on the account of its holder, and on the device's.
pub type Flight = [Charge; 2];

/// The runs of one device. Clones share them.
#[derive(Clone, Default)]
pub struct Flights(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    next: u64,
    flights: HashMap<u64, Flight>,
    closed: bool,
}

impl Flights {
    /// Keeps the places of a run until it is ended by what this returns.
    pub fn begin(&self, flight: Flight) -> u64 {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.next += 1;
        let name = open.next;
        if !open.closed {
            open.flights.insert(name, flight);
        }
        name
    }

    pub fn end(&self, name: u64) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).flights.remove(&name);
    }

    /// A lost device does not say that runs ended.
    pub fn close(&self) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        open.closed = true;
        open.flights.clear();
    }
}
