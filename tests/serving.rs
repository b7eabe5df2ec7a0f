//! Unmodified clients get right answers through the socket, and closing loses none.

use crate::support::{Burst, guest, probe, python, root};
use std::{
    fs,
    process::Command,
    thread,
    time::{Duration, Instant},
};

/// tritonclient[http] from PyPI, against the demo's guests.
#[test]
fn tritonclient_gets_metadata_statistics_and_right_digits() {
    let Some(python) = python() else { return };
    let burst = Burst::serve(&root().join("guests/demo.toml"));
    let client = root().join("tests/clients/demo_client.py");
    let output = Command::new(python).arg(client).arg(burst.http.to_string()).current_dir(root()).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    eprintln!("{told}");
}

/// Numbers, headers and encodings as clients write them, right and wrong.
#[test]
fn requests_by_hand_come_back_to_the_bit_or_are_refused() {
    let Some(python) = python() else { return };
    let directory = tempfile::tempdir().unwrap();
    fs::copy(root().join(guest("echo")), directory.path().join("echo.wasm")).unwrap();
    let manifest = directory.path().join("burst.toml");
    let echo = "[guests.echo]\ncomponent = \"echo.wasm\"\ninputs = [{ name = \"x\" }]\noutputs = [{ name = \"y\" }]\n";
    fs::write(&manifest, echo).unwrap();
    let burst = Burst::serve(&manifest);
    let client = root().join("tests/clients/json_client.py");
    let output = Command::new(python).arg(client).arg(burst.http.to_string()).arg("echo").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

/// SIGTERM: no new requests, those in flight are answered, then a clean exit.
#[test]
fn a_terminated_house_answers_what_it_took() {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(root().join(probe("spin")), directory.path().join("spin.wasm")).unwrap();
    let manifest = directory.path().join("burst.toml");
    fs::write(&manifest, "[guests.slow]\ncomponent = \"spin.wasm\"\nlimits.deadline_ms = 1500\n").unwrap();
    let mut burst = Burst::serve(&manifest);
    let in_flight = {
        let http = burst.http;
        thread::spawn(move || {
            let head =
                "POST /v2/models/slow/infer HTTP/1.1\r\nhost: burst\r\ncontent-length: 13\r\nconnection: close\r\n\r\n";
            crate::support::request(http, head, br#"{"inputs":[]}"#)
        })
    };
    thread::sleep(Duration::from_millis(500));
    burst.signal(libc::SIGTERM);
    let started = Instant::now();
    let (status, body) = in_flight.join().unwrap();
    assert_eq!(status, 504, "{body}");
    assert!(burst.child.wait().unwrap().success());
    assert!(started.elapsed() < Duration::from_secs(8), "it drained for {:?}", started.elapsed());
}

#[test]
fn health_listing_and_metrics_are_there() {
    let burst = Burst::serve(&root().join("guests/demo.toml"));
    assert_eq!(burst.get("/v2/health/live").0, 200);
    assert_eq!(burst.get("/v2/health/ready").0, 200);
    let (status, models) = burst.get("/v2/models");
    assert_eq!((status, models.as_str()), (200, r#"{"models":["digits","echo","recommend"]}"#));
    assert_eq!(burst.get("/v2/models/people").0, 404);
    let ps = Burst::run(&["ps", "--json", "--http", &burst.http.to_string()]);
    let listing: serde_json::Value = serde_json::from_slice(&ps.stdout).unwrap();
    assert_eq!(listing["guests"].as_array().unwrap().len(), 4);
    assert!(burst.get_metrics().1.contains("burst_leases{guest=\"echo\",state=\"ready\"} 8"));
}
