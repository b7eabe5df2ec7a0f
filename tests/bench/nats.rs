//! A request and its answer through a NATS server, as a peer: its protocol is text, and no client is quicker than none.
//!
//! Source: docs.nats.io/reference/reference-protocols/nats-protocol.

use crate::support::root;
use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// More than the largest message.
const PAYLOAD_MAX: usize = 8 << 20;
const CONNECT: &str = "CONNECT {\"verbose\":false,\"pedantic\":false,\"protocol\":1}\r\n";

/// A server of this benchmark; it ends with it.
pub struct Nats {
    server: Child,
    port: u16,
    _directory: TempDir,
}

impl Nats {
    /// `None` where nobody has unpacked it.
    pub fn start() -> Option<Self> {
        let program: PathBuf = root().join("target/peers/bin/nats-server");
        if !program.exists() {
            eprintln!("left out: {} is missing; `just bench cluster` unpacks it", program.display());
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let config = directory.path().join("nats.conf");
        fs::write(&config, format!("max_payload: {PAYLOAD_MAX}\n")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Command::new(program);
        server.args(["-a", "127.0.0.1", "-p", &port.to_string(), "-c"]).arg(config);
        let server = server.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let nats = Self { server, port, _directory: directory };
        while TcpStream::connect(("127.0.0.1", nats.port)).is_err() {
            thread::sleep(Duration::from_millis(20));
        }
        Some(nats)
    }

    /// Microseconds of each request of so many bytes, and its small answer; sorted.
    pub fn requests(&self, bytes: usize, runs: usize, answer: &'static [u8]) -> Vec<f64> {
        let mut responder = Client::connect(self.port, "stage");
        let server = thread::spawn(move || {
            while let Some((reply, message)) = responder.next() {
                if message.is_empty() {
                    return;
                }
                responder.publish(&reply, "", answer);
            }
        });
        let mut client = Client::connect(self.port, "inbox");
        let message = vec![7; bytes];
        let mut times = Vec::new();
        for _ in 0..runs {
            let started = Instant::now();
            client.publish("stage", "inbox", &message);
            assert_eq!(client.next().unwrap().1, answer);
            times.push(started.elapsed().as_secs_f64() * 1e6);
        }
        client.publish("stage", "inbox", &[]);
        server.join().unwrap();
        times.sort_by(f64::total_cmp);
        times
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    /// Connects, and hears of one subject. The answer to the ping says that the server knows that.
    fn connect(port: u16, subject: &str) -> Self {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        stream.set_nodelay(true).unwrap();
        write!(stream, "{CONNECT}SUB {subject} 1\r\nPING\r\n").unwrap();
        let mut client = Self(BufReader::with_capacity(64 << 10, stream));
        while client.line().unwrap() != "PONG" {}
        client
    }

    fn publish(&mut self, subject: &str, reply: &str, message: &[u8]) {
        let head = format!("PUB {subject} {reply} {}\r\n", message.len());
        let stream = self.0.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(message).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }

    /// Where to reply to, and the next message.
    fn next(&mut self) -> Option<(String, Vec<u8>)> {
        loop {
            let line = self.line()?;
            if line == "PING" {
                self.0.get_mut().write_all(b"PONG\r\n").unwrap();
            }
            let Some(head) = line.strip_prefix("MSG ") else { continue };
            let words: Vec<&str> = head.split_whitespace().collect();
            let mut message = vec![0; words.last()?.parse::<usize>().ok()? + 2];
            self.0.read_exact(&mut message).ok()?;
            message.truncate(message.len() - 2);
            let reply = if words.len() == 4 { words[2] } else { "" };
            return Some((reply.into(), message));
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        (self.0.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    }
}
