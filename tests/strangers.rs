//! Whoever has no papers of the cluster, or sends nonsense, is refused and counted, and the nodes go on serving.

use crate::{
    split::cut,
    support::{Burst, block_on, cluster::copy, guest, papers, root},
};
use burst_adapters::fabric::{Options, Tls, ZenohFabric};
use burst_host::{
    mechanisms::relay::{
        STAGE,
        wire::{self, Call, Outcome},
    },
    nouns::{Digest, Epoch, Fault, NodeName, Plan},
    ports::{Fabric, FabricError},
};
use bytes::Bytes;
use std::{
    fs,
    net::{TcpListener, UdpSocket},
    num::NonZeroU64,
    path::Path,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Those that serve, and one that may take part and sends nonsense.
const MEMBERS: [&str; 3] = ["one.hall", "two.hall", "rogue.hall"];

/// Two nodes of this box, over QUIC with papers, that run a cut model.
struct Hall {
    directory: TempDir,
    doors: [u16; 2],
    nodes: Vec<Burst>,
}

fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Hall {
    fn open() -> Self {
        let directory = tempfile::tempdir().unwrap();
        papers::issue(directory.path(), &[&MEMBERS[..], &["nobody.hall"]].concat());
        papers::expire(directory.path(), "old.hall");
        copy(
            cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "3"]).path(),
            &directory.path().join("model"),
        );
        fs::copy(root().join(guest("digits")), directory.path().join("guest.wasm")).unwrap();
        let mut hall = Self { directory, doors: [port(), port()], nodes: Vec::new() };
        for node in 0..2 {
            let manifest = hall.directory.path().join(format!("{node}.toml"));
            fs::write(&manifest, hall.manifest(node)).unwrap();
            let cache = hall.directory.path().join(format!("cache-{node}"));
            hall.nodes.push(Burst::serve_with_cache(&manifest, &cache));
        }
        hall
    }

    fn manifest(&self, node: usize) -> String {
        let (name, door) = (MEMBERS[node], self.doors[node]);
        let join: Vec<_> = self.doors[..node].iter().map(|door| format!("quic/127.0.0.1:{door}")).collect();
        format!(
            r#"
            accelerator = "cpu"
            [cluster]
            node = "{name}"
            listen = ["quic/127.0.0.1:{door}"]
            join = {join:?}
            members = {MEMBERS:?}
            tls = {{ authority = "authority.pem", certificate = "{name}.pem", key = "{name}.key" }}
            [guests.guest]
            component = "guest.wasm"
            models.digits = "model"
            limits.deadline_ms = 30000
            "#
        )
    }

    /// Joins the first node with papers of a directory; their holder may be somebody else.
    async fn join(&self, name: &str, holder: &str, papers: &Path) -> ZenohFabric {
        let options = Options {
            cluster: "burst".into(),
            name: node(name),
            listen: vec![format!("quic/127.0.0.1:{}", port())],
            join: vec![format!("quic/127.0.0.1:{}", self.doors[0])],
            discover: false,
            lease_ms: NonZeroU64::new(1000).unwrap(),
            tls: Some(Tls {
                authority: papers.join("authority.pem"),
                certificate: papers.join(format!("{holder}.pem")),
                key: papers.join(format!("{holder}.key")),
            }),
            members: MEMBERS.map(node).to_vec(),
            routers: Vec::new(),
        };
        ZenohFabric::join(options).await.unwrap()
    }

    /// What each node says of an image.
    fn answers(&self) -> Vec<String> {
        let pixels: Vec<f32> = (0..64).map(|pixel| (pixel % 17) as f32).collect();
        let body =
            format!(r#"{{"inputs":[{{"name":"image","datatype":"FP32","shape":[1,1,8,8],"data":{pixels:?}}}]}}"#);
        let ask = |burst: &Burst| {
            let (status, answer) = burst.post("/v2/models/guest/infer", &body);
            let json: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
            assert_eq!(status, 200, "{answer}");
            json["outputs"].to_string()
        };
        self.nodes.iter().map(ask).collect()
    }

    /// A count of the first node.
    fn count(&self, row: &str) -> u64 {
        let page = self.nodes[0].get_metrics().1;
        let row = page.lines().find_map(|line| line.strip_prefix(row)).unwrap_or_else(|| panic!("no {row}: {page}"));
        row.trim().parse().unwrap()
    }

    fn counts(&self, row: &str, at_least: u64) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.count(row) < at_least {
            assert!(Instant::now() < until, "{row} is {}", self.count(row));
            thread::sleep(Duration::from_millis(50));
        }
    }
}

