//! Clients from the field, as they are: Triton's Python client and Prometheus' parser.

use crate::fake::House;
use std::{
    env,
    path::Path,
    process::{Command, Output, Stdio},
};

/// Runs a script of `tests/clients` against a server. Without the Python package it only says so, except under CI.
async fn check(script: &str, package: &str) {
    let python = env::var("BURST_PYTHON").unwrap_or_else(|_| "python3".into());
    let import = run(Command::new(&python).args(["-c", &format!("import {package}")])).await;
    if !import.is_ok_and(|output| output.status.success()) {
        assert!(env::var_os("CI").is_none(), "{python} has no {package}");
        println!("skipped: {python} has no {package}; set BURST_PYTHON");
        return;
    }
    let house = House::open().await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/clients").join(script);
    let ran = run(Command::new(&python).arg(&script).arg(house.address.to_string())).await.unwrap();
    let said = [ran.stdout, ran.stderr].concat();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&said));
}

async fn run(command: &mut Command) -> std::io::Result<Output> {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    tokio::task::spawn_blocking(|| child.wait_with_output()).await.unwrap()
}

#[tokio::test]
async fn tritonclient_works_unmodified() {
    check("oip_client.py", "tritonclient.http").await;
}

#[tokio::test]
async fn prometheus_parses_the_metrics() {
    check("metrics_client.py", "prometheus_client").await;
}
