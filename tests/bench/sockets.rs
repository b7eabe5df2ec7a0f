//! A thousand open connections send a request at once.

use crate::{
    CROWD, ON_DEMAND, manifest,
    report::{self, Flags, Report, Row, median, micros, quantile},
    rounds,
    support::Burst,
};
use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime::{Builder, Runtime},
    sync::watch,
    task::JoinSet,
};

/// The smallest request that carries a tensor.
const REQUEST: &[u8] = b"POST /v2/models/echo/infer HTTP/1.1\r\nhost: burst\r\ncontent-type: application/json\r\n\
    content-length: 66\r\n\r\n{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1]}]}";
/// Connections outlive the silence; the default closes them after five seconds without a request.
const SERVER: &str = "header_timeout_ms = 600000";

/// When answers were whole, in microseconds since the release of all connections.
#[derive(Clone, Copy)]
struct Answers {
    first: f64,
    p50: f64,
    p99: f64,
    last: f64,
}

pub fn measure(flags: &Flags, report: &mut Report) {
    // One thread: the server needs the other cores.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let pools = [CROWD, 0].map(|ready| manifest(&format!("{{ ready = {ready}, max = {CROWD} }}"), SERVER));
    let servers = pools.each_ref().map(|(_, manifest)| Burst::serve(manifest));
    let mut crowds = servers.each_ref().map(|server| runtime.block_on(connect(server.http)));
    let mut seen: [Vec<Answers>; 2] = Default::default();
    // The first one warms up.
    for round in 0..=rounds(flags) {
        report::silence(if round == 0 { Duration::from_secs(1) } else { crate::window(flags) });
        for (crowd, seen) in crowds.iter_mut().zip(&mut seen) {
            seen.push(burst(&runtime, crowd));
            report::silence(Duration::from_secs(1));
        }
    }
    rows(report, &seen.map(|seen| seen[1..].to_vec()));
}

fn rows(report: &mut Report, [floor, demand]: &[Vec<Answers>; 2]) {
    let mut row = |metric: &str, of: fn(&Answers) -> f64| {
        let figure = |seen: &[Answers]| Some(median(&seen.iter().map(of).collect::<Vec<_>>()));
        let (value, peer_value, n) = (figure(floor), figure(demand), floor.len());
        report.add(Row { metric: metric.into(), unit: "us", value, peer: ON_DEMAND, peer_value, n });
    };
    row("burst_first_answer_us", |answers| answers.first);
    row("burst_answer_p50_us", |answers| answers.p50);
    row("burst_answer_p99_us", |answers| answers.p99);
    row("burst_last_answer_us", |answers| answers.last);
}

async fn connect(address: SocketAddr) -> Vec<TcpStream> {
    let mut crowd = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        crowd.push(stream);
    }
    crowd
}

fn burst(runtime: &Runtime, crowd: &mut Vec<TcpStream>) -> Answers {
    let gate = watch::Sender::new(None::<Instant>);
    runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for stream in crowd.drain(..) {
            tasks.spawn(one(stream, gate.subscribe()));
        }
        // Until each of them waits.
        tokio::time::sleep(Duration::from_millis(200)).await;
        gate.send_replace(Some(Instant::now()));
        let mut times = Vec::with_capacity(CROWD);
        for (stream, time) in tasks.join_all().await {
            crowd.push(stream);
            times.push(time);
        }
        let at = |share| quantile(&times, share);
        Answers { first: at(0.0), p50: at(0.5), p99: at(0.99), last: at(1.0) }
    })
}

/// Sends, reads the whole answer, and hands the connection back.
async fn one(mut stream: TcpStream, mut gate: watch::Receiver<Option<Instant>>) -> (TcpStream, f64) {
    let mut answer = Vec::with_capacity(1024);
    let released = gate.wait_for(Option::is_some).await.unwrap().unwrap();
    stream.write_all(REQUEST).await.unwrap();
    while !whole(&answer) {
        assert_ne!(stream.read_buf(&mut answer).await.unwrap(), 0, "the connection was closed");
    }
    let taken = micros(released.elapsed());
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    (stream, taken)
}

/// Whether the head is there, and as much after it as it says.
fn whole(answer: &[u8]) -> bool {
    let Some((head, body)) = std::str::from_utf8(answer).ok().and_then(|text| text.split_once("\r\n\r\n")) else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}
