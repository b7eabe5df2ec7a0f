//! What every fabric does, checked on each of them.

use super::{Hub, LocalFabric};
use async_trait::async_trait;
use burst_host::{
    nouns::NodeName,
    ports::{CALLS_MAX, Fabric, FabricError, Handler, MESSAGE_MAX_BYTES, News, Reach, Service, Urgency},
};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{StreamExt, stream::FuturesUnordered};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

const ECHO: Service = Service { name: "echo", reach: Reach::Premises, urgency: Urgency::Usual };
const BLOB: Service = Service { name: "blob", reach: Reach::Cluster, urgency: Urgency::Last };

/// A way for nodes to join one cluster.
trait Cluster {
    type Node: Fabric + 'static;

    fn join<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Self::Node>;
}

impl Cluster for Hub {
    type Node = LocalFabric;

    fn join<'a>(&'a self, name: &'a str) -> BoxFuture<'a, LocalFabric> {
        Box::pin(async move { Hub::join(self, name.parse().unwrap()).unwrap() })
    }
}

struct Echo;

#[async_trait]
impl Handler for Echo {
    async fn handle(&self, message: Bytes) -> Bytes {
        message
    }
}

/// Answers when it is let go.
#[derive(Default)]
struct Slow {
    started: watch::Sender<usize>,
    open: watch::Sender<bool>,
}

