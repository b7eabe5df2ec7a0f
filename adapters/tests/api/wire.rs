//! A client that writes and reads raw bytes.

use serde_json::Value;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, timeout},
};

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Reply {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = String::from_utf8(bytes[..end].to_vec()).ok()?;
        let status = head.split(' ').nth(1)?.parse().ok()?;
        Some(Self { status, head: head.to_ascii_lowercase(), body: bytes[end + 4..].to_vec() })
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The text of a refusal; every refusal has one.
    pub fn error(&self) -> String {
        assert_eq!(self.header("content-type"), Some("application/json"), "{self:?}");
        self.json()["error"].as_str().unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

/// Writes `bytes` and reads until the server closes. `None` when it closed without an answer.
pub async fn raw(address: SocketAddr, bytes: &[u8]) -> Option<Reply> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The server may refuse and close before it took everything.
    let _ = stream.write_all(bytes).await;
    rest(&mut stream).await
}

/// Reads until the server closes.
pub async fn rest(stream: &mut TcpStream) -> Option<Reply> {
    let mut bytes = Vec::new();
    let _ = timeout(Duration::from_secs(20), stream.read_to_end(&mut bytes)).await.expect("the server hangs");
    Reply::parse(&bytes)
}

pub fn request(method: &str, path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub async fn get(address: SocketAddr, path: &str) -> Reply {
    raw(address, &request("GET", path, "", b"")).await.unwrap()
}

pub async fn post(address: SocketAddr, path: &str, headers: &str, body: &[u8]) -> Reply {
    raw(address, &request("POST", path, headers, body)).await.unwrap()
}

/// Posts JSON and binary contents to a guest.
pub async fn infer(address: SocketAddr, guest: &str, json: &str, binary: &[u8]) -> Reply {
    let header = format!("inference-header-content-length: {}\r\n", json.len());
    post(address, &format!("/v2/models/{guest}/infer"), &header, &[json.as_bytes(), binary].concat()).await
}
