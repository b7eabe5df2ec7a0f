//! What ready guests cost while nobody asks: CPU, wake-ups, memory.

use crate::{
    CROWD, manifest,
    report::{self, Flags, Report, Row},
    support::Burst,
};
use std::{collections::BTreeMap, ffi::OsString, fs, time::Duration};

/// Ready guests of each house. The first is what memory is compared with.
const READY: [usize; 4] = [1, 100, CROWD, 5_000];

/// By thread: nanoseconds on a core, and how often it waited, once for every time that it woke up.
type Threads = BTreeMap<OsString, [u64; 2]>;

pub fn measure(flags: &Flags, report: &mut Report) {
    let manifests = READY.map(|ready| manifest(&format!("{{ ready = {ready}, max = {ready} }}"), ""));
    let houses = manifests.each_ref().map(|(_, manifest)| Burst::serve(manifest));
    let body = r#"{"inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1]}]}"#;
    for house in &houses {
        (0..50).for_each(|_| assert_eq!(house.post("/v2/models/echo/infer", body).0, 200));
    }
    // Threads of the start-up end within ten seconds.
    report::silence(Duration::from_secs(12));
    let before = houses.each_ref().map(threads);
    let window = crate::window(flags);
    report::silence(window);
    let after = houses.each_ref().map(threads);
    let minutes = window.as_secs_f64() / 60.0;
    for (index, ready) in READY.into_iter().enumerate() {
        assert!(!before[index].is_empty(), "/proc tells nothing of threads; is schedstat compiled into the kernel?");
        let [nanoseconds, waits] = spent(&before[index], &after[index]);
        let metric = |name| named(name, ready);
        report.add(Row::alone(metric("silent_cpu_ms_per_min"), "ms", nanoseconds as f64 / 1e6 / minutes, 1));
        report.add(Row::alone(metric("silent_wakeups_per_min"), "1/min", waits as f64 / minutes, 1));
    }
    let memory = houses.each_ref().map(memory);
    for (index, ready) in READY.into_iter().enumerate().skip(1) {
        let names = ["ready_lease_kib", "ready_lease_private_kib", "ready_lease_pagetable_kib", "ready_lease_mappings"];
        let units = ["KiB", "KiB", "KiB", "of max_map_count"];
        for (at, (name, unit)) in names.into_iter().zip(units).enumerate() {
            let each = (memory[index][at] - memory[0][at]) / (ready - READY[0]) as f64;
            report.add(Row::alone(named(name, ready), unit, each, 1));
        }
    }
    report.add(Row::alone("house_kib_r1", "KiB", memory[0][0], 1));
}

/// The plain name belongs to the promise: a thousand.
fn named(metric: &str, ready: usize) -> String {
    if ready == CROWD { metric.into() } else { format!("{metric}_r{ready}") }
}

fn threads(house: &Burst) -> Threads {
    let tasks = fs::read_dir(format!("/proc/{}/task", house.child.id())).unwrap().map(|task| task.unwrap());
    tasks
        .filter_map(|task| {
            let running = fs::read_to_string(task.path().join("schedstat")).ok()?;
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            let waits = field(&status, "voluntary_ctxt_switches:")?;
            Some((task.file_name(), [running.split_whitespace().next()?.parse().ok()?, waits]))
        })
        .collect()
}

/// Summed over the threads; one that has ended did so before the silence.
fn spent(before: &Threads, after: &Threads) -> [u64; 2] {
    let none = [0, 0];
    after.iter().fold(none, |sum, (thread, now)| {
        let then = before.get(thread).unwrap_or(&none);
        [sum[0] + now[0] - then[0], sum[1] + now[1] - then[1]]
    })
}

/// The proportional share of what is mapped, what nobody shares and was written, and the kernel's page tables, in KiB;
/// then how many mappings there are, of which the kernel allows a process `vm.max_map_count`.
fn memory(house: &Burst) -> [f64; 4] {
    let pid = house.child.id();
    let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let (rollup, status) = (read("smaps_rollup"), read("status"));
    let kib = |text: &str, key| field(text, key).expect(key) as f64;
    [kib(&rollup, "Pss:"), kib(&rollup, "Private_Dirty:"), kib(&status, "VmPTE:"), read("maps").lines().count() as f64]
}

/// The number behind a key at the start of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(key))?.split_whitespace().next()?.parse().ok()
}
