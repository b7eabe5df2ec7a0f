//! Values from one stage to the next: so many bytes there, an acknowledgement back.

use crate::{
    nats::Nats,
    report::{Flags, Report, Row},
    support::{block_on, papers},
};
use async_trait::async_trait;
use burst_adapters::fabric::{Hub, Options, Tls, ZenohFabric};
use burst_host::{
    nouns::NodeName,
    ports::{Fabric, Handler, Reach, Service, Urgency},
};
use bytes::Bytes;
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    num::NonZeroU64,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

const ACK: &[u8] = &[0; 64];
const STAGE: Service = Service { name: "stage", reach: Reach::Premises, urgency: Urgency::Usual };
const SIZES: [usize; 4] = [4 << 10, 256 << 10, 1 << 20, 4 << 20];
const NODES: [&str; 2] = ["a.hall", "b.hall"];

struct Acknowledges;

#[async_trait]
impl Handler for Acknowledges {
    async fn handle(&self, message: Bytes) -> Bytes {
        assert!(!message.is_empty());
        Bytes::from_static(ACK)
    }
}

/// Each fabric beside a bare TCP connection and a NATS server, one call after the other.
pub fn measure(flags: &Flags, report: &mut Report) {
    let papers = tempfile::tempdir().unwrap();
    papers::issue(papers.path(), &NODES);
    let hub = Hub::default();
    let local = NODES.map(|name| Arc::new(hub.join(name.parse().unwrap()).unwrap()) as Arc<dyn Fabric>);
    let two = |nodes: Vec<Arc<dyn Fabric>>| <[_; 2]>::try_from(nodes).ok().unwrap();
    let tcp = two(block_on(zenoh(&NODES, None)));
    let quic = two(block_on(zenoh(&NODES, Some(&papers))));
    let nats = Nats::start();
    for bytes in SIZES {
        let runs = flags.pick(20, (1 << 30) / bytes.max(1 << 20));
        let bare = bare(bytes, runs);
        let nats = nats.as_ref().map(|nats| nats.requests(bytes, runs, ACK));
        for (name, nodes) in [("local", &local), ("zenoh", &tcp), ("zenoh-quic", &quic)] {
            let times = block_on(calls(nodes, bytes, runs));
            for (part, word) in [(0.5, "p50"), (0.99, "p99")] {
                let metric = format!("handoff_{name}_{bytes}_{word}_us");
                let (value, peer) = (at(&times, part), at(&bare, part));
                let row = Row { peer: "TCP", peer_value: Some(peer), ..Row::alone(metric, "us", value, runs) };
                report.add(row);
                if let Some(nats) = &nats {
                    let metric = format!("handoff_{name}_{bytes}_{word}_us_nats");
                    let row = Row::alone(metric, "us", value, runs);
                    report.add(Row { peer: "NATS", peer_value: Some(at(nats, part)), ..row });
                }
            }
        }
    }
}

/// Microseconds, sorted.
fn at(times: &[f64], part: f64) -> f64 {
    times[((times.len() - 1) as f64 * part).round() as usize]
}

async fn calls(nodes: &[Arc<dyn Fabric>; 2], bytes: usize, runs: usize) -> Vec<f64> {
    let [from, to] = nodes;
    let _serving = to.serve(STAGE, Arc::new(Acknowledges)).await.unwrap();
    let message = Bytes::from(vec![7; bytes]);
    let call = || from.call(to.name(), STAGE, message.clone(), Instant::now() + Duration::from_secs(10));
    while call().await.is_err() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut times = Vec::new();
    for _ in 0..runs {
        let started = Instant::now();
        call().await.unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Nodes on the loopback, joined by TCP or, with papers, by QUIC.
pub async fn zenoh(names: &[&str], papers: Option<&TempDir>) -> Vec<Arc<dyn Fabric>> {
    let protocol = if papers.is_some() { "quic" } else { "tcp" };
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listen: Vec<String> = names.iter().map(|_| format!("{protocol}/127.0.0.1:{}", free())).collect();
    let members: Vec<NodeName> = names.iter().map(|name| name.parse().unwrap()).collect();
    let mut nodes: Vec<Arc<dyn Fabric>> = Vec::new();
    for (node, name) in names.iter().enumerate() {
        let options = Options {
            cluster: protocol.into(),
            name: members[node].clone(),
            listen: vec![listen[node].clone()],
            join: listen[..node].to_vec(),
            discover: false,
            lease_ms: NonZeroU64::new(1000).unwrap(),
            tls: papers.map(|papers| Tls {
                authority: papers.path().join("authority.pem"),
                certificate: papers.path().join(format!("{name}.pem")),
                key: papers.path().join(format!("{name}.key")),
            }),
            members: members.clone(),
            routers: Vec::new(),
        };
        nodes.push(Arc::new(ZenohFabric::join(options).await.unwrap()));
    }
    nodes
}

/// What the kernel alone takes.
fn bare(bytes: usize, runs: usize) -> Vec<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_nodelay(true).unwrap();
        let mut buffer = vec![0; bytes];
        while stream.read_exact(&mut buffer).is_ok() {
            stream.write_all(ACK).unwrap();
        }
    });
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    let (message, mut ack) = (vec![7; bytes], [0; ACK.len()]);
    let mut times = Vec::new();
    for _ in 0..runs {
        let started = Instant::now();
        stream.write_all(&message).unwrap();
        stream.read_exact(&mut ack).unwrap();
        times.push(started.elapsed().as_secs_f64() * 1e6);
    }
    drop(stream);
    server.join().unwrap();
    times.sort_by(f64::total_cmp);
    times
}
