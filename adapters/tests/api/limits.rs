//! Clients that are too slow, too large, too many, or there when the house closes.

use crate::{
    fake::House,
    wire::{get, infer, post, request, rest},
};
use flate2::{Compression, write::GzEncoder};
use std::{io::Write, sync::atomic::Ordering::Relaxed, time::Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, sleep, timeout},
};

#[tokio::test]
async fn connections_that_do_not_ask_in_time_are_closed() {
    let house = House::with(|limits| limits.header_timeout_ms = 200.try_into().unwrap()).await;
    for said in [
        "",
        "P",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET /v2 HTTP/1.1\r\nhost: x\r\nx-",
    ] {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(said.as_bytes()).await.unwrap();
        let began = Instant::now();
        let _ = stream.read_to_end(&mut Vec::new()).await;
        let waited = began.elapsed();
        assert!(waited > Duration::from_millis(100) && waited < Duration::from_secs(2), "{said:?}: {waited:?}");
    }
    assert_eq!(get(house.address, "/v2/health/live").await.status, 200);
}

#[tokio::test]
async fn a_header_byte_now_and_then_is_not_enough() {
    let house = House::with(|limits| limits.header_timeout_ms = 300.try_into().unwrap()).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let drip = async {
        stream.write_all(b"GET /v2 HTTP/1.1\r\nx: ").await?;
        loop {
            stream.write_all(b"y").await?;
            sleep(Duration::from_millis(20)).await;
        }
    };
    let ended: Result<std::io::Result<()>, _> = timeout(Duration::from_secs(3), drip).await;
    assert!(ended.expect("still open").is_err());
}

#[tokio::test]
async fn a_body_has_a_deadline_as_a_whole() {
    let house = House::with(|limits| limits.body_timeout_ms = 300.try_into().unwrap()).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n").await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let drip = tokio::spawn(async move {
        while writer.write_all(b" ").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    let mut bytes = [0; 1024];
    let read = timeout(Duration::from_secs(3), reader.read(&mut bytes)).await.expect("no answer").unwrap();
    assert!(bytes[..read].starts_with(b"HTTP/1.1 408"));
    drip.abort();
}

#[tokio::test]
async fn large_bodies_are_refused_before_they_are_read() {
    let house = House::with(|limits| limits.body_max_bytes = 1000.try_into().unwrap()).await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head =
        "POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 99999999999\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = rest(&mut stream).await.unwrap();
    assert_eq!((reply.status, reply.error()), (413, "the body is above 1000 bytes".into()));
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    let head = "POST /v2/models/echo/infer HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n";
    stream.write_all(&[head.as_bytes(), &[b' '; 2000], b"\r\n0\r\n\r\n"].concat()).await.unwrap();
    assert_eq!(rest(&mut stream).await.unwrap().status, 413);
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let house = House::open().await;
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    (0..60).for_each(|_| gzip.write_all(&[b' '; 1 << 20]).unwrap());
    let reply =
        post(house.address, "/v2/models/echo/infer", "content-encoding: gzip\r\n", &gzip.finish().unwrap()).await;
    assert_eq!((reply.status, reply.error()), (413, "the body is compressed more than 20 to 1".into()));
}

#[tokio::test]
async fn one_connection_too_many_waits() {
    let house = House::with(|limits| limits.connections_max = 2.try_into().unwrap()).await;
    let first = TcpStream::connect(house.address).await.unwrap();
    let _second = TcpStream::connect(house.address).await.unwrap();
    sleep(Duration::from_millis(50)).await;
    let third = tokio::spawn(get(house.address, "/v2/health/live"));
    sleep(Duration::from_millis(200)).await;
    assert!(!third.is_finished());
    drop(first);
    assert_eq!(third.await.unwrap().status, 200);
}

#[tokio::test]
async fn a_client_that_leaves_cancels_its_request() {
    let house = House::open().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(&request("POST", "/v2/models/slow/infer", "", br#"{"inputs":[]}"#)).await.unwrap();
    let running = &house.fake.running;
    until(|| running.load(Relaxed) == 1).await;
    drop(stream);
    let left = Instant::now();
    until(|| running.load(Relaxed) == 0).await;
    assert!(left.elapsed() < Duration::from_millis(300));
}

#[tokio::test]
async fn closing_waits_for_what_is_in_flight() {
    let house = House::open().await;
    let (address, running) = (house.address, house.fake.running.clone());
    let mut idle = TcpStream::connect(address).await.unwrap();
    let asked = tokio::spawn(async move { infer(address, "slow", r#"{"inputs":[]}"#, b"").await });
    until(|| running.load(Relaxed) == 1).await;
    let closed = house.close();
    sleep(Duration::from_millis(50)).await;
    assert!(TcpStream::connect(address).await.is_err());
    assert_eq!(idle.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    assert_eq!(asked.await.unwrap().status, 200);
    closed.await.unwrap();
}

#[tokio::test]
async fn closing_does_not_wait_forever() {
    let house = House::with(|limits| limits.drain_ms = 100).await;
    let (address, running) = (house.address, house.fake.running.clone());
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&request("POST", "/v2/models/slow/infer", "", br#"{"inputs":[]}"#)).await.unwrap();
    until(|| running.load(Relaxed) == 1).await;
    let began = Instant::now();
    house.close().await.unwrap();
    assert!(began.elapsed() < Duration::from_millis(300));
    assert_eq!(running.load(Relaxed), 0);
    assert!(rest(&mut stream).await.is_none());
}

#[tokio::test]
async fn http2_is_spoken_to_those_who_begin_with_it() {
    let house = House::open().await;
    let mut stream = TcpStream::connect(house.address).await.unwrap();
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(4, 0, 0, b"")).await.unwrap();
    let path = b"/v2/health/live";
    let fields = [&[0x82, 0x86, 0x04, path.len() as u8], path.as_slice(), &[0x41, 1, b'x']].concat();
    stream.write_all(&frame(1, 5, 1, &fields)).await.unwrap();
    let mut streams_max = None;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize];
        stream.read_exact(&mut payload).await.unwrap();
        match head[3] {
            4 if head[4] == 0 => {
                streams_max = payload.as_chunks::<6>().0.iter().find(|setting| setting[1] == 3).copied()
            }
            1 => break assert_eq!(payload[0], 0x88),
            _ => {}
        }
    }
    assert_eq!(streams_max, Some([0, 3, 0, 0, 0, 64]));
}

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    [&[0, 0, payload.len() as u8, kind, flags, 0, 0, 0, stream], payload].concat()
}

async fn until(holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(Duration::from_secs(5), wait).await.expect("it never held");
}
