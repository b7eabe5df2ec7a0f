//! What every fabric does, checked on each of them.

use super::{Hub, LocalFabric};
use async_trait::async_trait;
use burst_host::{
    nouns::NodeName,
    ports::{CALLS_MAX, Fabric, FabricError, Handler, MESSAGE_MAX_BYTES, News, Reach, Service, Urgency},
};
use bytes::Bytes;
use futures::{StreamExt, stream::FuturesUnordered};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

const ECHO: Service = Service { name: "echo", reach: Reach::Premises, urgency: Urgency::Usual };
const BLOB: Service = Service { name: "blob", reach: Reach::Cluster, urgency: Urgency::Last };

/// A way for nodes to join one cluster.
#[async_trait]
trait Cluster {
    type Node: Fabric + 'static;

    async fn join(&self, name: &str) -> Self::Node;
}

#[async_trait]
impl Cluster for Hub {
    type Node = LocalFabric;

    async fn join(&self, name: &str) -> LocalFabric {
        Hub::join(self, name.parse().unwrap()).unwrap()
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
mod zenoh {
    use super::*;
    use crate::fabric::{Options, Tls, ZenohFabric, refused_links};
    use burst_host::ports::Refusal;
    use std::{
        fs,
        net::TcpListener,
        num::NonZeroU64,
        path::Path,
        process::{Child, Command, Stdio},
        sync::{Mutex, Once},
    };
    use tempfile::TempDir;
    use tracing_subscriber::{layer::SubscriberExt as _, util::SubscriberInitExt as _};

    /// Nodes on loopback, each told of the one before it.
    struct Loopback {
        cluster: &'static str,
        known: Mutex<Vec<String>>,
        papers: Option<TempDir>,
    }

    const MEMBERS: [&str; 4] = ["a.hall", "b.hall", "c.yard", "late.hall"];

    fn options(name: &str) -> Options {
        Options {
            cluster: "test".into(),
            name: name.parse().unwrap(),
            listen: vec!["tcp/127.0.0.1:0".into()],
            join: vec![],
            discover: false,
            lease_ms: NonZeroU64::new(1000).unwrap(),
            tls: None,
            members: vec![],
            routers: vec![],
        }
    }

    #[async_trait]
    impl Cluster for Loopback {
        type Node = ZenohFabric;

        async fn join(&self, name: &str) -> ZenohFabric {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let protocol = if self.papers.is_some() { "quic" } else { "tcp" };
            let own = format!("{protocol}/127.0.0.1:{port}");
            let join = std::mem::replace(&mut *self.known.lock().unwrap(), vec![own.clone()]);
            let tls = self.papers.as_ref().map(|papers| Tls {
                authority: papers.path().join("authority.pem"),
                certificate: papers.path().join(format!("{name}.pem")),
                key: papers.path().join(format!("{name}.key")),
            });
            let members = MEMBERS.map(super::name).to_vec();
            let options =
                Options { cluster: self.cluster.into(), listen: vec![own], join, tls, members, ..options(name) };
            ZenohFabric::join(options).await.unwrap()
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn zenoh_conforms() {
        conforms(&Loopback { cluster: "open", known: Mutex::default(), papers: None }).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn zenoh_conforms_with_papers() {
        let papers = tempfile::tempdir().unwrap();
        papers::issue(papers.path(), &MEMBERS);
        conforms(&Loopback { cluster: "closed", known: Mutex::default(), papers: Some(papers) }).await;
    }

    /// Nodes that know nobody but a router.
    struct Routed {
        papers: TempDir,
        door: String,
        router: &'static str,
        process: Child,
    }

    /// Set in the process that is a router: its name, its door, and where its papers are, a line each.
    const ROUTER: &str = "BURST_TEST_ROUTER";

    /// A router blocks Zenoh's threads when it passes on more than a node takes, and all nodes of a process share those.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_router_of_its_own() {
        let Ok(told) = std::env::var(ROUTER) else { return };
        let [name, door, papers] = told.lines().collect::<Vec<_>>().try_into().unwrap();
        let _router = Routed::node(name, name, Path::new(papers), door, &[]).await;
        std::future::pending().await
    }

    impl Routed {
        async fn by(router: &'static str) -> Self {
            let (papers, door) = (tempfile::tempdir().unwrap(), door("quic"));
            papers::issue(papers.path(), &[&MEMBERS[..], &[router]].concat());
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["fabric::tests::zenoh::a_router_of_its_own", "--exact"]).stdout(Stdio::null());
            command.env(ROUTER, [router, &door, &papers.path().display().to_string()].join("\n"));
            Self { papers, door, router, process: command.spawn().unwrap() }
        }

        async fn node(name: &str, router: &str, papers: &Path, own: &str, join: &[&str]) -> ZenohFabric {
            let file = |kind: &str| papers.join(format!("{name}.{kind}"));
            let authority = papers.join("authority.pem");
            let tls = Some(Tls { authority, certificate: file("pem"), key: file("key") });
            let routers = vec![super::name(router)];
            let members = MEMBERS.map(super::name).into_iter().chain(routers.clone()).collect();
            let join = join.iter().map(ToString::to_string).collect();
            let options = Options { listen: vec![own.into()], join, tls, members, routers, ..options(name) };
            ZenohFabric::join(options).await.unwrap()
        }
    }

    impl Drop for Routed {
        fn drop(&mut self) {
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }

    #[async_trait]
    impl Cluster for Routed {
        type Node = ZenohFabric;

        async fn join(&self, name: &str) -> ZenohFabric {
            Self::node(name, self.router, self.papers.path(), &door("quic"), &[&self.door]).await
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn zenoh_conforms_over_a_router() {
        conforms(&Routed::by("gate.hall").await).await;
    }

    /// What is derived from frames does not pass a router of other premises, even between nodes of the same.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_router_elsewhere_passes_on_no_frames() {
        let cluster = Routed::by("gate.yard").await;
        let (a, b) = (cluster.join("a.hall").await, cluster.join("b.hall").await);
        let _near = b.serve(ECHO, Arc::new(Echo)).await.unwrap();
        let _far = b.serve(BLOB, Arc::new(Echo)).await.unwrap();
        assert_eq!(call(&a, "b.hall", BLOB, Bytes::new()).await, Ok(Bytes::new()));
        for _ in 0..50 {
            let answer = a.call(b.name(), ECHO, Bytes::from_static(b"frame"), soon()).await;
            assert_eq!(answer, Err(FabricError::Unreachable(name("b.hall"))));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Nodes that reach each other and a router are asked once, and go on without it.
    #[tokio::test(flavor = "multi_thread")]
    async fn a_way_beside_a_router_is_taken() {
        let cluster = Routed::by("gate.hall").await;
        let hall = door("quic");
        let papers = cluster.papers.path();
        let a = Routed::node("a.hall", cluster.router, papers, &hall, &[&cluster.door]).await;
        let b = Routed::node("b.hall", cluster.router, papers, &door("quic"), &[&cluster.door, &hall]).await;
        let asked = Arc::new(Slow::default());
        asked.open.send_replace(true);
        let _serving = a.serve(ECHO, asked.clone()).await.unwrap();
        call(&b, "a.hall", ECHO, Bytes::new()).await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let before = *asked.started.borrow();
        for _ in 0..100 {
            assert_eq!(b.call(a.name(), ECHO, Bytes::new(), soon()).await, Ok(Bytes::new()));
        }
        assert_eq!(*asked.started.borrow() - before, 100);
        drop(cluster);
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            assert_eq!(b.call(a.name(), ECHO, Bytes::new(), soon()).await, Ok(Bytes::new()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn door(protocol: &str) -> String {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        format!("{protocol}/127.0.0.1:{port}")
    }

    /// A node with the papers of `holder`, which may not be its own.
    async fn with_papers(name: &str, holder: &str, papers: &TempDir, own: &str, join: &[&str]) -> ZenohFabric {
        let file = |kind: &str| papers.path().join(format!("{holder}.{kind}"));
        let authority = papers.path().join("authority.pem");
        let tls = Some(Tls { authority, certificate: file("pem"), key: file("key") });
        let members = MEMBERS.map(super::name).to_vec();
        let join = join.iter().map(ToString::to_string).collect();
        let options = Options { listen: vec![own.into()], join, tls, members, ..options(name) };
        ZenohFabric::join(options).await.unwrap()
    }

    /// Counts refused links as the program does: once for all tests of this process.
    fn refused(at: &ZenohFabric, why: Refusal) -> impl Fn() -> bool {
        static LOG: Once = Once::new();
        LOG.call_once(|| tracing_subscriber::registry().with(refused_links()).init());
        let before = at.refused(why);
        move || at.refused(why) > before
    }

    /// Somebody of whom nothing should be heard, and who should reach nobody, for two seconds.
    async fn is_nobody(a: &ZenohFabric, stranger: &ZenohFabric, who: &str) {
        let _pretends = stranger.serve(ECHO, Arc::new(Echo)).await.unwrap();
        stranger.announce(Bytes::from_static(b"trust me")).await.unwrap();
        let until = Instant::now() + Duration::from_secs(2);
        while Instant::now() < until {
            let reached = stranger.call(&name("a.hall"), ECHO, Bytes::new(), soon()).await;
            assert_eq!(reached, Err(FabricError::Unreachable(name("a.hall"))), "{who}");
            let asked = a.call(&name("b.hall"), ECHO, Bytes::new(), soon()).await;
            assert_eq!(asked, Err(FabricError::Unreachable(name("b.hall"))), "{who}");
            assert!(!a.news().borrow().contains_key(&name("b.hall")), "{who}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Who comes with papers of another authority, with old ones, with none, or under another name than that of its
    /// papers, is not heard, and reaches nobody; links are counted. Who comes afterwards with the right ones is, and does.
    #[tokio::test(flavor = "multi_thread")]
    async fn strangers_are_not_heard() {
        let [papers, forged, foreign] = [(), (), ()].map(|()| tempfile::tempdir().unwrap());
        papers::issue(papers.path(), &[&MEMBERS[..], &["nobody.hall"]].concat());
        papers::expire(papers.path(), "old.hall");
        [&forged, &foreign].into_iter().for_each(|papers| papers::issue(papers.path(), &MEMBERS));
        // It takes the authority for right, and shows what another one signed.
        fs::copy(papers.path().join("authority.pem"), forged.path().join("authority.pem")).unwrap();
        let hall = door("quic");
        let a = with_papers("a.hall", "a.hall", &papers, &hall, &[]).await;
        let _serving = a.serve(ECHO, Arc::new(Echo)).await.unwrap();
        let strangers = [
            ("b.hall", &forged, Some(Refusal::UnknownAuthority)),
            ("old.hall", &papers, Some(Refusal::Expired)),
            ("nobody.hall", &papers, Some(Refusal::NotAMember)),
            // It refuses the other one first.
            ("b.hall", &foreign, Some(Refusal::Unfinished)),
            ("c.yard", &papers, None),
        ];
        for (holder, papers, why) in strangers {
            let counted = why.map(|why| refused(&a, why));
            let stranger = with_papers("b.hall", holder, papers, &door("quic"), &[&hall]).await;
            is_nobody(&a, &stranger, holder).await;
            assert!(counted.is_none_or(|counted| counted()), "{holder} is not counted: {why:?}");
        }
        let counted = refused(&a, Refusal::NoCertificate);
        let _nameless = nameless(&papers, &hall).await;
        let until = Instant::now() + Duration::from_secs(20);
        while !counted() {
            assert!(Instant::now() < until, "who shows no certificate is not counted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // Whom this node calls upon, too.
        let (cave, counted) = (door("quic"), refused(&a, Refusal::UnknownAuthority));
        let _stranger = with_papers("c.yard", "c.yard", &forged, &cave, &[]).await;
        let _late = with_papers("late.hall", "late.hall", &papers, &door("quic"), &[&cave]).await;
        let until = Instant::now() + Duration::from_secs(20);
        while !counted() {
            assert!(Instant::now() < until, "who is called upon is not counted");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let b = with_papers("b.hall", "b.hall", &papers, &door("quic"), &[&hall]).await;
        b.announce(Bytes::from_static(b"here")).await.unwrap();
        until_news(&a, "b.hall").await;
        assert_eq!(call(&b, "a.hall", ECHO, Bytes::new()).await, Ok(Bytes::new()));
    }

    /// Answers with more than a link takes at once.
    #[derive(Default)]
    struct Large(watch::Sender<usize>);

    #[async_trait]
    impl Handler for Large {
        async fn handle(&self, _: Bytes) -> Bytes {
            self.0.send_modify(|asked| *asked += 1);
            vec![0; 4 << 20].into()
        }
    }

    /// Who asks for much and takes none of it does not keep others from their answers.
    #[tokio::test(flavor = "multi_thread")]
    async fn who_takes_nothing_holds_up_nobody() {
        let cluster = Loopback { cluster: "lanes", known: Mutex::default(), papers: None };
        let a = cluster.join("a.hall").await;
        let hall = cluster.known.lock().unwrap()[0].clone();
        let c = cluster.join("c.hall").await;
        let large = Arc::new(Large::default());
        let _large = a.serve(BLOB, large.clone()).await.unwrap();
        let _echo = a.serve(Service { urgency: Urgency::Last, ..ECHO }, Arc::new(Echo)).await.unwrap();
        let ask = async || call(&c, "a.hall", Service { urgency: Urgency::Last, ..ECHO }, Bytes::new()).await;
        assert_eq!(ask().await, Ok(Bytes::new()));

        let stuck = ::zenoh::open(plain(&hall)).await.unwrap();
        let _alive = stuck.liveliness().declare_token("burst/lanes/alive/b.hall").await.unwrap();
        // A number, and news.
        stuck.put("burst/lanes/news/b.hall", [0; 17]).await.unwrap();
        until_news(&a, "b.hall").await;
        let (shut, gate) = std::sync::mpsc::channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        for _ in 0..48 {
            let gate = gate.clone();
            let get = stuck.get("burst/lanes/call/a.hall/blob").attachment("b.hall");
            // Until the other end is gone.
            let take = move |_| assert!(gate.lock().unwrap().recv().is_err());
            get.callback(take).await.unwrap();
        }
        large.0.subscribe().wait_for(|asked| *asked == 48).await.unwrap();
        let asked = Instant::now();
        let answer = ask().await;
        drop(shut);
        assert_eq!(answer, Ok(Bytes::new()));
        assert!(asked.elapsed() < Duration::from_secs(1), "{:?}", asked.elapsed());
    }

    async fn until_news(fabric: &ZenohFabric, of: &str) {
        until(&mut fabric.news(), |news| news.contains_key(&name(of))).await;
    }

    /// Somebody without papers of its own.
    async fn nameless(papers: &TempDir, join: &str) -> ::zenoh::Session {
        let mut config = plain(join);
        let authority = papers.path().join("authority.pem");
        let tls = serde_json::json!({ "root_ca_certificate": authority, "verify_name_on_connect": false });
        config.insert_json5("transport/link/tls", &tls.to_string()).unwrap();
        ::zenoh::open(config).await.unwrap()
    }

    /// Somebody who is no node.
    fn plain(join: &str) -> ::zenoh::Config {
        let mut config = ::zenoh::Config::default();
        for (key, value) in [
            ("connect/endpoints", format!("[{join:?}]")),
            ("listen/endpoints", "[]".into()),
            ("scouting/multicast/enabled", "false".into()),
        ] {
            config.insert_json5(key, &value).unwrap();
        }
        config
    }

    async fn check(change: impl FnOnce(&mut Options), part: &str) {
        let mut options = options("a.hall");
        change(&mut options);
        let error = ZenohFabric::join(options).await.err().unwrap().to_string();
        assert!(error.contains(part), "{error} has no `{part}`");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_leaves_the_box_without_papers() {
        check(|options| options.listen = vec!["tcp/0.0.0.0:7447".into()], "set cluster.tls").await;
        check(|options| options.join = vec!["tcp/10.0.0.1:7447".into()], "set cluster.tls").await;
        check(|options| options.discover = true, "set cluster.tls").await;
        check(|options| options.cluster = "a/**".into(), "no cluster's name").await;
        let tls = || Some(Tls { authority: "a".into(), certificate: "b".into(), key: "c".into() });
        check(|options| options.tls = tls(), "without TLS").await;
        let outside = |options: &mut Options| {
            (options.tls, options.listen) = (tls(), vec!["quic/127.0.0.1:0".into()]);
        };
        check(outside, "not among cluster.members").await;
    }
}
