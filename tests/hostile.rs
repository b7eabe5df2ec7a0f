//! Malformed requests, manifests and components: a typed error each, no panic, still serving.

use crate::support::{Burst, House, block_on, guest, root};
use burst_host::loops::deploy::DeployError;
use proptest::{
    prelude::*,
    strategy::ValueTree as _,
    test_runner::{Config, TestRunner},
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

const GOOD: &str = r#"{"inputs":[{"name":"x","datatype":"INT64","shape":[2],"data":[1,2]}]}"#;

/// Each mutation is answered with a JSON error or, if it happens to be right, an answer; then a good request is answered.
#[test]
fn malformed_requests_get_a_typed_error_and_the_server_goes_on() {
    let burst = Burst::serve(&root().join("guests/demo.toml"));
    let mut runner = TestRunner::new_with_rng(
        Config { cases: 400, failure_persistence: None, ..Config::default() },
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let mutation = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>(), 0..4);
    let outcome = runner.run(&mutation, |(from, to, byte, kind)| {
        let mut body = GOOD.as_bytes().to_vec();
        let (from, to) = (from.index(body.len()), to.index(body.len()));
        match kind {
            0 => body[from] = byte,
            1 => body.truncate(from),
            2 => drop(body.drain(from.min(to)..from.max(to))),
            _ => body.splice(from..from, GOOD.bytes().take(to)).for_each(drop),
        }
        let head = format!(
            "POST /v2/models/echo/infer HTTP/1.1\r\nhost: burst\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        let (status, answer) = crate::support::request(burst.http, &head, &body);
        let json: Result<serde_json::Value, _> = serde_json::from_str(&answer);
        let typed =
            json.is_ok_and(|json| if status == 200 { json["outputs"].is_array() } else { json["error"].is_string() });
        prop_assert!(matches!(status, 200 | 400..=499) && typed, "{}: {}", status, answer);
        Ok(())
    });
    outcome.unwrap();
    assert_eq!(burst.post("/v2/models/echo/infer", GOOD).0, 200);
}

/// What is not even HTTP is closed on, and nobody else notices.
#[test]
fn bytes_that_are_no_request_are_closed_on() {
    let burst = Burst::serve(&root().join("guests/demo.toml"));
    let mut runner = TestRunner::deterministic();
    for _ in 0..300 {
        let bytes = prop::collection::vec(any::<u8>(), 1..200).new_tree(&mut runner).unwrap().current();
        let mut stream = TcpStream::connect(burst.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(burst.post("/v2/models/echo/infer", GOOD).0, 200);
}

/// A process with the guest `echo` and these settings of its server.
fn echo(server: &str) -> Burst {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(root().join(guest("echo")), directory.path().join("echo.wasm")).unwrap();
    let text = format!("[server]\n{server}\n[guests.echo]\ncomponent = \"echo.wasm\"\n");
    let manifest = directory.path().join("burst.toml");
    fs::write(&manifest, text).unwrap();
    Burst::serve(&manifest)
}

/// A client that sends far more than may come reads its refusal before the connection ends.
#[test]
fn a_body_above_the_limit_is_answered_although_the_client_still_sends() {
    let burst = echo("body_max_bytes = 1048576");
    for length in ["content-length: 67108864", "transfer-encoding: chunked"] {
        let mut stream = TcpStream::connect(burst.http).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let head = format!("POST /v2/models/echo/infer HTTP/1.1\r\nhost: burst\r\n{length}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        let piece = if length.starts_with("transfer") {
            [b"10000\r\n", vec![b' '; 1 << 16].as_slice(), b"\r\n"].concat()
        } else {
            vec![b' '; 1 << 16]
        };
        for _ in 0..512 {
            stream.write_all(&piece).expect("the connection is open while the client sends");
        }
        let mut answer = Vec::new();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 413 "), "{length}: {answer}");
    }
}

/// A client that begins to read late, and long after connections count as idle.
#[test]
fn a_large_answer_is_not_taken_for_an_idle_connection() {
    const NUMBERS: usize = 4 << 20;
    let burst = echo("header_timeout_ms = 300");
    let mut stream = TcpStream::connect(burst.http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let head = format!(
        r#"{{"parameters":{{"binary_data_output":true}},"inputs":[{{"name":"x","datatype":"FP32","shape":[{NUMBERS}],"parameters":{{"binary_data_size":{}}}}}]}}"#,
        4 * NUMBERS,
    );
    let length = head.len() + 4 * NUMBERS;
    let lines = format!(
        "POST /v2/models/echo/infer HTTP/1.1\r\nhost: burst\r\nconnection: close\r\ncontent-length: {length}\r\ninference-header-content-length: {}\r\n\r\n{head}",
        head.len(),
    );
    stream.write_all(lines.as_bytes()).unwrap();
    stream.write_all(&vec![0; 4 * NUMBERS]).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200 "));
    assert!(answer.len() > 4 * NUMBERS, "{} bytes", answer.len());
}

/// An HTTP/2 connection that was used once.
#[test]
fn an_idle_connection_of_http_2_is_closed() {
    let burst = echo("header_timeout_ms = 500");
    let mut stream = TcpStream::connect(burst.http).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // Settings, then `GET /` in a stream of its own, which ends with its header.
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let fields = [&[0x82, 0x86, 0x84, 0x41, 5][..], b"burst"].concat();
    let header = [&[0, 0, fields.len() as u8, 1, 0x05, 0, 0, 0, 1][..], &fields].concat();
    stream.write_all(&[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &settings[..], &header].concat()).unwrap();
    let mut told = Vec::new();
    stream.read_to_end(&mut told).unwrap();
    let (mut rest, mut kinds) = (told.as_slice(), Vec::new());
    while let [a, b, c, kind, ..] = *rest {
        kinds.push(kind);
        rest = &rest[9 + u32::from_be_bytes([0, a, b, c]) as usize..];
    }
    // An answer, and that the connection goes away.
    assert!(kinds.contains(&1) && kinds.contains(&7), "{kinds:?}");
}

fn refusal(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("burst.toml");
    fs::write(&manifest, text).unwrap();
    let check = Burst::run(&["check", manifest.to_str().unwrap()]);
    assert!(!check.status.success(), "{text}");
    let told = String::from_utf8_lossy(&check.stderr).into_owned();
    assert!(!told.contains("panicked"), "{told}");
    told
}

#[test]
fn wrong_manifests_are_pointed_into() {
    let check = |text: &str, expected: &[&str]| {
        let told = refusal(text);
        expected.iter().for_each(|part| assert!(told.contains(part), "{text}\nhas no `{part}`:\n{told}"));
    };
    check("[guests.a", &["burst.toml:1"]);
    check("[server]\nhttps = 1", &["unknown field", "https", "burst.toml:2"]);
    check(
        "[guests.a]\ncomponent = \"a.wasm\"\npool = { ready = 5, max = 2 }",
        &["ready (5) is above max (2)", "burst.toml:3"],
    );
    check("[guests.a]\ncomponent = \"a.wasm\"\npool.max = 0", &["burst.toml:3"]);
    check("[guests.a]\ncomponent = \"a.wasm\"\ncameras = [\"b\"]", &["there is no camera `b`", "burst.toml:3"]);
    check("[guests.\"a/b\"]\ncomponent = \"a.wasm\"", &["is not a name", "burst.toml:1"]);
    check("[guests.a]\ncomponent = \"a.wasm\"\nlimits.memory_max_bytes = 1000000000000", &["268435456"]);
    check("[cameras.a]\nsource.scene = { fps = 0.0 }", &["fps is at least 0.001"]);
    check("[guests.a]\n", &["component"]);
}

/// A hundred mutations of the demo's manifest: right or refused, never a panic.
#[test]
fn mutated_manifests_never_panic() {
    let good = fs::read_to_string(root().join("guests/demo.toml")).unwrap();
    let mut runner = TestRunner::deterministic();
    let mut wrong = 0;
    for _ in 0..100 {
        let (at, byte) = (any::<prop::sample::Index>(), any::<u8>()).new_tree(&mut runner).unwrap().current();
        let mut text = good.clone().into_bytes();
        let at = at.index(text.len());
        text[at] = byte;
        let directory = tempfile::tempdir().unwrap();
        let manifest = directory.path().join("burst.toml");
        fs::write(&manifest, &text).unwrap();
        let check = Burst::run(&["check", manifest.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&check.stderr).into_owned();
        assert!(matches!(check.status.code(), Some(0 | 1)) && !told.contains("panicked"), "{told}");
        wrong += usize::from(!check.status.success());
    }
    assert!(wrong > 0);
}

fn deploy(bytes: &[u8]) -> Result<(), DeployError> {
    let directory = tempfile::tempdir_in(root().join("target")).unwrap();
    let path = directory.path().join("guest.wasm");
    fs::write(&path, bytes).unwrap();
    let path = Path::new("target").join(directory.path().file_name().unwrap()).join("guest.wasm");
    block_on(House::try_new(path.to_str().unwrap(), "pool = { ready = 1, max = 1 }")).map(drop)
}

#[test]
fn damaged_components_are_refused() {
    let good = fs::read(root().join(guest("echo"))).unwrap();
    deploy(&good).unwrap();
    assert!(matches!(deploy(b""), Err(DeployError::Compile(_))));
    assert!(matches!(deploy(b"\0asm\x01\0\0\0"), Err(DeployError::Compile(_))), "a core module is no component");
    assert!(matches!(deploy(b"\0asm\x0d\0\x01\0"), Err(DeployError::Compile(_))), "an empty component");
    let mut runner = TestRunner::deterministic();
    let mut refused = 0;
    for _ in 0..300 {
        let (at, byte, cut) =
            (any::<prop::sample::Index>(), any::<u8>(), any::<bool>()).new_tree(&mut runner).unwrap().current();
        let mut bytes = good.clone();
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        refused += usize::from(deploy(&bytes).is_err());
    }
    assert!(refused > 150, "{refused} of 300 were refused");
}
