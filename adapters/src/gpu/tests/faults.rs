//! What a holder has of the device is booked, bounded and given back; what was lost comes again.

use super::{
    super::{GpuAccelerator, Options, Wanted},
    open,
};
use crate::conformance::Sketch;
use burst_host::{
    nouns::{Account, Element, Fault, Ledger, Tensor},
    ports::{Accelerator, Program},
};
use std::{
    num::NonZeroUsize,
    sync::Arc,
    time::{Duration, Instant},
};

const MIB: usize = 1 << 20;

fn account(bytes: usize, runs: usize) -> Account {
    let (bytes, runs) = (Ledger::new("device_max_bytes", bytes), Ledger::new("device_runs_max", runs));
    Account { bytes, runs, ..Account::unlimited() }
}

fn floats(count: usize) -> Tensor {
    Tensor::from_slice(Element::Fp32, [count], &vec![2.5f32; count]).unwrap()
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// `y = x + w`, with a constant of so many floats.
pub async fn sum(accelerator: &dyn Accelerator, count: usize) -> Result<Arc<dyn Program>, Fault> {
    let sketch = Sketch::new("sum").input("x", Element::Fp32, &count.to_string()).constant("w", floats(count));
    accelerator.load(&sketch.op("Add", "x w", "y").output("y").graph()).await
}

pub async fn check_sum(accelerator: &dyn Accelerator, program: &Arc<dyn Program>, count: usize) {
    let y = program.run(vec![floats(count)], soon()).await.unwrap().remove(0);
    let y = accelerator.download(&y).await.unwrap();
    assert_eq!(y.to_vec::<f32>().unwrap(), vec![5.0; count]);
}

#[tokio::test]
async fn tensors_are_booked_before_they_are_there_and_given_back() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let account = account(MIB, 4);
    let guest = accelerator.for_account(&account);
    let half = guest.upload(floats(MIB / 8)).await.unwrap();
    assert_eq!(account.bytes.held(), MIB / 2);
    let refused = guest.upload(floats(MIB / 4)).await;
    assert!(matches!(&refused, Err(Fault::TooLarge(text)) if text.contains("device_max_bytes")), "{refused:?}");
    assert_eq!(account.bytes.held(), MIB / 2, "a refusal books nothing");
    let again = half.clone();
    drop(half);
    assert_eq!(account.bytes.held(), MIB / 2, "a clone is the same memory");
    drop(again);
    assert_eq!(account.bytes.held(), 0);
    assert!(accelerator.held_bytes() >= Some(MIB as u64 / 2), "the buffer is kept for the next tensor");
}

#[tokio::test]
async fn weights_and_plans_are_on_the_account_that_loads_and_results_on_the_one_that_runs() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let (loads, runs) = (account(64 * MIB, 4), account(MIB, 4));
    let program = sum(&*accelerator.for_account(&loads), MIB / 8).await.unwrap();
    let model = loads.bytes.held();
    let parameters = model - MIB / 2;
    assert!((1..1000).contains(&parameters), "its weight and a little: inputs and outputs are bound where they are");
    assert_eq!(program.held_bytes(), model as u64);
    let results = program.clone().for_account(&runs).run(vec![floats(MIB / 8)], soon()).await.unwrap();
    assert_eq!((loads.bytes.held(), runs.bytes.held()), (model, MIB / 2));
    drop(results);
    assert_eq!(runs.bytes.held(), 0);
    drop(program);
    assert_eq!(loads.bytes.held(), 0);
    let refused = sum(&*accelerator.for_account(&runs), MIB).await.map(drop);
    assert!(matches!(refused, Err(Fault::TooLarge(_))), "{refused:?}");
    assert_eq!(runs.bytes.held(), 0, "what could not be loaded holds nothing");
}

#[tokio::test]
async fn runs_leave_nothing_behind() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let program = sum(&accelerator, 1000).await.unwrap();
    let mut before = None;
    for run in 0..300 {
        check_sum(&accelerator, &program, 1000).await;
        if run == 100 {
            before = Some((accelerator.held_bytes(), accelerator.allocations()));
        }
    }
    assert_eq!(before, Some((accelerator.held_bytes(), accelerator.allocations())));
}

#[tokio::test]
async fn a_full_device_says_so_and_idle_buffers_make_room() {
    let Some(_) = open("llvmpipe").await else { return };
    let options = Options { max_bytes: NonZeroUsize::new(MIB), ..Options::default() };
    let accelerator = GpuAccelerator::open_with(&Wanted::Named("llvmpipe".into()), options).await.unwrap();
    let held = accelerator.upload(floats(MIB / 8)).await.unwrap();
    assert_eq!(accelerator.upload(floats(MIB / 4)).await.map(drop), Err(Fault::OutOfMemory));
    drop(held);
    // Half of the device is an idle buffer, of a size that does not fit.
    let whole = accelerator.upload(floats(MIB / 4)).await.unwrap();
    assert_eq!(accelerator.held_bytes(), Some(MIB as u64));
    drop(whole);
}

