//! Brings one fragment after the other into memory, ahead of whoever runs them.
//!
//! ```text
//!   disk ─read─▶ a space of two ─verify, decode, load─▶ a program of two ─run─▶ gone
//! ```

use super::{Loader, PagingError, sheet::Sheet};
use crate::{
    nouns::{Fault, Space},
    ports::{Program, Revision},
};
use bytes::Bytes;
use futures::FutureExt;
use std::{
    sync::{Arc, Weak},
    time::Instant,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout_at,
};

/// Spaces that are filled in turn, and programs that are there at once: while the disk reads into one, the other is
/// used.
pub const AHEAD: usize = 2;

/// One run's way through the sheets. Ends with the last of them, or when it is dropped.
pub struct Belt(mpsc::Receiver<Result<Loaded, PagingError>>);

/// The room that a belt takes. A read that has begun goes on when nobody waits any more, and has it until it ends.
pub type Turn = Arc<OwnedSemaphorePermit>;

/// A fragment that is in memory as long as this.
pub struct Loaded {
    pub program: Arc<dyn Program>,
    _place: OwnedSemaphorePermit,
}

impl Belt {
    /// Begins to read the sheets from `first` on.
    pub fn start(loader: Arc<Loader>, sheets: Arc<[Sheet]>, first: usize, turn: Turn) -> Self {
        let (pages, read) = mpsc::channel(1);
        let (programs, loaded) = mpsc::channel(1);
        let reading = read_all(loader.clone(), sheets.clone(), first, pages);
        let loading = load_all(loader, sheets, first, read, programs);
        for work in [reading.boxed(), loading.boxed()] {
            let turn = turn.clone();
            tokio::spawn(async move {
                work.await;
                drop(turn);
            });
        }
        Self(loaded)
    }

    /// The next fragment, once it is there.
    pub async fn next(&mut self, deadline: Instant) -> Result<Loaded, Fault> {
        match timeout_at(deadline.into(), self.0.recv()).await {
            Ok(Some(loaded)) => loaded.map_err(Fault::from),
            // Only a panic ends them early.
            Ok(None) => Err(Fault::Invalid("a fragment of the model could not be read".into())),
            Err(_) => Err(Fault::TimedOut),
        }
    }
}

type Read = Result<(Bytes, Vec<Option<Revision>>), PagingError>;

/// Stops at the first error, and where nobody waits any more.
async fn read_all(loader: Arc<Loader>, sheets: Arc<[Sheet]>, first: usize, pages: mpsc::Sender<Read>) {
    let bytes = sheets.iter().skip(first).map(Sheet::space_bytes).max().unwrap_or_default();
    let (home, mut spaces) = mpsc::channel(AHEAD);
    let home = Arc::new(home);
    for _ in 0..AHEAD {
        let _ = home.try_send(Space::new(bytes));
    }
    for sheet in sheets.iter().skip(first) {
        let Some(space) = spaces.recv().await else { return };
        let read = sheet.read(&*loader.registry, space).await;
        let read = read.map(|pages| pages.split(|space| Lent::bytes(space, &home))).map_err(PagingError::from);
        let last = read.is_err();
        if pages.send(read).await.is_err() || last {
            return;
        }
    }
}

async fn load_all(
    loader: Arc<Loader>,
    sheets: Arc<[Sheet]>,
    first: usize,
    mut read: mpsc::Receiver<Read>,
    programs: mpsc::Sender<Result<Loaded, PagingError>>,
) {
    let places = Arc::new(Semaphore::new(AHEAD));
    for index in first..sheets.len() {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Some(pages) = read.recv().await else { return };
        let loaded = async {
            let (pages, revisions) = pages?;
            loader.load(sheets.clone(), index, pages, revisions).await
        };
        let loaded = loaded.await.map(|program| Loaded { program, _place: place });
        let last = loaded.is_err();
        if programs.send(loaded).await.is_err() || last {
            return;
        }
    }
}

/// A space that goes home when the last tensor in it is gone.
struct Lent {
    space: Option<Space>,
    home: Weak<mpsc::Sender<Space>>,
}

impl Lent {
    fn bytes(space: Space, home: &Arc<mpsc::Sender<Space>>) -> Bytes {
        Bytes::from_owner(Self { space: Some(space), home: Arc::downgrade(home) })
    }
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        self.space.as_ref().map(Space::as_ref).unwrap_or_default()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(space), Some(home)) = (self.space.take(), self.home.upgrade()) {
            // There is a place for each space; after the last sheet nobody waits for it.
            let _ = home.try_send(space);
        }
    }
}