#[async_trait]
impl Handler for Slow {
    async fn handle(&self, message: Bytes) -> Bytes {
        self.started.send_modify(|started| *started += 1);
        self.open.subscribe().wait_for(|open| *open).await.unwrap();
        message
    }
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

/// Waits until the news are as they should be; a test that waits for ever is stopped by its runner.
async fn until(news: &mut watch::Receiver<News>, holds: impl FnMut(&News) -> bool) {
    news.wait_for(holds).await.unwrap();
}

/// Until a node can be reached: it may be new.
async fn call(from: &impl Fabric, to: &str, service: Service, message: Bytes) -> Result<Bytes, FabricError> {
    loop {
        match from.call(&name(to), service, message.clone(), soon()).await {
            Err(FabricError::Unreachable(_)) => tokio::time::sleep(Duration::from_millis(10)).await,
            answer => return answer,
        }
    }
}

async fn conforms(cluster: &impl Cluster) {
    let a = cluster.join("a.hall").await;
    let b = cluster.join("b.hall").await;
    let away = cluster.join("c.yard").await;
    calls_are_answered(&a, &b).await;
    nothing_is_lost(&a, &b).await;
    premises_hold(&a, &away).await;
    news_reach_everybody(cluster, &a, &b).await;
    what_is_full_says_so(&a, &b).await;
    who_leaves_is_noticed(&a, b).await;
}

async fn calls_are_answered(a: &impl Fabric, b: &impl Fabric) {
    let serving = b.serve(ECHO, Arc::new(Echo)).await.unwrap();
    for length in [0, 1, 4096, 1 << 20, 10 << 20] {
        let message = Bytes::from((0..length).map(|at| (at % 251) as u8).collect::<Vec<_>>());
        assert_eq!(call(a, "b.hall", ECHO, message.clone()).await, Ok(message), "{length} bytes");
    }
    let own = b.call(b.name(), ECHO, Bytes::from_static(b"me"), soon()).await;
    assert_eq!(own, Ok(Bytes::from_static(b"me")));
    drop(serving);
    let unreachable = |node| Err(FabricError::Unreachable(name(node)));
    while a.call(b.name(), ECHO, Bytes::new(), soon()).await != unreachable("b.hall") {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(a.call(&name("nobody.hall"), ECHO, Bytes::new(), soon()).await, unreachable("nobody.hall"));
    let huge = Bytes::from(vec![0; MESSAGE_MAX_BYTES + 1]);
    let too_large = Err(FabricError::TooLarge { bytes: MESSAGE_MAX_BYTES + 1 });
    assert_eq!(a.call(b.name(), ECHO, huge, soon()).await, too_large);
}

/// Large and small calls at once, in both directions.
async fn nothing_is_lost(a: &impl Fabric, b: &impl Fabric) {
    let _here = a.serve(ECHO, Arc::new(Echo)).await.unwrap();
    let _there = b.serve(ECHO, Arc::new(Echo)).await.unwrap();
    call(a, b.name().as_str(), ECHO, Bytes::new()).await.unwrap();
    call(b, a.name().as_str(), ECHO, Bytes::new()).await.unwrap();
    let one = |index: usize| async move {
        let message = Bytes::from(vec![index as u8; [0, 100, 4096, 70_000, 256 << 10][index % 5]]);
        let answer = match index % 2 {
            0 => a.call(b.name(), ECHO, message.clone(), soon()).await,
            _ => b.call(a.name(), ECHO, message.clone(), soon()).await,
        };
        assert!(answer == Ok(message), "{index}: {:?}", answer.map(|answer| answer.len()));
    };
    futures::stream::iter(0..2000).map(one).buffer_unordered(200).collect::<Vec<()>>().await;
}

async fn premises_hold(a: &impl Fabric, away: &impl Fabric) {
    let _near = away.serve(ECHO, Arc::new(Echo)).await.unwrap();
    let _far = away.serve(BLOB, Arc::new(Echo)).await.unwrap();
    let message = Bytes::from_static(b"weights");
    assert_eq!(call(a, "c.yard", BLOB, message.clone()).await, Ok(message.clone()));
    assert_eq!(a.call(away.name(), ECHO, message, soon()).await, Err(FabricError::Premises(name("c.yard"))));
}

async fn news_reach_everybody(cluster: &impl Cluster, a: &impl Fabric, b: &impl Fabric) {
    let told = |node: &'static str, text: &'static [u8]| {
        move |news: &News| news.get(&name(node)).is_some_and(|news| news == text)
    };
    let (mut at_a, mut at_b) = (a.news(), b.news());
    for text in [b"one", b"two"] {
        a.announce(Bytes::from_static(text)).await.unwrap();
        until(&mut at_a, told("a.hall", text)).await;
        until(&mut at_b, told("a.hall", text)).await;
    }
    let late = cluster.join("late.hall").await;
    until(&mut late.news(), told("a.hall", b"two")).await;
    late.announce(Bytes::from_static(b"here")).await.unwrap();
    until(&mut at_a, told("late.hall", b"here")).await;
    drop(late);
    until(&mut at_a, |news| !news.contains_key(&name("late.hall"))).await;
}

async fn what_is_full_says_so(a: &impl Fabric, b: &impl Fabric) {
    let slow = Arc::new(Slow::default());
    let _serving = b.serve(ECHO, slow.clone()).await.unwrap();
    let mut calls: FuturesUnordered<_> = (0..=CALLS_MAX).map(|_| call(a, "b.hall", ECHO, Bytes::new())).collect();
    assert_eq!(calls.next().await, Some(Err(FabricError::Busy(name("b.hall")))));
    let _other = b.serve(BLOB, Arc::new(Slow::default())).await.unwrap();
    let early = || Instant::now() + Duration::from_millis(20);
    while a.call(b.name(), BLOB, Bytes::new(), early()).await != Err(FabricError::TimedOut) {}
    slow.open.send_replace(true);
    while let Some(answer) = calls.next().await {
        assert_eq!(answer, Ok(Bytes::new()));
    }
    assert_eq!(*slow.started.borrow(), CALLS_MAX);
}

/// Asks again only until the service is known.
async fn call_known(a: &impl Fabric, node: &NodeName, slow: &Slow) -> Result<Bytes, FabricError> {
    loop {
        let before = *slow.started.borrow();
        match a.call(node, BLOB, Bytes::new(), soon()).await {
            Err(FabricError::Unreachable(_)) if before == 0 && *slow.started.borrow() == 0 => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            answer => return answer,
        }
    }
}

async fn who_leaves_is_noticed(a: &impl Fabric, b: impl Fabric) {
    let slow = Arc::new(Slow::default());
    let serving = b.serve(BLOB, slow.clone()).await.unwrap();
    let gone = b.name().clone();
    let mut asked: FuturesUnordered<_> = (0..8).map(|_| call_known(a, &gone, &slow)).collect();
    let started = async { slow.started.subscribe().wait_for(|started| *started == 8).await.map(drop) };
    tokio::select! {
        answer = asked.next() => panic!("{answer:?}"),
        _ = started => {}
    }
    drop((serving, b));
    while let Some(answer) = asked.next().await {
        assert_eq!(answer, Err(FabricError::Unreachable(gone.clone())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn local_conforms() {
    conforms(&Hub::default()).await;
}

#[tokio::test]
async fn a_name_is_taken_once() {
    let hub = Hub::default();
    let a = hub.join(name("a.hall")).unwrap();
    assert!(matches!(hub.join(name("a.hall")), Err(FabricError::Broken(_))));
    drop(a);
    assert!(hub.join(name("a.hall")).is_ok());
}

#[cfg(feature = "cluster")]
#[path = "../../../tests/support/papers.rs"]
mod papers;

#[cfg(feature = "cluster")]
mod zenoh;
