//! While silent: no CPU, no wake-ups, little memory.

use crate::support::Burst;
use std::{collections::BTreeMap, ffi::OsString, fs, thread, time::Duration};

/// CPU time of a process, in clock ticks of 10 ms.
fn cpu_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// How often each thread of a process waited: once for every time that it woke up.
fn waits(pid: u32) -> BTreeMap<OsString, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap().map(|task| task.unwrap());
    tasks
        .filter_map(|task| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let count = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
            Some((task.file_name(), count.trim().parse().ok()?))
        })
        .collect()
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
    // Threads of the start-up end within ten seconds.
    thread::sleep(Duration::from_secs(12));
    let pid = burst.child.id();
    let (cpu, before) = (cpu_ticks(pid), waits(pid));
    thread::sleep(Duration::from_secs(10));
    let cpu = cpu_ticks(pid) - cpu;
    let woken = |(thread, count): (&OsString, &u64)| waits(pid).get(thread).map_or(0, |now| now - count);
    let woken: u64 = before.iter().map(woken).sum();
    assert!(cpu <= 1, "{cpu} ticks of CPU in ten silent seconds");
    assert!(woken <= 5, "{woken} wake-ups in ten silent seconds");
    assert!(burst.get("/metrics").1.contains("burst_leases{guest=\"echo\",state=\"ready\"} 200"));
}
