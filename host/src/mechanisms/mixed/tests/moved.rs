//! A pipeline over accelerators whose memories are apart.

use super::fake::{Fake, number};
use crate::{
    mechanisms::{mixed::Mix, pipeline::Pipeline},
    nouns::{Account, Digest, Fault, Fragment, Memory, Plan, Tensor},
    ports::{Accelerator, Program},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Fragments `f0`, `f1`, …, by what they take and yield.
fn plan(fragments: &[(&[&str], &[&str])], outputs: &[&str]) -> Plan {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
    let fragment = |(index, (inputs, outputs)): (usize, &(&[&str], &[&str]))| Fragment {
        name: format!("f{index}"),
        model: Digest::of(b"model"),
        component: Digest::of(b"guest"),
        inputs: words(inputs),
        outputs: words(outputs),
        blobs: Vec::new(),
        ops: 1,
        memory: Memory::default(),
        received_bytes: 4,
    };
    Plan {
        version: Plan::VERSION,
        model: "m".into(),
        inputs: words(&["x"]),
        outputs: words(outputs),
        micro_batch: None,
        fragments: fragments.iter().enumerate().map(fragment).collect(),
    }
}

fn mixed(plan: &Plan, on: [&Fake; 2], programs: Vec<Arc<dyn Program>>, chosen: &[usize]) -> Arc<Pipeline> {
    let pipeline = Pipeline::new(plan, programs, on[0].describe().clone()).unwrap();
    let accelerators: Vec<Arc<dyn Accelerator>> = vec![Arc::new(on[0].clone()), Arc::new(on[1].clone())];
    Arc::new(pipeline.over(Mix::new(accelerators, chosen.to_vec(), Vec::new())))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

const AB: (&[&str], &[&str]) = (&["x"], &["a", "b"]);
const C: (&[&str], &[&str]) = (&["a", "x"], &["c"]);
const D: (&[&str], &[&str]) = (&["a", "b", "c"], &["d"]);

fn programs(on: [&Fake; 3]) -> Vec<Arc<dyn Program>> {
    let program = |on: &Fake, (takes, yields): (&[&str], &[&str]), more| on.sum(takes, yields, more);
    vec![program(on[0], AB, 1.0), program(on[1], C, 10.0), program(on[2], D, 100.0)]
}

#[tokio::test]
async fn each_value_is_moved_once_to_who_takes_it() {
    let (one, two) = (Fake::new("one"), Fake::new("two"));
    let plan = plan(&[AB, C, D], &["a", "d"]);
    for (chosen, expected) in [
        ([0, 0, 0], [(1, 0), (0, 0)]),
        // `a` and `d` are left in host memory.
        ([1, 1, 1], [(0, 0), (1, 2)]),
        // `a` and `x` there, `c` back.
        ([0, 1, 0], [(2, 1), (2, 1)]),
        // `x` up, then all of them down.
        ([0, 0, 1], [(1, 3), (3, 1)]),
        ([1, 0, 1], [(2, 1), (2, 2)]),
    ] {
        let programs = programs(chosen.map(|at: usize| if at == 0 { &one } else { &two }));
        let program = mixed(&plan, [&one, &two], programs, &chosen);
        for program in [program.clone() as Arc<dyn Program>, program.for_account(&Account::unlimited())] {
            let (outputs, device) = program.run_told(vec![number(1.0)], soon()).await.unwrap();
            assert_eq!([one.moved(), two.moved()], expected, "{chosen:?}");
            let mut found = Vec::new();
            for output in &outputs {
                // The caller knows the first one only.
                found.push(one.download(output).await.unwrap().to_vec::<f32>().unwrap()[0]);
            }
            one.moved();
            assert_eq!(found, [2.0, 2.0 + 2.0 + (2.0 + 1.0 + 10.0) + 100.0]);
            let names: Vec<_> = device.name.split(" + ").collect();
            assert_eq!(names.len(), if chosen == [0; 3] || chosen == [1; 3] { 1 } else { 2 }, "{device}");
            assert_eq!(program.device(), &device);
        }
    }
}

#[tokio::test]
async fn inputs_may_be_on_the_first_accelerator() {
    let (one, two) = (Fake::new("one"), Fake::new("two"));
    let program = mixed(&plan(&[AB, C, D], &["d"]), [&one, &two], programs([&two, &one, &two]), &[1, 0, 1]);
    let there = one.upload(number(1.0)).await.unwrap();
    let again = program.run(vec![there], soon()).await.unwrap().remove(0);
    let once_more = program.run(vec![again], soon()).await.unwrap().remove(0);
    // Four times the input and 113 each time.
    assert_eq!(one.download(&once_more).await.unwrap().to_vec::<f32>(), Some(vec![4.0 * 117.0 + 113.0]));
}

#[tokio::test]
async fn faults_name_the_fragment_and_keep_their_type() {
    let (one, two) = (Fake::new("one"), Fake::new("two"));
    let plan = plan(&[(&["x"], &["a"]), (&["a"], &["y"])], &["y"]);
    let check = async |fault: Fault, expected: Fault| {
        let programs = vec![one.sum(&["x"], &["a"], 0.0), two.failing(&["a"], &["y"], fault)];
        let program = mixed(&plan, [&one, &two], programs, &[0, 1]);
        assert_eq!(program.run(vec![number(1.0)], soon()).await.map(drop), Err(expected));
    };
    check(Fault::Unsupported("Loop".into()), Fault::Unsupported("fragment `f1`: Loop".into())).await;
    check(Fault::Invalid("index".into()), Fault::Invalid("fragment `f1`: index".into())).await;
    check(Fault::OutOfMemory, Fault::OutOfMemory).await;
    check(Fault::TimedOut, Fault::TimedOut).await;
}

#[tokio::test]
async fn a_value_of_no_accelerator_is_a_fault() {
    let (one, two) = (Fake::new("one"), Fake::new("two"));
    let plan = plan(&[(&["x"], &["y"])], &["y"]);
    let program = mixed(&plan, [&one, &two], vec![one.sum(&["x"], &["y"], 0.0)], &[2]);
    let faulty = program.run(vec![number(1.0)], soon()).await.map(|outputs: Vec<Tensor>| outputs.len());
    assert!(matches!(faulty, Err(Fault::Invalid(_))), "{faulty:?}");
}
