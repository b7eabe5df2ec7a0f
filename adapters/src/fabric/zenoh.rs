//! Nodes over the network: a Zenoh session in peer mode, which needs no server.

mod access;
mod heard;
mod options;

use async_trait::async_trait;
use burst_host::{
    nouns::NodeName,
    ports::{CALLS_MAX, Fabric, FabricError, Handler, News, Reach, Service, Serving},
};
use bytes::Bytes;
use heard::Heard;
use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};
use tokio::{
    sync::{Mutex, Semaphore, watch},
    task::JoinSet,
};
use zenoh::{
    Session,
    bytes::ZBytes,
    handlers::{FifoChannel, FifoChannelHandler},
    qos::CongestionControl,
    query::{ConsolidationMode, Query, Queryable},
    sample::SampleKind,
};

pub use options::{Options, Tls};

/// How long a node that appears is asked for its news.
const NEWS_TIMEOUT: Duration = Duration::from_secs(5);
/// The one refusal of a fabric itself.
const BUSY: &[u8] = b"busy";
/// News and calls that wait to be looked at, each a moment's work.
const QUEUE: usize = 1024;

/// One node's end of a cluster on the network. It leaves when it is dropped.
pub struct ZenohFabric {
    name: NodeName,
    keys: Keys,
    session: Session,
    /// What this node told last, with its serial number in front.
    told: Arc<Mutex<Bytes>>,
    heard: Arc<Heard>,
    _alive: zenoh::liveliness::LivelinessToken,
    _listening: JoinSet<()>,
}

/// What things are called on the wire.
#[derive(Clone)]
struct Keys(String);

impl Keys {
    fn alive(&self, node: &str) -> String {
        format!("burst/{}/alive/{node}", self.0)
    }

    fn news(&self, node: &str) -> String {
        format!("burst/{}/news/{node}", self.0)
    }

    fn call(&self, node: &NodeName, service: Service) -> String {
        let reach = match service.reach {
            Reach::Premises => "here",
            Reach::Cluster => "call",
        };
        format!("burst/{}/{reach}/{node}/{}", self.0, service.name)
    }
}

impl ZenohFabric {
    /// Joins the cluster. Others may come later.
    pub async fn join(options: Options) -> Result<Self, FabricError> {
        let session = zenoh::open(options.config()?).await.map_err(broken)?;
        let keys = Keys(options.cluster);
        let name = options.name;
        // A node that starts again numbers from later on.
        let start = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64);
        let told = Arc::new(Mutex::new(Bytes::copy_from_slice(&start.to_be_bytes())));
        let heard = Arc::new(Heard::default());
        let mut listening = JoinSet::new();
        // In this order: who sees this node alive can ask it for news, and is heard by it.
        let asked = session.declare_queryable(keys.news(name.as_str())).with(FifoChannel::new(QUEUE));
        listening.spawn(tell(asked.await.map_err(broken)?, told.clone()));
        let news = session.declare_subscriber(keys.news("*")).with(FifoChannel::new(QUEUE)).await.map_err(broken)?;
        let hearing = heard.clone();
        listening.spawn(async move {
            while let Ok(sample) = news.recv_async().await {
                if let Some(node) = node(sample.key_expr().as_str()) {
                    hearing.told(node, bytes(sample.payload()));
                }
            }
        });
        let liveliness = session.liveliness();
        let alive = liveliness.declare_subscriber(keys.alive("*")).history(true).with(FifoChannel::new(QUEUE));
        let alive = alive.await.map_err(broken)?;
        let watcher = Watcher { session: session.clone(), keys: keys.clone(), heard: heard.clone() };
        listening.spawn(async move {
            let mut asking = JoinSet::new();
            while let Ok(sample) = alive.recv_async().await {
                let Some(node) = node(sample.key_expr().as_str()) else { continue };
                match sample.kind() {
                    SampleKind::Put => {
                        watcher.heard.appeared(node.clone());
                        asking.spawn(watcher.clone().ask(node));
                    }
                    SampleKind::Delete => watcher.heard.left(&node),
                }
                while asking.try_join_next().is_some() {}
            }
        });
        let token = liveliness.declare_token(keys.alive(name.as_str())).await.map_err(broken)?;
        Ok(Self { name, keys, session, told, heard, _alive: token, _listening: listening })
    }
}

#[async_trait]
impl Fabric for ZenohFabric {
    fn name(&self) -> &NodeName {
        &self.name
    }

