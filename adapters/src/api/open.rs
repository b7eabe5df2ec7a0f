//! Requests of one connection that are not answered to the end.

use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// How many there are.
#[derive(Clone, Default)]
pub(super) struct Open(Arc<watch::Sender<usize>>);

/// One of them; over when dropped.
pub(super) struct One(Open);

impl Open {
    /// One more.
    pub fn one(&self) -> One {
        self.0.send_modify(|open| *open += 1);
        One(self.clone())
    }

    /// Waits until there has been none for so long.
    pub async fn idle(&self, limit: Duration) {
        let mut count = self.0.subscribe();
        loop {
            // The sender is this value's own.
            let _ = count.wait_for(|open| *open == 0).await;
            tokio::select! {
                () = sleep(limit) => return,
                _ = count.changed() => {}
            }
        }
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.send_modify(|open| *open -= 1);
    }
}
