//! What carries calls and news between the nodes of a cluster.

use crate::nouns::NodeName;
use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use std::{any::Any, collections::BTreeMap, sync::Arc, time::Instant};
use tokio::sync::watch;

/// What each live node told of itself last.
pub type News = Arc<BTreeMap<NodeName, Bytes>>;

/// Answers calls until it is dropped.
pub type Serving = Box<dyn Any + Send + Sync>;

/// What a node can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Service {
    /// Small letters.
    pub name: &'static str,
    pub reach: Reach,
    pub urgency: Urgency,
}

/// What goes first where a link is full: whoever waits for a sign of life should not wait for what others send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Urgency {
    First,
    Usual,
    Last,
}

/// Who may call, and be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Nodes on the same premises: the calls carry what was derived from frames.
    Premises,
    /// Every node of the cluster.
    Cluster,
}

/// Why a call has no answer, by what the caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FabricError {
    /// It is not there, does not serve this, or went away before it answered: whether it did the work nobody knows.
    #[error("`{0}` can't be reached")]
    Unreachable(NodeName),
    /// It answers as many calls as it takes; later there may be room.
    #[error("`{0}` is busy")]
    Busy(NodeName),
    #[error("the deadline passed")]
    TimedOut,
    #[error("`{0}` stands on other premises: nothing that was derived from frames goes there")]
    Premises(NodeName),
    /// The message is larger than any node takes.
    #[error("{bytes} bytes are too many for one call, at most {max}", max = MESSAGE_MAX_BYTES)]
    TooLarge { bytes: usize },
    /// This node can't take part; the text says why.
    #[error("{0}")]
    Broken(String),
}

/// Why a link between this node and another one was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The other one's certificate is of another authority, or is forged.
    UnknownAuthority,
    /// Its certificate is no longer valid, or not yet.
    Expired,
    /// It shows none.
    NoCertificate,
    /// Its certificate is good, and its name is not among those who may take part: nothing that it says is let through.
    NotAMember,
    /// It gave up, refused the certificate of this node, or did something else than shake hands.
    Unfinished,
}

/// The largest message of a call.
pub const MESSAGE_MAX_BYTES: usize = 256 << 20;

/// Calls that a service answers at once, and what their messages may hold; one more is `Busy`.
pub const CALLS_MAX: usize = 1024;
pub const CALLS_MAX_BYTES: usize = 1 << 30;

/// One node's end of the cluster. Every call may come from many tasks at once.
pub trait Fabric: Send + Sync {
    /// What this node is called.
    fn name(&self) -> &NodeName;

    /// Answers what nodes ask of `service`, each call in a task of its own.
    fn serve(&self, service: Service, handler: Arc<dyn Handler>) -> BoxFuture<'_, Result<Serving, FabricError>>;

    /// Asks one node. One that goes away while it is asked is noticed, not waited for.
    fn call<'a>(
        &'a self,
        node: &'a NodeName,
        service: Service,
        message: Bytes,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Bytes, FabricError>>;

    /// Tells every node of this one, now and when it joins, in place of what was told before.
    fn announce(&self, news: Bytes) -> BoxFuture<'_, Result<(), FabricError>>;

    /// What the live nodes told, this one too once it announced. Nodes that left are gone from it.
    fn news(&self) -> watch::Receiver<News>;

    /// How many links were refused for this reason since the process began; none where nobody else can link.
    fn refused(&self, _why: Refusal) -> u64 {
        0
    }
}

/// Answers calls. Its refusals are answers too, in words that caller and handler agree on.
#[async_trait]
pub trait Handler: Send + Sync {
    async fn handle(&self, message: Bytes) -> Bytes;
}

impl Refusal {
    pub const ALL: [Self; 5] =
        [Self::UnknownAuthority, Self::Expired, Self::NoCertificate, Self::NotAMember, Self::Unfinished];

    /// As metrics call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::UnknownAuthority => "unknown-authority",
            Self::Expired => "expired",
            Self::NoCertificate => "no-certificate",
            Self::NotAMember => "not-a-member",
            Self::Unfinished => "unfinished",
        }
    }
}

impl Service {
    /// Whether `from` may ask `to`, and with a message of this size.
    pub fn admits(&self, from: &NodeName, to: &NodeName, message: &Bytes) -> Result<(), FabricError> {
        if self.reach == Reach::Premises && from.premises() != to.premises() {
            return Err(FabricError::Premises(to.clone()));
        }
        if message.len() > MESSAGE_MAX_BYTES {
            return Err(FabricError::TooLarge { bytes: message.len() });
        }
        Ok(())
    }
}
