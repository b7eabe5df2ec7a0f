//! Which release other nodes tell of, and whether it holds.

use super::{Rollout, RolloutError, lock};
use crate::{
    nouns::{Release, Sealed},
    ports::News,
};
use std::time::Duration;
use tokio::sync::watch;

/// After which a release is asked for again that no node gave.
const AGAIN: Duration = Duration::from_secs(2);

impl Rollout {
    /// Until another release is wanted than this one.
    pub(super) async fn wants_another(&self, wanted: &Option<Sealed>, news: &mut watch::Receiver<News>) {
        loop {
            news.borrow_and_update();
            let again = self.hear().await;
            if self.releases().wanted() != wanted.as_ref() {
                return;
            }
            tokio::select! {
                changed = news.changed() => if changed.is_err() { std::future::pending().await },
                () = self.poke.notified() => {}
                () = tokio::time::sleep(AGAIN), if again => {}
            }
        }
    }

    /// Adopts the largest release that is told and holds; whether one is still to be had.
    async fn hear(&self) -> bool {
        let mut again = false;
        for sealed in self.told() {
            match self.peek(&sealed).await {
                Ok(()) => return false,
                Err(RolloutError::Fetch(error)) => {
                    tracing::warn!(release = %sealed.id, %error, "it is asked for again");
                    again = true;
                }
                Err(RolloutError::Keep(error)) => {
                    tracing::error!(release = %sealed.id, %error, "this node can't keep it; it is tried again");
                    again = true;
                }
                Err(error) => {
                    self.refused.add(1);
                    tracing::warn!(release = %sealed.id, %error, "a release that a node tells of is refused");
                    lock(&self.refuted).push(sealed);
                }
            }
        }
        again
    }

    /// Later releases than this node knows, the largest first, without those that were refused already.
    fn told(&self) -> Vec<Sealed> {
        let latest = self.releases().latest.map(|sealed| sealed.id);
        let told = self.member.nodes().into_values().filter_map(|node| node.release.latest);
        let mut told: Vec<Sealed> = told.filter(|sealed| Some(sealed.id) > latest).collect();
        told.sort_by_key(|sealed| std::cmp::Reverse(sealed.id));
        told.dedup();
        let mut refuted = lock(&self.refuted);
        // As many as there are nodes, and no more.
        refuted.retain(|sealed| told.contains(sealed));
        told.retain(|sealed| !refuted.contains(sealed));
        told
    }

    async fn peek(&self, sealed: &Sealed) -> Result<(), RolloutError> {
        let artefact = self.member.shelf.peek(&sealed.id.digest, Release::MAX_BYTES).await?;
        self.examine(sealed, &artefact)?;
        self.adopt(sealed.clone(), &artefact).await
    }
}
