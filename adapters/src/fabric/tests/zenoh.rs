//! What is Zenoh's: certificates, strangers, routers.

use super::*;
use crate::fabric::{Options, Tls, ZenohFabric, refused_links};
use burst_host::ports::Refusal;
use futures::future::BoxFuture;
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

impl Cluster for Loopback {
    type Node = ZenohFabric;

    fn join<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ZenohFabric> {
        Box::pin(async move {
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
        })
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

/// Nodes that know nobody but a router; of routers, each knows the one before it.
struct Routed {
    papers: TempDir,
    routers: &'static [&'static str],
    doors: Vec<String>,
    processes: Vec<Child>,
}

/// Set in the process that is a router: its name, its door, where its papers are, all routers, and a door that it
/// knows, if any; a line each.
const ROUTER: &str = "BURST_TEST_ROUTER";

/// A router blocks Zenoh's threads when it passes on more than a node takes, and all nodes of a process share those.
#[tokio::test(flavor = "multi_thread")]
async fn a_router_of_its_own() {
    let Ok(told) = std::env::var(ROUTER) else { return };
    let told: Vec<_> = told.lines().collect();
    let [name, door, papers, routers, ref known @ ..] = told[..] else { unreachable!() };
    let routers: Vec<_> = routers.split(' ').collect();
    let _router = Routed::node(name, &routers, Path::new(papers), door, known).await;
    std::future::pending().await
}

impl Routed {
    async fn by(routers: &'static [&'static str]) -> Self {
        let (papers, mut doors, mut processes) = (tempfile::tempdir().unwrap(), Vec::new(), Vec::new());
        papers::issue(papers.path(), &[&MEMBERS[..], routers].concat());
        for router in routers {
            let (own, place) = (door("quic"), papers.path().display().to_string());
            let mut told = vec![router.to_string(), own.clone(), place, routers.join(" ")];
            told.extend(doors.last().cloned());
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["fabric::tests::zenoh::a_router_of_its_own", "--exact"]).stdout(Stdio::null());
            processes.push(command.env(ROUTER, told.join("\n")).spawn().unwrap());
            doors.push(own);
        }
        Self { papers, routers, doors, processes }
    }

    async fn node(name: &str, routers: &[&str], papers: &Path, own: &str, join: &[&str]) -> ZenohFabric {
        let file = |kind: &str| papers.join(format!("{name}.{kind}"));
        let authority = papers.join("authority.pem");
        let tls = Some(Tls { authority, certificate: file("pem"), key: file("key") });
        let routers: Vec<_> = routers.iter().map(|router| super::name(router)).collect();
        let members = MEMBERS.map(super::name).into_iter().chain(routers.clone()).collect();
        let join = join.iter().map(ToString::to_string).collect();
        let options = Options { listen: vec![own.into()], join, tls, members, routers, ..options(name) };
        ZenohFabric::join(options).await.unwrap()
    }
}

impl Drop for Routed {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Cluster for Routed {
    type Node = ZenohFabric;

    /// One node at the first router, all others at the last.
    fn join<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ZenohFabric> {
        Box::pin(async move {
            let known = if name == "a.hall" { self.doors.first() } else { self.doors.last() };
            Self::node(name, self.routers, self.papers.path(), &door("quic"), &[known.unwrap()]).await
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zenoh_conforms_over_a_router() {
    conforms(&Routed::by(&["gate.hall"]).await).await;
}

/// Each site has a router, and those know each other.
#[tokio::test(flavor = "multi_thread")]
async fn zenoh_conforms_over_two_routers() {
    conforms(&Routed::by(&["gate.hall", "fence.hall"]).await).await;
}

/// What is derived from frames does not pass a router of other premises, even between nodes of the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_router_elsewhere_passes_on_no_frames() {
    let cluster = Routed::by(&["gate.yard"]).await;
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
    let cluster = Routed::by(&["gate.hall"]).await;
    let hall = door("quic");
    let (papers, gate) = (cluster.papers.path(), cluster.doors[0].as_str());
    let a = Routed::node("a.hall", cluster.routers, papers, &hall, &[gate]).await;
    let b = Routed::node("b.hall", cluster.routers, papers, &door("quic"), &[gate, &hall]).await;
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

/// A busy machine takes its time to refuse.
async fn until_counted(counted: impl Fn() -> bool, who: &str) {
    let until = soon();
    while !counted() {
        assert!(Instant::now() < until, "{who} is not counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
        if let Some(counted) = counted {
            until_counted(counted, holder).await;
        }
    }
    let counted = refused(&a, Refusal::NoCertificate);
    let _nameless = nameless(&papers, &hall).await;
    until_counted(counted, "who shows no certificate").await;
    // Whom this node calls upon, too.
    let (cave, counted) = (door("quic"), refused(&a, Refusal::UnknownAuthority));
    let _stranger = with_papers("c.yard", "c.yard", &forged, &cave, &[]).await;
    let _late = with_papers("late.hall", "late.hall", &papers, &door("quic"), &[&cave]).await;
    until_counted(counted, "who is called upon").await;
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
