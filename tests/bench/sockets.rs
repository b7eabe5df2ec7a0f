//! A thousand open connections send a request at once.

use crate::{
    CROWD, ON_DEMAND, manifest,
    report::{self, Flags, Report, Row, median, micros, quantile},
    rounds,
    support::Burst,
};
use std::{
    io,
    net::SocketAddr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{
    net::TcpStream,
    runtime::{Builder, Runtime},
};

/// The smallest request that carries a tensor.
const REQUEST: &[u8] = b"POST /v2/models/echo/infer HTTP/1.1\r\nhost: burst\r\ncontent-type: application/json\r\n\
    content-length: 66\r\n\r\n{\"inputs\":[{\"name\":\"x\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[1]}]}";
/// Connections outlive the silence; the default closes them after five seconds without a request.
const SERVER: &str = "header_timeout_ms = 600000";

/// When answers were whole, in microseconds since the first request was about to be sent.
#[derive(Clone, Copy)]
struct Answers {
    first: f64,
    p50: f64,
    p99: f64,
    last: f64,
    /// Since its own request was sent.
    round_trip_p99: f64,
    /// When the last request was sent: a crowd takes time to speak.
    sent: f64,
}

pub fn measure(flags: &Flags, report: &mut Report) {
    // Two threads, one that sends and one that reads: the server needs the cores.
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let pools = [CROWD, 0].map(|ready| manifest(&format!("{{ ready = {ready}, max = {CROWD} }}"), SERVER));
    let servers = pools.each_ref().map(|(_, manifest)| Burst::serve(manifest));
    let crowds = servers.each_ref().map(|server| runtime.block_on(connect(server.http)));
    let mut seen: [Vec<Answers>; 2] = Default::default();
    // The first one warms up.
    for round in 0..=rounds(flags) {
        report::silence(if round == 0 { Duration::from_secs(1) } else { crate::window(flags) });
        for (crowd, seen) in crowds.iter().zip(&mut seen) {
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
    row("burst_round_trip_p99_us", |answers| answers.round_trip_p99);
    row("burst_all_sent_us", |answers| answers.sent);
}

async fn connect(address: SocketAddr) -> Vec<Arc<TcpStream>> {
    let mut crowd = Vec::with_capacity(CROWD);
    for _ in 0..CROWD {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        crowd.push(Arc::new(stream));
    }
    crowd
}

fn burst(runtime: &Runtime, crowd: &[Arc<TcpStream>]) -> Answers {
    let writers = crowd.to_vec();
    let (sent, answered) = runtime.block_on(async {
        let readers: Vec<_> = crowd.iter().map(|stream| tokio::spawn(answer(stream.clone()))).collect();
        // Until each of them waits.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let sender = thread::spawn(move || writers.iter().map(|stream| send(stream)).collect::<Vec<_>>());
        let mut answered = Vec::with_capacity(CROWD);
        for reader in readers {
            answered.push(reader.await.unwrap());
        }
        (sender.join().unwrap(), answered)
    });
    let since = |start: Instant, end: Instant| micros(end.saturating_duration_since(start));
    let times: Vec<f64> = answered.iter().map(|&at| since(sent[0], at)).collect();
    let own: Vec<f64> = sent.iter().zip(&answered).map(|(&sent, &at)| since(sent, at)).collect();
    let at = |share| quantile(&times, share);
    let last = since(sent[0], sent[CROWD - 1]);
    Answers {
        first: at(0.0),
        p50: at(0.5),
        p99: at(0.99),
        last: at(1.0),
        round_trip_p99: quantile(&own, 0.99),
        sent: last,
    }
}

/// Sends a request; when it began to.
fn send(stream: &TcpStream) -> Instant {
    let start = Instant::now();
    // The socket's buffer is empty: it takes the whole at once.
    assert_eq!(stream.try_write(REQUEST).unwrap(), REQUEST.len());
    start
}

/// Reads an answer; when it was whole.
async fn answer(stream: Arc<TcpStream>) -> Instant {
    let mut answer = Vec::with_capacity(1024);
    while !whole(&answer) {
        stream.readable().await.unwrap();
        match stream.try_read_buf(&mut answer) {
            Ok(0) => panic!("the connection was closed"),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => panic!("{error}"),
        }
    }
    let taken = Instant::now();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    taken
}

/// Whether the head is there, and as much after it as it says.
fn whole(answer: &[u8]) -> bool {
    let Some((head, body)) = std::str::from_utf8(answer).ok().and_then(|text| text.split_once("\r\n\r\n")) else {
        return false;
    };
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    length.and_then(|length| length.parse().ok()).is_some_and(|length: usize| body.len() >= length)
}
