//! Runs whose shapes, or whose numbers, are not known before them.

use super::Budgeted;
use crate::{conformance::Sketch, cpu::CpuAccelerator};
use burst_host::{
    nouns::{Account, Element, Fault, Tensor, manifest::Limits},
    ports::{Accelerator, Program},
};
use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

fn account(operations_max: u64) -> Account {
    Account { tensor_max_bytes: 1 << 20, graph_operations_max: operations_max, ..Account::of(&Limits::default()) }
}

fn accelerator(account: &Account) -> Arc<dyn Accelerator> {
    let cpu = CpuAccelerator::new(NonZeroUsize::new(1).unwrap()).unwrap();
    Budgeted::new(Arc::new(cpu), true).for_account(account)
}

fn floats(extents: [usize; 2]) -> Tensor {
    Tensor::from_slice(Element::Fp32, extents, &vec![1.0f32; extents[0] * extents[1]]).unwrap()
}

fn long(number: i64) -> Tensor {
    Tensor::from_slice(Element::I64, [1], &[number]).unwrap()
}

async fn run(program: &Arc<dyn Program>, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    program.run(inputs.to_vec(), Instant::now() + Duration::from_secs(60)).await
}

fn refused(answer: Result<Vec<Tensor>, Fault>, parts: &[&str]) {
    match answer {
        Err(Fault::TooLarge(text)) => parts.iter().for_each(|part| assert!(text.contains(part), "{text}")),
        other => panic!("{parts:?}: {other:?}"),
    }
}

#[tokio::test]
async fn open_extents_are_counted_by_each_run() {
    let sketch = Sketch::new("outer").input("a", Element::Fp32, "N 1").input("b", Element::Fp32, "1 N");
    let graph = sketch.op("MatMul", "a b", "y").output("y").graph();
    let program = accelerator(&account(1 << 20)).load(&graph).await.unwrap();
    for _ in 0..2 {
        assert!(run(&program, &[floats([4, 1]), floats([1, 4])]).await.is_ok());
        let large = run(&program, &[floats([1024, 1]), floats([1, 1024])]).await;
        refused(large, &["`MatMul` of `y` gives 4194304 bytes", "limits.tensor_max_bytes = 1048576"]);
    }
    let poor = program.for_account(&account(8));
    let many = run(&poor, &[floats([4, 1]), floats([1, 4])]).await;
    refused(many, &["`MatMul` of `y` brings the graph to 16 operations", "limits.graph_operations_max = 8"]);
}

#[tokio::test]
async fn numbers_that_decide_are_counted_by_each_run() {
    let sketch = Sketch::new("filled").input("x", Element::Fp32, "1 1").input("s", Element::I64, "1");
    let graph = sketch.op("ConstantOfShape", "s", "z").op("Add", "x z", "y").output("y").graph();
    let program = accelerator(&account(1 << 30)).load(&graph).await.unwrap();
    for _ in 0..2 {
        for length in [3, 5] {
            let answer = run(&program, &[floats([1, 1]), long(length)]).await.unwrap();
            assert_eq!(answer[0].spec().shape.extents(), [1, length as usize]);
        }
        let large = run(&program, &[floats([1, 1]), long(1 << 20)]).await;
        refused(large, &["`ConstantOfShape` of `z` gives 4194304 bytes"]);
    }
}

#[tokio::test]
async fn what_is_held_together_is_counted() {
    let sketch = Sketch::new("sum").input("x", Element::Fp32, "256 256");
    let graph = sketch.op("Neg", "x", "a").op("Abs", "x", "b").op("Add", "a b", "y").output("y").graph();
    let bytes = burst_host::nouns::Ledger::new("device_max_bytes", 3 << 18);
    let enough = Account { bytes, ..account(1 << 30) };
    assert!(accelerator(&enough).load(&graph).await.is_ok());
    let bytes = burst_host::nouns::Ledger::new("device_max_bytes", (3 << 18) - 1);
    let refusal = accelerator(&Account { bytes, ..account(1 << 30) }).load(&graph).await.map(drop);
    let expected = "`Add` of `y` brings the graph to 786432 bytes, more than limits.device_max_bytes = 786431";
    assert_eq!(refusal, Err(Fault::TooLarge(expected.into())));
}

/// Printed, and bounded as far as a busy machine lets it be.
#[tokio::test]
async fn counting_takes_no_time_of_a_run() {
    let sketch = Sketch::new("chain").input("v0", Element::Fp32, "N 16");
    let op = |sketch: Sketch, at: usize| sketch.op("Relu", &format!("v{at}"), &format!("v{}", at + 1));
    let graph = (0..200).fold(sketch, op).output("v200").graph();
    let cpu = CpuAccelerator::new(NonZeroUsize::new(1).unwrap()).unwrap();
    let bare = cpu.load(&graph).await.unwrap();
    let budgeted = accelerator(&account(1 << 40)).load(&graph).await.unwrap();
    let timed = async |program: &Arc<dyn Program>, rows: usize| {
        let input = [floats([rows, 16])];
        let start = Instant::now();
        run(program, &input).await.unwrap();
        start.elapsed()
    };
    let mut best = [Duration::MAX; 3];
    for at in 0..40 {
        best[0] = best[0].min(timed(&bare, 4).await);
        best[1] = best[1].min(timed(&budgeted, 4).await);
        let skeleton = crate::cost::Skeleton::of(&graph, true, &crate::cost::Budget::unlimited()).unwrap();
        let value = crate::cost::Value::of_spec(floats([at + 1, 16]).spec());
        let start = Instant::now();
        skeleton.cost(vec![value], &crate::cost::Budget::unlimited()).unwrap();
        best[2] = best[2].min(start.elapsed());
    }
    println!("a run of 200 operators: {:?} bare, {:?} budgeted; counted in {:?}", best[0], best[1], best[2]);
    assert!(best[2] < Duration::from_millis(5), "{best:?}");
}