#[tokio::test]
async fn a_tensor_above_the_largest_binding_is_refused() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let bytes = Tensor::from_slice(Element::U8, [129 * MIB], &vec![0u8; 129 * MIB]).unwrap();
    let refused = accelerator.upload(bytes).await.map(drop);
    assert!(matches!(&refused, Err(Fault::TooLarge(text)) if text.contains("134217728")), "{refused:?}");
}

#[tokio::test]
async fn a_lost_device_is_opened_again_and_models_are_loaded_again() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let account = account(64 * MIB, 4);
    let guest = accelerator.for_account(&account);
    let program = sum(&*guest, 1000).await.unwrap();
    for _ in 0..3 {
        check_sum(&*guest, &program, 1000).await;
        let x = guest.upload(floats(1000)).await.unwrap();
        let y = program.run(vec![x.clone()], soon()).await.unwrap().remove(0);
        accelerator.lose();
        let answer = guest.download(&y).await.map(drop);
        assert_eq!(answer, Err(Fault::DeviceLost), "what was on it is gone");
        let answer = program.run(vec![x], soon()).await.map(drop);
        assert_eq!(answer, Err(Fault::DeviceLost), "an input that was on it is gone");
    }
    check_sum(&*guest, &program, 1000).await;
    drop(program);
    assert_eq!((account.bytes.held(), account.runs.held()), (0, 0));
}

#[tokio::test]
async fn what_the_host_has_is_computed_again_in_the_same_run() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let program = sum(&accelerator, 1000).await.unwrap();
    check_sum(&accelerator, &program, 1000).await;
    accelerator.lose();
    check_sum(&accelerator, &program, 1000).await;
}

/// Seconds of work stand for work without an end: whoever waits is told, and the next one is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_does_not_finish_is_given_up() {
    let Some(_) = open("llvmpipe").await else { return };
    let options = Options { patience: Some(Duration::from_millis(200)), ..Options::default() };
    let accelerator = GpuAccelerator::open_with(&Wanted::Named("llvmpipe".into()), options).await.unwrap();
    let short = sum(&accelerator, 1000).await.unwrap();
    let long = endless(&accelerator).await;
    let account = account(64 * MIB, 16);
    let long = long.for_account(&account);
    let x = Tensor::from_slice(Element::Fp32, [SIDE, SIDE], &vec![1e-3f32; SIDE * SIDE]).unwrap();
    let answers = (0..4).map(|_| async {
        let y = long.run(vec![x.clone()], soon()).await?.remove(0);
        accelerator.download(&y).await.map(drop)
    });
    let begun = Instant::now();
    for answer in futures::future::join_all(answers).await {
        assert_eq!(answer, Err(Fault::DeviceLost));
    }
    assert_eq!((account.bytes.held(), account.runs.held()), (0, 0));
    // What still runs on the device that was given up leaves less of the machine to the next one.
    let answered = async {
        while short.run(vec![floats(1000)], soon()).await.is_err() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no answer after the device was given up");
        }
    };
    answered.await;
}

const SIDE: usize = 1024;

/// Products of matrices, one after the other: seconds of work.
async fn endless(accelerator: &dyn Accelerator) -> Arc<dyn Program> {
    let side = SIDE.to_string();
    let mut sketch = Sketch::new("endless").input("x", Element::Fp32, &format!("{side} {side}"));
    let names: Vec<String> = (0..30).map(|step| format!("y{step}")).collect();
    let mut last = "x";
    for name in &names {
        sketch = sketch.op("MatMul", &format!("{last} x"), name);
        last = name;
    }
    accelerator.load(&sketch.output(last).graph()).await.unwrap()
}

#[tokio::test]
async fn a_run_that_is_dropped_on_its_way_leaves_nothing() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let (model, account) = (account(64 * MIB, 4), account(64 * MIB, 1));
    let program = sum(&*accelerator.for_account(&model), 1000).await.unwrap().for_account(&account);
    for polls in 0..8 {
        let mut run = program.run(vec![floats(1000)], soon());
        for _ in 0..polls {
            if futures::poll!(&mut run).is_ready() {
                break;
            }
        }
    }
    let late = program.run(vec![floats(1000)], Instant::now()).await.map(drop);
    assert_eq!(late, Err(Fault::TimedOut));
    assert_eq!(account.bytes.held(), 0);
    check_sum(&accelerator, &program, 1000).await;
    assert_eq!((account.bytes.held(), account.runs.held()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn runs_on_the_device_are_bounded_and_the_next_one_waits() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let account = account(64 * MIB, 3);
    let program = sum(&accelerator, 1000).await.unwrap().for_account(&account);
    let runs = (0..50).map(|_| {
        let (program, account) = (program.clone(), account.clone());
        tokio::spawn(async move {
            let outputs = program.run(vec![floats(1000)], soon()).await;
            assert!(account.runs.held() <= 3);
            outputs.map(drop)
        })
    });
    for run in futures::future::join_all(runs).await {
        assert_eq!(run.unwrap(), Ok(()));
    }
    check_sum(&accelerator, &program, 1000).await;
    assert_eq!((account.bytes.held(), account.runs.held()), (0, 0));
}
