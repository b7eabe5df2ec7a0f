//! Nodes over the network: a Zenoh session in peer mode, which needs no server.

mod access;
mod heard;
mod options;
mod refused;
mod sending;

use burst_host::{
    nouns::NodeName,
    ports::{
        CALLS_MAX, CALLS_MAX_BYTES, Fabric, FabricError, Handler, News, Reach, Refusal, Service, Serving, Urgency,
    },
};
use bytes::Bytes;
use futures::future::BoxFuture;
use heard::Heard;
use sending::{Sending, Share, Way};
use std::{
    fmt::Display,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{
    sync::{Mutex, Semaphore, mpsc, watch},
    task::JoinSet,
};
use zenoh::{
    Session, Wait,
    bytes::ZBytes,
    handlers::{FifoChannel, FifoChannelHandler},
    qos::{CongestionControl, Priority},
    query::{ConsolidationMode, Query, Queryable},
    sample::SampleKind,
};

pub use options::{Options, Tls};
pub use refused::watch as refused_links;

/// How long a node that appears is asked for its news.
const NEWS_TIMEOUT: Duration = Duration::from_secs(5);
/// The one refusal of a fabric itself.
const BUSY: &[u8] = b"busy";
/// What an answer is taken to hold before it is known.
const ANSWER_BYTES: usize = 8 << 10;
/// News and calls that wait to be looked at, each a moment's work.
const QUEUE: usize = 1024;

/// One node's end of a cluster on the network. It leaves when it is dropped.
pub struct ZenohFabric {
    name: NodeName,
    keys: Keys,
    session: Session,
    /// What this node told last, as it goes out.
    told: Arc<Mutex<Bytes>>,
    heard: Arc<Heard>,
    sending: Arc<Sending>,
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
        let told = Arc::new(Mutex::new(heard::first()));
        let (heard, sending) = (Arc::new(Heard::default()), Arc::new(Sending::default()));
        let mut listening = JoinSet::new();
        // In this order: who sees this node alive can ask it for news, and is heard by it.
        let asked = session.declare_queryable(keys.news(name.as_str())).complete(true).with(FifoChannel::new(QUEUE));
        let answers = Answers { heard: heard.clone(), sending: sending.clone() };
        listening.spawn(tell(asked.await.map_err(broken)?, told.clone(), answers));
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
        let watcher = Watcher {
            session: session.clone(),
            own: name.clone(),
            keys: keys.clone(),
            heard: heard.clone(),
            sending: sending.clone(),
        };
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
        Ok(Self { name, keys, session, told, heard, sending, _alive: token, _listening: listening })
    }
}

impl Fabric for ZenohFabric {
    fn name(&self) -> &NodeName {
        &self.name
    }

    fn serve(&self, service: Service, handler: Arc<dyn Handler>) -> BoxFuture<'_, Result<Serving, FabricError>> {
        Box::pin(async move {
            let key = self.keys.call(&self.name, service);
            // There is one of it: a query that could go more than one way goes one.
            let queryable = self.session.declare_queryable(key).complete(true).with(FifoChannel::new(QUEUE));
            let queryable = queryable.await.map_err(broken)?;
            let mut serving = JoinSet::new();
            let answers = Answers { heard: self.heard.clone(), sending: self.sending.clone() };
            serving.spawn(serve(queryable, handler, answers, service.urgency));
            Ok(Box::new(serving) as Serving)
        })
    }

    fn call<'a>(
        &'a self,
        node: &'a NodeName,
        service: Service,
        message: Bytes,
        deadline: Instant,
    ) -> BoxFuture<'a, Result<Bytes, FabricError>> {
        Box::pin(async move {
            service.admits(&self.name, node, &message)?;
            let left = deadline.checked_duration_since(Instant::now()).ok_or(FabricError::TimedOut)?;
            let (session, key, size) = (self.session.clone(), self.keys.call(node, service), message.len());
            let share = self.sending.share(Way::To(node.clone()), service.urgency, size);
            let (answered, mut answer) = mpsc::channel(1);
            let own = self.name.to_string();
            let send = move || {
                let get = session.get(key).payload(ZBytes::from(message)).consolidation(ConsolidationMode::None);
                let get = get.congestion_control(CongestionControl::Block).priority(priority(service.urgency));
                let get = get.attachment(own);
                // Zenoh's own timer is only to end what nobody waits for any more.
                let get = get.timeout(left + Duration::from_secs(1));
                // Who asked may have given up.
                get.callback(move |reply| drop(answered.try_send(reply))).wait().map_err(broken)
            };
            let reply = async {
                share.send(size, send).await??;
                Ok(answer.recv().await)
            };
            let reply = tokio::time::timeout(left, reply).await.map_err(|_| FabricError::TimedOut)??;
            // Ended without a reply: nobody serves this, or who did is gone.
            let reply = reply.ok_or_else(|| FabricError::Unreachable(node.clone()))?;
            match reply.into_result() {
                Ok(sample) => Ok(bytes(sample.payload())),
                Err(error) if bytes(error.payload()) == BUSY => Err(FabricError::Busy(node.clone())),
                // Zenoh's own timer.
                Err(_) => Err(FabricError::TimedOut),
            }
        })
    }

    fn announce(&self, news: Bytes) -> BoxFuture<'_, Result<(), FabricError>> {
        Box::pin(async move {
            let mut told = self.told.lock().await;
            *told = heard::next(&told, &news);
            // What this node tells, it hears as the others do.
            let (session, key, news) = (self.session.clone(), self.keys.news(self.name.as_str()), told.clone());
            let put = move || session.put(key, ZBytes::from(news)).congestion_control(CongestionControl::Block).wait();
            self.sending.share(Way::Anywhere, Urgency::First, 0).send(told.len(), put).await?.map_err(broken)
        })
    }

    fn news(&self) -> watch::Receiver<News> {
        self.heard.news()
    }

    fn refused(&self, why: Refusal) -> u64 {
        refused::count(why)
    }
}

