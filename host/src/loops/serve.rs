//! The data plane: a named guest answers a request.

use crate::{
    mechanisms::statistics::Statistics,
    nouns::{Digest, Signature, Tensor},
    ports::Device,
};
use std::{sync::Arc, time::Duration};

/// What a client wants of a guest.
#[derive(Debug)]
pub struct Request {
    pub guest: String,
    pub inputs: Vec<(String, Tensor)>,
    /// Sooner than the guest's own deadline, when the client asked for it.
    pub timeout: Option<Duration>,
}

/// What the guest answered.
#[derive(Debug)]
pub struct Answer {
    /// In host memory, in the guest's order.
    pub outputs: Vec<(String, Tensor)>,
    /// What computed the graphs that the guest ran; `None` when it ran none.
    pub device: Option<Device>,
}

/// Why there is no answer, by what the client can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServeError {
    #[error("there is no guest `{0}`")]
    NotFound(String),
    /// The request does not fit the guest.
    #[error("{0}")]
    Invalid(String),
    /// The guest refused; its own words.
    #[error("the guest refused: {0}")]
    Refused(String),
    /// As many requests wait as may.
    #[error("the queue of `{0}` is full")]
    Busy(String),
    /// The house closes.
    #[error("shutting down")]
    Draining,
    #[error("the deadline passed")]
    TimedOut,
    /// The guest broke; the lease is retired. A fixed vocabulary: no addresses, no names of others.
    #[error("the guest failed: {0}")]
    Failed(&'static str),
}

/// One deployed guest, for those who ask about it.
#[derive(Clone)]
pub struct Deployed {
    pub name: Arc<str>,
    /// Of the component.
    pub digest: Digest,
    pub signature: Signature,
    /// What its graphs run on.
    pub device: Device,
    pub ready: bool,
    pub statistics: Arc<Statistics>,
    pub leases: Leases,
}

/// What a pool holds at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Leases {
    pub ready: usize,
    pub busy: usize,
    /// Requests that wait for a lease.
    pub waiting: usize,
    /// The floor that is kept ready.
    pub floor: usize,
    /// The ceiling for ready and busy together.
    pub max: usize,
}

/// The guests of this host, by name.
pub struct Service {}

impl Service {
    /// Guests that answer requests, by name.
    pub fn guests(&self) -> Vec<Deployed> {
        todo!()
    }

    /// One of them.
    pub fn guest(&self, name: &str) -> Option<Deployed> {
        let _ = name;
        todo!()
    }

    /// Whether requests are taken: every guest has its ready floor and the house is not closing.
    pub fn ready(&self) -> bool {
        todo!()
    }

    /// Lends a fresh guest, runs the request in it and retires it.
    pub async fn answer(&self, request: Request) -> Result<Answer, ServeError> {
        let _ = request;
        todo!()
    }
}