    async fn serve(&self, service: Service, handler: Arc<dyn Handler>) -> Result<Serving, FabricError> {
        let key = self.keys.call(&self.name, service);
        let queryable = self.session.declare_queryable(key).with(FifoChannel::new(QUEUE)).await.map_err(broken)?;
        let mut serving = JoinSet::new();
        serving.spawn(serve(queryable, handler));
        Ok(Box::new(serving))
    }

    async fn call(
        &self,
        node: &NodeName,
        service: Service,
        message: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, FabricError> {
        service.admits(&self.name, node, &message)?;
        let left = deadline.checked_duration_since(Instant::now()).ok_or(FabricError::TimedOut)?;
        let get = self.session.get(self.keys.call(node, service)).payload(ZBytes::from(message));
        // Zenoh's own timer is only to end what nobody waits for any more.
        let get = get.congestion_control(CongestionControl::Block).timeout(left + Duration::from_secs(1));
        let replies = get.consolidation(ConsolidationMode::None).with(FifoChannel::new(1)).await.map_err(broken)?;
        let reply = tokio::time::timeout(left, replies.recv_async()).await.map_err(|_| FabricError::TimedOut)?;
        // Ended without a reply: nobody serves this, or who did is gone.
        let reply = reply.map_err(|_| FabricError::Unreachable(node.clone()))?;
        match reply.into_result() {
            Ok(sample) => Ok(bytes(sample.payload())),
            Err(error) if bytes(error.payload()) == BUSY => Err(FabricError::Busy(node.clone())),
            // Zenoh's own timer.
            Err(_) => Err(FabricError::TimedOut),
        }
    }

    async fn announce(&self, news: Bytes) -> Result<(), FabricError> {
        let mut told = self.told.lock().await;
        let serial = heard::serial(&told).map_or(0, |(serial, _)| serial) + 1;
        *told = [&serial.to_be_bytes()[..], &news].concat().into();
        // What this node tells, it hears as the others do.
        let put = self.session.put(self.keys.news(self.name.as_str()), ZBytes::from(told.clone()));
        put.congestion_control(CongestionControl::Block).await.map_err(broken)
    }

    fn news(&self) -> watch::Receiver<News> {
        self.heard.news()
    }
}

/// Answers who asks for this node's news.
async fn tell(asked: Queryable<FifoChannelHandler<Query>>, told: Arc<Mutex<Bytes>>) {
    while let Ok(query) = asked.recv_async().await {
        let told = told.lock().await.clone();
        reply(&query, told).await;
    }
}

async fn serve(queryable: Queryable<FifoChannelHandler<Query>>, handler: Arc<dyn Handler>) {
    let calls = Arc::new(Semaphore::new(CALLS_MAX));
    let mut running = JoinSet::new();
    while let Ok(query) = queryable.recv_async().await {
        let Ok(permit) = calls.clone().try_acquire_owned() else {
            refuse(&query).await;
            continue;
        };
        let handler = handler.clone();
        running.spawn(async move {
            let message = query.payload().map(bytes).unwrap_or_default();
            let answer = handler.handle(message).await;
            reply(&query, answer).await;
            drop(permit);
        });
        while running.try_join_next().is_some() {}
    }
}

async fn reply(query: &Query, answer: Bytes) {
    // Who asked may be gone.
    if let Err(error) = query.reply(query.key_expr().clone(), ZBytes::from(answer)).await {
        tracing::debug!(%error, "an answer was not sent");
    }
}

async fn refuse(query: &Query) {
    if let Err(error) = query.reply_err(BUSY).await {
        tracing::debug!(%error, "a refusal was not sent");
    }
}

/// Asks nodes that appear what they told before.
#[derive(Clone)]
struct Watcher {
    session: Session,
    keys: Keys,
    heard: Arc<Heard>,
}

impl Watcher {
    async fn ask(self, node: NodeName) {
        let get = self.session.get(self.keys.news(node.as_str())).timeout(NEWS_TIMEOUT);
        let replies = get.with(FifoChannel::new(1)).await;
        let Ok(replies) = replies.inspect_err(|error| tracing::warn!(%node, %error, "it can't be asked")) else {
            return;
        };
        if let Ok(Ok(sample)) = replies.recv_async().await.map(|reply| reply.into_result()) {
            self.heard.told(node, bytes(sample.payload()));
        }
    }
}

/// The node that a key ends with; others' words.
fn node(key: &str) -> Option<NodeName> {
    key.rsplit('/').next()?.parse().ok()
}

fn bytes(payload: &ZBytes) -> Bytes {
    payload.to_bytes().into_owned().into()
}

fn broken(error: impl Display) -> FabricError {
    FabricError::Broken(format!("the cluster: {error}"))
}
