//! A cut model that is larger than memory: its first fragments stay, the others are read for each run.

mod belt;
mod share;
mod sheet;

pub use belt::{Belt, Loaded};
pub use share::{Share, Short, copies};
pub use sheet::Sheet;

use crate::{
    nouns::{Charge, Digest, Fault, Graph, Space},
    ports::{Accelerator, ModelError, ModelFormat, Program, Registry, RegistryError, Revision},
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{sync::Semaphore, task::spawn_blocking, time::timeout_at};

/// The longest that a first run may take.
const WARM_UP: Duration = Duration::from_secs(60);

/// Why a fragment can't be brought into memory.
#[derive(Debug, thiserror::Error)]
pub enum PagingError {
    #[error(transparent)]
    Fetch(#[from] RegistryError),
    #[error("`{location}` is {found}, not what it has to be: fetch it again")]
    Changed { location: String, found: Digest },
    #[error(transparent)]
    Decode(#[from] ModelError),
    #[error(transparent)]
    Load(#[from] Fault),
}

/// A run can't do anything about it but say so.
impl From<PagingError> for Fault {
    fn from(error: PagingError) -> Self {
        match error {
            PagingError::Load(fault) => fault,
            error => Self::Invalid(format!("a fragment of the model: {error}")),
        }
    }
}

/// What brings fragments into memory.
pub struct Loader {
    pub registry: Arc<dyn Registry>,
    pub format: Arc<dyn ModelFormat>,
    pub accelerator: Arc<dyn Accelerator>,
}

impl Loader {
    /// Reads, verifies and loads one sheet, beside all belts.
    pub async fn bring(&self, sheets: Arc<[Sheet]>, index: usize) -> Result<Arc<dyn Program>, PagingError> {
        let sheet = sheet(&sheets, index)?;
        let pages = sheet.read(&*self.registry, Space::new(sheet.space_bytes())).await?;
        let (bytes, revisions) = pages.split(Bytes::from_owner);
        self.load(sheets, index, bytes, revisions).await
    }

    /// Runs the largest sheet once, whatever comes of it: what a device's driver takes of the host for itself, its
    /// compiler for one, it has taken before anybody counts what is left.
    pub async fn warm_up(&self, sheets: Arc<[Sheet]>) -> Result<(), PagingError> {
        let largest = (0..sheets.len()).max_by_key(|&index| sheets[index].bytes()).unwrap_or(0);
        let program = self.bring(sheets, largest).await?;
        let inputs = program.signature().inputs.iter().map(|port| port.zeros(|_| 1)).collect::<Result<_, _>>();
        if let Ok(inputs) = inputs {
            let _ = program.run(inputs, Instant::now() + WARM_UP).await;
        }
        Ok(())
    }

    async fn load(
        &self,
        sheets: Arc<[Sheet]>,
        index: usize,
        pages: Bytes,
        revisions: Vec<Option<Revision>>,
    ) -> Result<Arc<dyn Program>, PagingError> {
        let format = self.format.clone();
        let decode = move || -> Result<Graph, PagingError> {
            let sheet = sheet(&sheets, index)?;
            Ok(format.decode(&sheet.model, &sheet.verify(&pages, &revisions)?)?)
        };
        let broken = |error| ModelError(format!("the model can't be read: {error}"));
        let graph = spawn_blocking(decode).await.map_err(broken)??;
        Ok(self.accelerator.load(&graph).await?)
    }
}

fn sheet(sheets: &[Sheet], index: usize) -> Result<&Sheet, ModelError> {
    sheets.get(index).ok_or_else(|| ModelError("there is no such fragment".into()))
}

/// The fragments that are read for each run. One run at a time: two would need twice the room.
pub struct Rest {
    loader: Arc<Loader>,
    sheets: Arc<[Sheet]>,
    first: usize,
    turn: Arc<Semaphore>,
    /// What they take while they pass.
    _room: Charge,
}

impl Rest {
    /// The sheets from `first` on; those before it are in memory.
    pub fn new(loader: Arc<Loader>, sheets: Arc<[Sheet]>, first: usize, room: Charge) -> Self {
        Self { loader, sheets, first, turn: Arc::new(Semaphore::new(1)), _room: room }
    }

    /// Begins a run, once those before it are through.
    pub async fn begin(&self, deadline: Instant) -> Result<Belt, Fault> {
        let turn = timeout_at(deadline.into(), self.turn.clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Fault::TimedOut)?.map_err(|_| Fault::DeviceLost)?;
        Ok(Belt::start(self.loader.clone(), self.sheets.clone(), self.first, Arc::new(turn)))
    }
}
