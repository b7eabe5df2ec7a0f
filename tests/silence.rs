//! While silent: no CPU, no wake-ups, little memory.

use crate::support::Burst;
use std::{fs, thread, time::Duration};

/// CPU time of all threads of a process, in clock ticks of 10 ms, and its voluntary context switches.
fn usage(pid: u32) -> (u64, u64) {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    let mut switches = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task")).unwrap() {
        let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        switches += line.and_then(|count| count.trim().parse::<u64>().ok()).unwrap_or(0);
    }
    (ticks, switches)
}

#[test]
fn a_silent_house_does_not_wake_up() {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(crate::support::root().join(crate::support::guest("echo")), directory.path().join("echo.wasm")).unwrap();
    let manifest = directory.path().join("burst.toml");
    fs::write(&manifest, "[guests.echo]\ncomponent = \"echo.wasm\"\npool = { ready = 200, max = 200 }\n").unwrap();
    let burst = Burst::serve(&manifest);
    let body = r#"{"inputs":[{"name":"x","datatype":"INT64","shape":[1],"data":[7]}]}"#;
    for _ in 0..50 {
        assert_eq!(burst.post("/v2/models/echo/infer", body).0, 200);
    }
    thread::sleep(Duration::from_secs(2));
    let before = usage(burst.child.id());
    thread::sleep(Duration::from_secs(10));
    let after = usage(burst.child.id());
    assert!(after.0 - before.0 <= 1, "{} ticks of CPU in ten silent seconds", after.0 - before.0);
    assert!(after.1 - before.1 <= 5, "{} wake-ups in ten silent seconds", after.1 - before.1);
    assert!(burst.get("/metrics").1.contains("burst_leases{guest=\"echo\",state=\"ready\"} 200"));
}
