//! The data plane: a named guest answers a request.

pub use crate::mechanisms::pool::Leases;

use crate::{
    mechanisms::{
        component::Start,
        ends::Ends,
        live::{CallError, Response},
        pool::{Lease, Offer, Pool},
        sequences::{SequenceError, Sequences, Sessions, Step},
        statistics::{Retired, Statistics},
    },
    nouns::{Account, Charge, Digest, Sequence, Signature, Tensor, manifest::Limits},
    ports::{Accelerator, Device, DeviceKind},
};
use arc_swap::ArcSwap;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// What a client wants of a guest.
#[derive(Debug)]
pub struct Request {
    pub guest: String,
    pub inputs: Vec<(String, Tensor)>,
    /// What it goes on with; means nothing to a guest whose models keep no states.
    pub sequence: Option<Sequence>,
    /// Sooner than the guest's own deadline, when the client asked for it.
    pub timeout: Option<Duration>,
    /// The client's name for it, for the log.
    pub id: Option<String>,
}

/// What the guest answered.
#[derive(Debug)]
pub struct Answer {
    /// In host memory, in the guest's order.
    pub outputs: Vec<(String, Tensor)>,
    /// What computed the graphs that the guest ran; `None` when it ran none.
    pub device: Option<Device>,
    /// In a sequence: whoever gives the answer on commits it. A step that is dropped was none.
    pub step: Option<Step>,
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
    #[error(transparent)]
    Sequence(#[from] SequenceError),
    /// As many requests wait as may.
    #[error("the queue of `{0}` is full")]
    Busy(String),
    /// The house closes.
    #[error("shutting down")]
    Draining,
    #[error("the deadline passed")]
    TimedOut,
    /// Twice in one request.
    #[error("the device was lost")]
    DeviceLost,
    /// The guest broke; the lease is retired. A fixed vocabulary: no addresses, no names of others.
    #[error("the guest failed: {0}")]
    Failed(&'static str),
}

/// A guest with its pool.
pub struct Deployment {
    pub name: Arc<str>,
    pub signature: Arc<Signature>,
    /// Whether clients may call it: a guest that sees frames emits events only.
    pub answers: bool,
    pub limits: Limits,
    pub accelerator: Arc<dyn Accelerator>,
    pub statistics: Arc<Statistics>,
    /// Where a model of the guest keeps states.
    pub sequences: Option<Arc<Sequences>>,
    /// What the log says of guests that end without an answer.
    pub ends: Ends,
    pub pool: Pool,
    /// After the pool: given back once its guests are gone.
    pub(super) _room: Charge,
}

/// One deployed guest, for those who ask about it.
#[derive(Clone)]
pub struct Deployed {
    pub name: Arc<str>,
    /// Of the component.
    pub digest: Digest,
    pub signature: Arc<Signature>,
    /// What its graphs run on.
    pub device: Device,
    /// How its leases start.
    pub start: Start,
    pub ready: bool,
    /// Whether clients may call it.
    pub answers: bool,
    pub statistics: Arc<Statistics>,
    pub leases: Leases,
    pub device_use: DeviceUse,
    /// None where no model of the guest keeps states.
    pub sequences: Option<SequencesUse>,
}

/// What the sequences of a guest have.
#[derive(Clone, Copy, Debug)]
pub struct SequencesUse {
    pub open: usize,
    pub max: usize,
    pub idle_ms: u64,
    /// Of states that are on this node.
    pub state_bytes: usize,
}

/// What a guest has of its device.
#[derive(Clone, Copy, Debug, Default)]
pub struct DeviceUse {
    /// Tensors of all its leases, and graphs that they built.
    pub leases_bytes: usize,
    /// Weights and plans of the models that it opens, whoever shares them.
    pub models_bytes: usize,
    /// The most of the one, and of each model.
    pub bytes_max: usize,
    /// Runs on the device that are not done.
    pub runs: usize,
    pub runs_max: usize,
}

/// The guests of this host, by name.
#[derive(Default)]
pub struct Service {
    guests: ArcSwap<BTreeMap<Arc<str>, Arc<Deployment>>>,
    /// Until then nobody knows what is to be served.
    opened: AtomicBool,
    draining: AtomicBool,
}

impl Service {
    /// Puts these guests in place of all others, in one step; requests in flight end where they began.
    pub fn replace(&self, deployments: impl IntoIterator<Item = Arc<Deployment>>) {
        let guests = deployments.into_iter().map(|deployment| (deployment.name.clone(), deployment));
        self.guests.store(Arc::new(guests.collect()));
        self.opened.store(true, Relaxed);
    }

    /// Puts a guest in place of the one of the same name; requests in flight end where they began.
    pub fn insert(&self, deployment: Arc<Deployment>) {
        self.guests.rcu(|guests| {
            let mut guests = BTreeMap::clone(guests);
            guests.insert(deployment.name.clone(), deployment.clone());
            guests
        });
        self.opened.store(true, Relaxed);
    }

    /// Every guest, by name.
    pub fn guests(&self) -> Vec<Deployed> {
        self.guests.load().values().map(|deployment| deployment.describe()).collect()
    }

    /// One of them.
    pub fn guest(&self, name: &str) -> Option<Deployed> {
        self.guests.load().get(name).map(|deployment| deployment.describe())
    }

    /// A guest that answers, as it is now: whatever comes in its place, a request that has begun ends with it.
    pub fn answering(&self, name: &str) -> Option<Arc<Deployment>> {
        self.guests.load().get(name).filter(|deployment| deployment.answers).cloned()
    }

    /// What was counted of a guest.
    pub fn statistics(&self, name: &str) -> Option<Arc<Statistics>> {
        self.guests.load().get(name).map(|deployment| deployment.statistics.clone())
    }

    /// Whether requests are taken: every guest was deployed with its floor, what its models run on is in place, and the
    /// house is not closing.
    pub fn ready(&self) -> bool {
        let takes = self.opened.load(Relaxed) && !self.draining.load(Relaxed);
        takes && self.guests.load().values().all(|deployment| deployment.is_ready())
    }

    /// Refuses every request from now on.
    pub fn drain(&self) {
        self.draining.store(true, Relaxed);
    }

    /// Lends a fresh guest, runs the request in it and retires it.
    pub async fn answer(&self, request: Request) -> Result<Answer, ServeError> {
        match self.answering(&request.guest) {
            Some(deployment) => self.answer_by(&deployment, request).await,
            None if self.draining.load(Relaxed) => Err(ServeError::Draining),
            None => Err(ServeError::NotFound(request.guest)),
        }
    }

    /// The same with a guest that was found before.
    pub async fn answer_by(&self, deployment: &Deployment, request: Request) -> Result<Answer, ServeError> {
        let arrived = Instant::now();
        if self.draining.load(Relaxed) {
            return Err(ServeError::Draining);
        }
        let answer = deployment.answer(request, arrived).await;
        deployment.note(&answer, arrived);
        answer
    }
}

impl Deployment {
    fn is_ready(&self) -> bool {
        self.pool.is_open() && self.pool.guest().grants().loaded.iter().all(|program| program.is_ready())
    }

    /// Until every node that computes for it is in place.
    pub async fn ready(&self) {
        for program in &self.pool.guest().grants().loaded {
            program.ready().await;
        }
    }

    fn describe(&self) -> Deployed {
        Deployed {
            name: self.name.clone(),
            digest: self.pool.guest().digest,
            signature: self.signature.clone(),
            device: self.accelerator.describe().clone(),
            start: self.pool.guest().start.clone(),
            ready: self.is_ready(),
            answers: self.answers,
            statistics: self.statistics.clone(),
            leases: self.pool.leases(),
            device_use: self.device_use(),
            sequences: self.sequences.as_ref().map(|sequences| SequencesUse {
                open: sequences.open(),
                max: sequences.config().max.get(),
                idle_ms: sequences.config().idle_ms.get(),
                state_bytes: sequences.held_bytes(),
            }),
        }
    }

    fn device_use(&self) -> DeviceUse {
        let grants = self.pool.guest().grants();
        let Account { bytes, runs, .. } = &grants.account;
        DeviceUse {
            leases_bytes: bytes.held(),
            models_bytes: grants.models.values().map(|program| program.held_bytes() as usize).sum(),
            bytes_max: bytes.limit(),
            runs: runs.held(),
            runs_max: runs.limit(),
        }
    }

    async fn answer(&self, request: Request, arrived: Instant) -> Result<Answer, ServeError> {
        let specs = request.inputs.iter().map(|(name, tensor)| (name.as_str(), tensor.spec()));
        self.signature.admits(specs).map_err(ServeError::Invalid)?;
        let own = Duration::from_millis(self.limits.deadline_ms.get());
        let deadline = arrived + request.timeout.map_or(own, |timeout| timeout.min(own));
        let step = self.step(request.sequence.as_ref())?;
        let sessions = step.as_ref().map(|step| step.sessions().clone());
        let took = arrived.elapsed();
        // What a lost device took with it can be computed again: such a guest has no way out but its answer.
        let again = (self.accelerator.describe().kind != DeviceKind::Cpu).then(|| request.inputs.clone());
        let id = request.id.as_deref();
        let answer = match (self.attempt(request.inputs, sessions.clone(), deadline, id).await, again) {
            (Err(ServeError::DeviceLost), Some(inputs)) => {
                // Where nobody can go on from there the second attempt tells.
                sessions.iter().for_each(|sessions| _ = sessions.rollback());
                self.attempt(inputs, sessions, deadline, id).await?
            }
            (answer, _) => answer?,
        };
        self.statistics.compute_input.record(took);
        Ok(Answer { step, ..answer })
    }

    fn step(&self, sequence: Option<&Sequence>) -> Result<Option<Step>, SequenceError> {
        let both = self.sequences.as_ref().zip(sequence);
        both.map(|(sequences, sequence)| sequences.begin(sequence)).transpose()
    }

    async fn attempt(
        &self,
        inputs: Vec<(String, Tensor)>,
        sessions: Option<Arc<Sessions>>,
        deadline: Instant,
        id: Option<&str>,
    ) -> Result<Answer, ServeError> {
        let checked = Instant::now();
        let mut lease = self.lease(deadline).await?;
        let lent = Instant::now();
        let response = lease.go_on(inputs, sessions, deadline).await;
        let computed = Instant::now();
        if let Err(error) = &response {
            self.ends.note(&self.name, id, error, lease.trace());
        }
        lease.end(response.as_ref().map_or_else(CallError::retires, |_| Retired::Used));
        let answer = self.download(response?, deadline).await?;
        self.statistics.lease_wait.record(lent - checked);
        self.statistics.compute.record(computed - lent);
        self.statistics.compute_output.record(computed.elapsed());
        Ok(answer)
    }

    async fn lease(&self, deadline: Instant) -> Result<Lease, ServeError> {
        match self.pool.lease(deadline).await {
            Offer::Lent(lease) => Ok(lease),
            Offer::Busy => {
                self.statistics.refused.add(1);
                Err(ServeError::Busy(self.name.to_string()))
            }
            Offer::TimedOut => Err(ServeError::TimedOut),
            Offer::Closed => Err(ServeError::Draining),
            Offer::Broken(error) => {
                tracing::error!(guest = %self.name, %error, "a guest can't be made");
                Err(ServeError::Failed("it can't be made"))
            }
        }
    }

    async fn download(&self, response: Response, deadline: Instant) -> Result<Answer, ServeError> {
        let mut outputs = Vec::with_capacity(response.outputs.len());
        for (name, tensor) in response.outputs {
            let tensor = if tensor.contents().is_some() {
                tensor
            } else {
                let host = tokio::time::timeout_at(deadline.into(), self.accelerator.download(&tensor)).await;
                host.map_err(|_| ServeError::TimedOut)?.map_err(|_| ServeError::DeviceLost)?
            };
            outputs.push((name, tensor));
        }
        Ok(Answer { outputs, device: response.device, step: None })
    }

    fn note(&self, answer: &Result<Answer, ServeError>, arrived: Instant) {
        match answer {
            Ok(_) => {
                self.statistics.success.record(arrived.elapsed());
                self.statistics.touch();
            }
            Err(_) => self.statistics.fail.record(arrived.elapsed()),
        }
    }
}

impl From<CallError> for ServeError {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Refused(refusal) => Self::Refused(refusal),
            CallError::OverQuota(why) => Self::Invalid(why),
            CallError::Failed(why) => Self::Failed(why),
            CallError::OverLimit => Self::Failed("it asked for more memory than it may have"),
            CallError::TimedOut => Self::TimedOut,
            CallError::DeviceLost => Self::DeviceLost,
        }
    }
}
