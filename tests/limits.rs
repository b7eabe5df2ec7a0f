//! A guest that misbehaves is stopped, its lease retired, and a neighbour unharmed.

use crate::support::{House, block_on, guest, int64, numbers, probe, root, uint8};
use burst_adapters::onnx;
use burst_host::{
    loops::serve::ServeError,
    mechanisms::statistics::Retired,
    nouns::{Element, Extent, Graph, Op, Opset, Port, Tensor},
};
use std::fs;

const QUICK: &str = "limits.deadline_ms = 300\npool = { ready = 2, max = 4 }";

/// Asks a probe a few times while `echo` answers beside it; every time the same error, and the pool recovers.
fn check(name: &str, rest: &str, inputs: &[(&str, Tensor)], expected: &ServeError, reason: Retired) {
    const TIMES: u64 = 6;
    block_on(async {
        let bad = House::new(&probe(name), rest).await;
        let neighbour = House::new(&guest("echo"), "limits.deadline_ms = 30000").await;
        for round in 0..TIMES {
            let x = [("x", uint8(&[round as u8]))];
            let (refused, answered) = tokio::join!(bad.ask(inputs), neighbour.ask(&x));
            assert_eq!(&refused.unwrap_err(), expected, "{name}");
            assert_eq!(numbers::<u8>(&answered.unwrap(), "y"), [round as u8]);
        }
        bad.settle().await;
        assert_eq!(bad.deployment.statistics.retired(reason), TIMES, "{name} retires as {reason:?}");
        assert_eq!(bad.deployment.statistics.fail.count(), TIMES);
    });
}

#[test]
fn endless_loops_end_at_the_deadline() {
    check("spin", QUICK, &[], &ServeError::TimedOut, Retired::TimedOut);
}

#[test]
fn copies_that_no_epoch_interrupts_end_soon_after_it() {
    check("memory-copy", QUICK, &[], &ServeError::TimedOut, Retired::TimedOut);
}

#[test]
fn panics_are_answered_without_their_text() {
    check("panic", QUICK, &[], &ServeError::Failed("it panicked"), Retired::Trapped);
}

#[test]
fn the_stack_has_an_end() {
    check("stack", "", &[], &ServeError::Failed("its stack overflowed"), Retired::Trapped);
}

#[test]
fn memory_has_an_end() {
    let rest = "limits = { memory_max_bytes = 33554432, deadline_ms = 30000 }";
    check("memory", rest, &[], &ServeError::Failed("it asked for more memory than it may have"), Retired::OverLimit);
}

#[test]
fn nothing_outside_memory_is_reached() {
    check("oob", "", &[], &ServeError::Failed("it reached outside its memory"), Retired::Trapped);
}

#[test]
fn a_forged_handle_is_refused() {
    check("wrong-handle", "", &[], &ServeError::Failed("it broke the contract of a call"), Retired::Trapped);
}

#[test]
fn too_much_in_one_call_is_refused() {
    let rest = "limits = { call_max_bytes = 1048576, deadline_ms = 30000 }";
    let bytes = |count| [("bytes", int64(&[count]))];
    let failed = ServeError::Failed("it handed over more than call_max_bytes at once");
    check("big-call", rest, &bytes(2 << 20), &failed, Retired::Trapped);
    block_on(async {
        let house = House::new(&probe("big-call"), rest).await;
        assert_eq!(numbers::<i64>(&house.ask(&bytes(1 << 19)).await.unwrap(), "uploaded"), [1 << 19]);
    });
}

/// Handles and tensor bytes run out as faults that the guest sees and can tell.
#[test]
fn handles_and_tensor_bytes_run_out_as_faults() {
    block_on(async {
        let house = House::new(&probe("handles"), "limits.handles_max = 100").await;
        let ServeError::Refused(text) = house.ask(&[]).await.unwrap_err() else { panic!("not a refusal") };
        assert!(text.contains("handles_max"), "{text}");
        let house = House::new(&probe("tensors"), "limits.tensor_max_bytes = 67108864").await;
        let ServeError::Refused(text) = house.ask(&[]).await.unwrap_err() else { panic!("not a refusal") };
        assert!(text.contains("tensor_max_bytes"), "{text}");
        house.settle().await;
        assert_eq!(house.deployment.statistics.retired(Retired::Used), 1);
    });
}

/// A request larger than the guest's quota is the client's mistake, told as such.
#[test]
fn a_request_over_quota_is_invalid() {
    block_on(async {
        let house = House::new(&guest("echo"), "limits.tensor_max_bytes = 1000").await;
        let error = house.ask(&[("x", uint8(&[0; 1001]))]).await.unwrap_err();
        assert!(matches!(&error, ServeError::Invalid(text) if text.contains("tensor_max_bytes")), "{error}");
        assert!(house.ask(&[("x", uint8(&[0; 1000]))]).await.is_ok());
    });
}

/// A guest that waits for the host is stopped as well, and what it makes of the graph's fault is no refusal.
#[test]
fn the_deadline_holds_inside_host_calls() {
    let (_directory, models, x) = slow_model();
    check("slow-graph", &format!("{QUICK}\n{models}"), &[("x", x)], &ServeError::TimedOut, Retired::TimedOut);
}

/// The directory of a model that takes its time, the line of a manifest that names it, and its input.
pub fn slow_model() -> (tempfile::TempDir, String, Tensor) {
    let directory = tempfile::tempdir_in(root().join("target")).unwrap();
    let model = directory.path().join("slow.onnx");
    fs::write(&model, onnx::encode(&product()).unwrap()).unwrap();
    let models = format!("models.slow = {:?}", model.strip_prefix(root()).unwrap().display().to_string());
    (directory, models, Tensor::from_slice(Element::Fp32, [256, 256], &vec![1e-3f32; 1 << 16]).unwrap())
}

/// `y = x x`.
fn product() -> Graph {
    let port = |name: &str| Port {
        name: name.into(),
        element: Some(Element::Fp32),
        shape: Some(vec![Extent::Fixed(256); 2]),
        optional: false,
    };
    let op = Op {
        name: String::new(),
        kind: "MatMul".into(),
        domain: String::new(),
        inputs: vec!["x".into(), "x".into()],
        outputs: vec!["y".into()],
        attributes: Vec::new(),
    };
    Graph {
        name: "product".into(),
        ir_version: 8,
        opsets: vec![Opset { domain: String::new(), version: 17 }],
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        ops: vec![op],
        ..Graph::default()
    }
}

#[test]
fn a_refusal_is_the_guests_own_word() {
    block_on(async {
        let house = House::new(&probe("refuse"), "").await;
        assert_eq!(house.ask(&[]).await.unwrap_err(), ServeError::Refused("no".into()));
        house.settle().await;
        assert_eq!(house.deployment.statistics.retired(Retired::Used), 1);
    });
}