/// Answers who asks for this node's news.
async fn tell(asked: Queryable<FifoChannelHandler<Query>>, told: Arc<Mutex<Bytes>>, answers: Answers) {
    let (room, mut replying) = (Arc::new(Semaphore::new(QUEUE)), JoinSet::new());
    while let Ok(query) = asked.recv_async().await {
        let (told, share) = (told.lock().await.clone(), answers.share(&query, Urgency::First, 0));
        let place = room.clone().acquire_owned().await;
        replying.spawn(async move {
            reply(&share, query, Ok(told)).await;
            drop(place);
        });
        while replying.try_join_next().is_some() {}
    }
}

async fn serve(
    queryable: Queryable<FifoChannelHandler<Query>>,
    handler: Arc<dyn Handler>,
    answers: Answers,
    urgency: Urgency,
) {
    let (calls, kilobytes) = (Arc::new(Semaphore::new(CALLS_MAX)), Arc::new(Semaphore::new(CALLS_MAX_BYTES >> 10)));
    let (refusals, mut running) = (Arc::new(Semaphore::new(QUEUE)), JoinSet::new());
    while let Ok(query) = queryable.recv_async().await {
        let size = query.payload().map_or(0, ZBytes::len).div_ceil(1 << 10) as u32;
        let room = (calls.clone().try_acquire_owned(), kilobytes.clone().try_acquire_many_owned(size));
        let share = answers.share(&query, urgency, ANSWER_BYTES);
        let (Ok(call), Ok(held)) = room else {
            let place = refusals.clone().acquire_owned().await;
            running.spawn(async move {
                reply(&share, query, Err(BUSY)).await;
                drop(place);
            });
            continue;
        };
        let handler = handler.clone();
        running.spawn(async move {
            let message = query.payload().map(bytes).unwrap_or_default();
            let answer = handler.handle(message).await;
            drop(held);
            reply(&share, query, Ok(answer)).await;
            drop(call);
        });
        while running.try_join_next().is_some() {}
    }
}

/// The way back to whoever asked.
struct Answers {
    heard: Arc<Heard>,
    sending: Arc<Sending>,
}

impl Answers {
    /// Who asked says so itself, and nobody checks it: it decides which answers wait for each other, and nothing else.
    fn share(&self, query: &Query, urgency: Urgency, bytes: usize) -> Share {
        let told = query.attachment().and_then(|name| name.try_to_string().ok()?.parse().ok());
        let way = told.filter(|name| self.heard.is_alive(name)).map_or(Way::Anywhere, Way::Back);
        self.sending.share(way, urgency, bytes)
    }
}

async fn reply(share: &Share, query: Query, answer: Result<Bytes, &'static [u8]>) {
    let size = answer.as_ref().map_or(BUSY.len(), Bytes::len);
    let send = move || match answer {
        Ok(answer) => query.reply(query.key_expr().clone(), ZBytes::from(answer)).wait(),
        Err(refusal) => query.reply_err(refusal).wait(),
    };
    // Who asked may be gone.
    if let Err(error) = share.send(size, send).await.and_then(|sent| sent.map_err(broken)) {
        tracing::debug!(%error, "an answer was not sent");
    }
}

/// What goes first where a link is full. Answers go as their questions came.
fn priority(urgency: Urgency) -> Priority {
    match urgency {
        Urgency::First => Priority::RealTime,
        Urgency::Usual => Priority::Data,
        Urgency::Last => Priority::DataLow,
    }
}

/// Asks nodes that appear what they told before.
#[derive(Clone)]
struct Watcher {
    session: Session,
    own: NodeName,
    keys: Keys,
    heard: Arc<Heard>,
    sending: Arc<Sending>,
}

impl Watcher {
    async fn ask(self, node: NodeName) {
        let (session, key) = (self.session, self.keys.news(node.as_str()));
        let own = self.own.to_string();
        let ask = move || {
            let get = session.get(key).timeout(NEWS_TIMEOUT).attachment(own);
            get.with(FifoChannel::new(1)).wait().map_err(broken)
        };
        let share = self.sending.share(Way::To(node.clone()), Urgency::First, 0);
        let asked = share.send(0, ask).await.flatten();
        let Ok(replies) = asked.inspect_err(|error| tracing::warn!(%node, %error, "it can't be asked")) else {
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
