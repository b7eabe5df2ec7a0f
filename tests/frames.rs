//! A camera's frames become events in the operator's words, and nothing else leaves.

use crate::support::{Burst, House, block_on, eventually, probe, root};
use burst_host::{
    loops::watch::Lane,
    mechanisms::{egress::Gate, feed::Slot},
    nouns::{ColourSpace, Frame, PixelFormat, Record, Vocabulary, VocabularyEntry, VocabularyKind, manifest::Reuse},
    ports::{Sink, SinkError},
};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Keeps what it is given.
#[derive(Default)]
struct Kept(Mutex<Vec<Record>>);

#[async_trait::async_trait]
impl Sink for Kept {
    async fn deliver(&self, record: Arc<Record>) -> Result<(), SinkError> {
        self.0.lock().unwrap().push(Record::clone(&record));
        Ok(())
    }
}

fn frame(sequence: u64) -> Frame {
    Frame {
        camera: "camera".into(),
        sequence,
        captured_ns: sequence * 1_000_000,
        received: Instant::now(),
        width: 4,
        height: 2,
        format: PixelFormat::Grey8,
        colour: ColourSpace::default(),
        pixels: vec![0; 8].into(),
    }
}

/// A probe behind a camera that the test holds.
struct Watched {
    house: House,
    slot: Slot,
    counts: burst_host::mechanisms::egress::LaneCounts,
    kept: Arc<Kept>,
    lane: tokio::task::JoinHandle<()>,
}

impl Watched {
    async fn new(name: &str, per_second: u32, reuse: Reuse) -> Self {
        let slot = Slot::new();
        let feed = slot.feed();
        let feeds = BTreeMap::from([("camera".to_owned(), feed.clone())]);
        let rest = "cameras = [\"camera\"]\nlimits.deadline_ms = 500\npool = { ready = 1, max = 2 }";
        let house = House::with_feeds(&probe(name), rest, feeds).await.unwrap();
        let entry = |id, name: &str, kind| VocabularyEntry { id, name: name.into(), kind };
        let counts = (3..=4).map(|id| entry(id, "number", VocabularyKind::Count));
        let words = [entry(1, "count", VocabularyKind::Count), entry(2, "person", VocabularyKind::Detection)];
        let vocabulary = Vocabulary::new(words.into_iter().chain(counts)).unwrap();
        let kept = Arc::new(Kept::default());
        let lane = Lane {
            deployment: house.deployment.clone(),
            camera: "camera".into(),
            feed,
            gate: Gate::new("guest".into(), Arc::new(vocabulary), per_second),
            sinks: Arc::new([kept.clone() as Arc<dyn Sink>]),
            max_age: Duration::from_secs(5),
            reuse,
        };
        let counts = lane.counts();
        Self { house, slot, counts, kept, lane: tokio::spawn(lane.run()) }
    }

    async fn show(&self, sequence: u64) {
        let done = || {
            let statistics = &self.house.deployment.statistics;
            statistics.success.count() + statistics.fail.count() + self.counts.frames.stale.get()
        };
        let before = done();
        self.slot.put(frame(sequence));
        eventually("the frame is looked at", || done() > before).await;
    }
}

#[test]
fn a_chatty_guest_says_only_what_the_vocabulary_knows_and_not_too_much() {
    block_on(async {
        let watched = Watched::new("watch-chatty", 10_000, Reuse::Never).await;
        watched.show(0).await;
        eventually("all is said", || watched.counts.events.unknown.get() == 400).await;
        assert_eq!(watched.counts.events.emitted.get(), 600);
        let limited = Watched::new("watch-chatty", 50, Reuse::Never).await;
        limited.show(0).await;
        eventually("the rest is held back", || limited.counts.events.limited.get() >= 500).await;
        assert!(limited.kept.0.lock().unwrap().len() < 100);
    });
}

#[test]
fn only_the_newest_frame_is_seen_and_the_others_are_counted() {
    block_on(async {
        let watched = Watched::new("watch-chatty", 10_000, Reuse::Never).await;
        watched.show(0).await;
        watched.show(10).await;
        let frames = &watched.counts.frames;
        assert_eq!((frames.enqueued.get(), frames.dequeued.get(), frames.replaced.get()), (11, 2, 9));
        let old = Frame { received: Instant::now() - Duration::from_secs(10), ..frame(11) };
        watched.slot.put(old);
        eventually("it is too old", || frames.stale.get() == 1).await;
        assert_eq!(frames.enqueued.get(), frames.dequeued.get() + frames.dropped());
    });
}

#[test]
fn a_guest_that_hangs_loses_its_frame_and_the_next_is_seen_by_a_fresh_one() {
    block_on(async {
        let watched = Watched::new("watch-spin", 100, Reuse::Lane).await;
        watched.show(0).await;
        watched.show(1).await;
        assert_eq!(watched.counts.frames.failed.get(), 2);
        assert!(watched.kept.0.lock().unwrap().is_empty());
    });
}

#[test]
fn a_lanes_guest_lives_on_and_a_fresh_one_does_not() {
    use burst_host::mechanisms::statistics::Retired;
    for (reuse, expected) in [(Reuse::Never, (3, 0)), (Reuse::Lane, (0, 1))] {
        block_on(async {
            let watched = Watched::new("watch-chatty", 10_000, reuse).await;
            for sequence in 0..3 {
                watched.show(sequence).await;
            }
            drop(watched.slot);
            watched.lane.await.unwrap();
            watched.house.settle().await;
            let retired = |reason| watched.house.deployment.statistics.retired(reason);
            assert_eq!((retired(Retired::Used), retired(Retired::Aged)), expected, "{reuse:?}");
        });
    }
}

/// The demo's camera, through the socket.
#[test]
fn the_drawn_camera_yields_counts_and_boxes_over_sse() {
    let burst = Burst::serve(&root().join("guests/demo.toml"));
    let mut stream = TcpStream::connect(burst.http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(b"GET /v2/events?guest=people HTTP/1.1\r\nhost: burst\r\n\r\n").unwrap();
    let (mut counts, mut seen, mut largest) = (0, 0, 0);
    for line in BufReader::new(stream).lines().map_while(Result::ok) {
        let Some(record) = line.strip_prefix("data: ") else { continue };
        let record: serde_json::Value = serde_json::from_str(record).unwrap();
        assert_eq!((&record["guest"], &record["camera"]), (&"people".into(), &"door".into()));
        match record["kind"].as_str() {
            Some("count") => {
                counts += 1;
                largest = largest.max(record["value"].as_u64().unwrap());
            }
            Some("detection") => seen += 1,
            other => panic!("{other:?}"),
        }
        if counts >= 10 && seen >= 5 {
            break;
        }
    }
    assert!(counts >= 10 && seen >= 5, "{counts} counts, {seen} detections");
    assert!((1..=8).contains(&largest), "{largest} people at once");
    let metrics = burst.get("/metrics").1;
    assert!(metrics.contains(r#"burst_frames_total{guest="people",camera="door",outcome="seen"}"#), "{metrics}");
}
