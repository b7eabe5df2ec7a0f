//! Records as server-sent events.

use crate::{fake::House, wire::get};
use burst_host::{
    nouns::{Record, RecordValue},
    ports::Sink,
};
use std::sync::Arc;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, timeout},
};

fn record(camera: &str, sequence: u64) -> Arc<Record> {
    Arc::new(Record {
        guest: "people".into(),
        camera: camera.into(),
        sequence,
        captured_ms: 1_700_000_000_000,
        label: "person".into(),
        value: RecordValue::Count { value: 3 },
    })
}

struct Listener(TcpStream, String);

impl Listener {
    async fn open(house: &House, path: &str) -> Self {
        let mut stream = TcpStream::connect(house.address).await.unwrap();
        stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).await.unwrap();
        let mut listener = Self(stream, String::new());
        listener.until("\r\n\r\n").await;
        listener
    }

    /// Everything that came, once it contains `part`.
    async fn until(&mut self, part: &str) -> &str {
        let mut buffer = [0; 4096];
        while !self.1.contains(part) {
            let read = timeout(Duration::from_secs(5), self.0.read(&mut buffer)).await;
            let read = read.unwrap_or_else(|_| panic!("no `{part}` in {}", self.1)).unwrap();
            assert!(read > 0, "closed before `{part}`: {}", self.1);
            self.1.push_str(std::str::from_utf8(&buffer[..read]).unwrap());
        }
        &self.1
    }
}

#[tokio::test]
async fn records_arrive_as_events_and_are_filtered() {
    let house = House::open().await;
    let mut door = Listener::open(&house, "/v2/events?camera=door&guest=people").await;
    let mut others = Listener::open(&house, "/v2/events?guest=cats").await;
    assert!(door.1.to_ascii_lowercase().contains("content-type: text/event-stream"));
    house.events.deliver(record("yard", 1)).await.unwrap();
    house.events.deliver(record("door", 2)).await.unwrap();
    let heard = door.until("\n\n").await;
    assert!(heard.contains("event: count\n") && heard.contains("id: 1\n"), "{heard}");
    let data = r#"data: {"guest":"people","camera":"door","sequence":2,"captured_ms":1700000000000,"label":"person","kind":"count","value":3}"#;
    assert!(heard.contains(data), "{heard}");
    assert!(!heard.contains("yard"));
    let reply = get(house.address, "/v2/events").await;
    assert_eq!((reply.status, reply.error()), (429, "as many listen as may".into()));
    house.close().await.unwrap();
    let mut rest = String::new();
    others.0.read_to_string(&mut rest).await.unwrap();
    assert!(!rest.contains("count"));
}

#[tokio::test]
async fn a_slow_listener_is_told_what_it_lost() {
    let house = House::open().await;
    let mut slow = Listener::open(&house, "/v2/events").await;
    // More than the sockets' buffers hold.
    let long = "x".repeat(100_000);
    for sequence in 0..400 {
        house.events.deliver(record(&long, sequence)).await.unwrap();
        tokio::task::yield_now().await;
    }
    slow.until("event: lost").await;
}