fn node(text: &str) -> NodeName {
    text.parse().unwrap()
}

/// A wrong certificate, a name that is not among the members, noise, garbage, huge lengths, an old epoch.
#[test]
fn strangers_and_nonsense_are_refused_and_counted() {
    let hall = Hall::open();
    let expected = hall.answers();
    block_on(async {
        wrong_certificates(&hall).await;
        noise(&hall);
        assert_eq!(hall.answers(), expected, "after strangers");
        nonsense(&hall).await;
    });
    assert_eq!(hall.answers(), expected, "after nonsense");
}

async fn wrong_certificates(hall: &Hall) {
    let forged = tempfile::tempdir().unwrap();
    papers::issue(forged.path(), &MEMBERS);
    fs::copy(hall.directory.path().join("authority.pem"), forged.path().join("authority.pem")).unwrap();
    let strangers =
        [("rogue.hall", forged.path(), "unknown-authority"), ("nobody.hall", hall.directory.path(), "not-a-member")];
    for (holder, papers, reason) in strangers {
        let row = format!("burst_links_refused_total{{reason=\"{reason}\"}}");
        let before = hall.count(&row);
        let stranger = hall.join("rogue.hall", holder, papers).await;
        hall.counts(&row, before + 1);
        let soon = Instant::now() + Duration::from_secs(5);
        let reached = stranger.call(&node("one.hall"), STAGE, Bytes::new(), soon).await;
        assert_eq!(reached, Err(FabricError::Unreachable(node("one.hall"))), "{holder}");
    }
    assert_eq!(hall.count("burst_stage_calls_total{outcome=\"garbage\"}"), 0, "nothing of it came through");
}

/// What is no QUIC at all.
fn noise(hall: &Hall) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for index in 0..1000usize {
        let datagram: Vec<u8> = (0..1 + index % 1400).map(|at| (at * 31 + index * 7) as u8).collect();
        let _ = socket.send_to(&datagram, ("127.0.0.1", hall.doors[0]));
    }
}

/// From somebody who may take part.
async fn nonsense(hall: &Hall) {
    let rogue = hall.join("rogue.hall", "rogue.hall", hall.directory.path()).await;
    let ask = async |message: Bytes| {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match rogue.call(&node("one.hall"), STAGE, message.clone(), until).await {
                Err(FabricError::Unreachable(_)) => tokio::time::sleep(Duration::from_millis(20)).await,
                answer => return wire::read::<Outcome>(answer.unwrap()).unwrap().0,
            }
        }
    };
    let framed = |length: u32, header: &str| Bytes::from([&length.to_le_bytes()[..], header.as_bytes()].concat());
    let huge = r#"{"head":"Lost","values":[{"name":"x","element":"FP32","extents":[4],"bytes":18446744073709551615}]}"#;
    let garbage = [
        Bytes::new(),
        Bytes::from_static(b"\xff\xff"),
        Bytes::from(vec![0xa5; 16 << 20]),
        framed(u32::MAX, "{}"),
        framed(huge.len() as u32, huge),
    ];
    for message in &garbage {
        assert!(matches!(ask(message.clone()).await, Outcome::Fault(Fault::Invalid(_))));
    }
    let plan = Digest::of(&fs::read(hall.directory.path().join("model").join(Plan::FILE)).unwrap());
    let epoch = Epoch { number: 0, leader: node("rogue.hall") };
    let call = Call { request: 1, plan, epoch, stage: 0, budget_ms: 1000, turn: None, suspects: Vec::new() };
    assert_eq!(ask(wire::write(call, &Vec::new()).unwrap()).await, Outcome::Fenced);
    assert_eq!(hall.count("burst_stage_calls_total{outcome=\"garbage\"}"), garbage.len() as u64);
    assert_eq!(hall.count("burst_stage_calls_total{outcome=\"fenced\"}"), 1);
}
