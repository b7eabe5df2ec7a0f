//! Every end of a guest is a line in the log: who, why, for which request.

use crate::support::{Burst, root};
use std::fs;

/// A process with one probe, and what it answers to a request of that id.
struct Probe(Burst);

impl Probe {
    fn of(name: &str, limits: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let component = root().join(format!("guests/target/wasm32-unknown-unknown/release/examples/{name}.wasm"));
        fs::copy(component, directory.path().join("probe.wasm")).unwrap();
        let text = format!("[guests.probe]\ncomponent = \"probe.wasm\"\ninputs = [{{ name = \"x\" }}]\n{limits}");
        let manifest = directory.path().join("burst.toml");
        fs::write(&manifest, text).unwrap();
        Self(Burst::serve(&manifest))
    }

    fn ask(&self, id: &str) -> u16 {
        let tensor = r#"{"name":"x","datatype":"FP32","shape":[1],"data":[1]}"#;
        self.0.post("/v2/models/probe/infer", &format!(r#"{{"id":"{id}","inputs":[{tensor}]}}"#)).0
    }
}

#[test]
fn a_panic_is_logged_with_the_request_and_where_it_was() {
    let probe = Probe::of("panic", "");
    assert_eq!(probe.ask("order-66"), 500);
    let lines = probe.0.logged(&["a guest ended", "order-66"]);
    assert_eq!(lines.len(), 1);
    for word in ["guest=\"probe\"", "reason=\"trapped\"", "it panicked", "unreachable"] {
        assert!(lines[0].contains(word), "{word}: {}", lines[0]);
    }
}

#[test]
fn a_deadline_is_logged() {
    let probe = Probe::of("spin", "limits.deadline_ms = 100\n");
    assert_eq!(probe.ask("late"), 504);
    assert_eq!(probe.0.logged(&["a guest ended", "late", "reason=\"timed-out\""]).len(), 1);
}

#[test]
fn a_limit_is_logged() {
    let probe = Probe::of("memory", "limits.memory_max_bytes = 4194304\n");
    assert_eq!(probe.ask("greedy"), 500);
    assert_eq!(probe.0.logged(&["a guest ended", "greedy", "reason=\"over-limit\""]).len(), 1);
}

#[test]
fn a_burst_of_panics_is_one_line_a_second() {
    let probe = Probe::of("panic", "");
    let started = std::time::Instant::now();
    (0..200).for_each(|_| assert_eq!(probe.ask("again"), 500));
    let lines = probe.0.logged(&["a guest ended"]).len() as u64;
    assert!((1..=started.elapsed().as_secs() + 2).contains(&lines), "{lines} lines");
    let (_, metrics) = probe.0.get_metrics();
    let counted = r#"burst_retired_total{guest="probe",reason="trapped"} 200"#;
    assert!(metrics.contains(counted), "{metrics}");
}
