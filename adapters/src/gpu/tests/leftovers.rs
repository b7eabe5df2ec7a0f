//! What somebody left in device memory shows in nobody else's results.

use super::{
    super::{
        kernels::{Kernel, Shader},
        lower,
        planner::{Planner, grid},
        transfer,
        weights::Weights,
    },
    lavapipe::{Lavapipe, floats},
    mutated::{Dice, lowered},
    open,
};
use burst_host::{
    nouns::{Element, Fault, Graph, Spec, Tensor},
    ports::{Accelerator, Program},
};
use bytes::Bytes;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// A number that nothing computes.
const LEFT: u32 = 0x7ac0_ffee;

/// Leaves `word` wherever a small tensor will be.
async fn leave(accelerator: &dyn Accelerator, word: u32) {
    const EACH: usize = 3;
    let mut left = Vec::new();
    for words in (8..=256).step_by(8).chain([576]) {
        let tensor = Tensor::from_slice(Element::U32, [words], &vec![word; words]).unwrap();
        for _ in 0..EACH {
            left.push(accelerator.upload(tensor.clone()).await.unwrap());
        }
    }
}

/// Reads far beyond a tensor, in its own block.
#[tokio::test]
async fn kernels_reach_no_further_than_a_tensor() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    leave(&accelerator, LEFT).await;
    let gpu = accelerator.lasting.get().await.unwrap();
    let memory = gpu.memory(&burst_host::nouns::Account::unlimited().bytes);
    let (held, read) = (520, 64);
    let mut planner = Planner::new(17, gpu.target, Arc::default());
    let spec = |element, count: usize| Spec::new(element, [count]).unwrap();
    let given = [spec(Element::U32, held), spec(Element::I32, read)];
    for (name, spec) in ["x", "i"].into_iter().zip(&given) {
        let storage = planner.input(spec.clone());
        planner.give(name, spec.clone(), storage);
    }
    let [x, indices] = ["x", "i"].map(|name| planner.value(name).and_then(|value| planner.place(&value)).unwrap());
    let parameters = [read, 1, read, held + read, 1, 0, held + read].map(|word| word as u32).to_vec();
    let kernel = Kernel::new(Shader::Gather, [("SIZE", 4), ("PARTIAL", 0)]);
    let y = planner.dispatch(kernel, parameters, &[&x, &indices], spec(Element::U32, read), grid(read)).unwrap();
    planner.draft.outputs.push((y.spec, y.storage));
    let plan = planner.draft.finish(&gpu, &memory, &Weights::default()).await.unwrap();
    let beyond: Vec<i32> = (held as i32..(held + read) as i32).collect();
    let tensors = [
        Tensor::from_slice(Element::U32, [held], &vec![1u32; held]).unwrap(),
        Tensor::from_slice(Element::I32, [read], &beyond).unwrap(),
    ];
    let mut blocks = Vec::new();
    for tensor in &tensors {
        blocks.push(transfer::upload(&gpu, &memory, tensor).await.unwrap());
    }
    let y = plan.run(&gpu, &memory, &blocks).await.unwrap().remove(0);
    let read = transfer::download(&gpu, &y).await.unwrap().to_vec::<u32>().unwrap();
    assert!(!read.contains(&LEFT), "{read:x?}");
}

async fn run(accelerator: &dyn Accelerator, graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Bytes>, Fault> {
    let program: Arc<dyn Program> = accelerator.load(graph).await?;
    let mut outputs = Vec::new();
    for output in program.run(inputs.to_vec(), Instant::now() + Duration::from_secs(60)).await? {
        outputs.push(accelerator.download(&output).await?.contents().cloned().unwrap_or_default());
    }
    Ok(outputs)
}

/// Operators at random give the same, whatever was in memory before.
#[tokio::test]
async fn results_do_not_depend_on_what_was_there() {
    const COMPARED: usize = 60;
    let Some(accelerator) = open("llvmpipe").await else { return };
    let steady = |kind: &str| !kind.starts_with("Random") && !matches!(kind, "Bernoulli" | "Multinomial");
    let names: Vec<_> = lower::names().filter(|(_, kind)| steady(kind)).collect();
    let (mut dice, mut compared) = (Dice::new(11), 0);
    while compared < COMPARED {
        let (domain, kind) = dice.pick(&names);
        let (graph, inputs) = dice.graph(domain, kind);
        if lowered(&graph, &inputs).is_err() {
            continue;
        }
        leave(&accelerator, LEFT).await;
        let first = run(&accelerator, &graph, &inputs).await;
        leave(&accelerator, !LEFT).await;
        let second = run(&accelerator, &graph, &inputs).await;
        assert_eq!(first, second, "{:?} of {inputs:?} and {:?}", graph.ops, graph.constants);
        compared += usize::from(first.is_ok_and(|outputs| outputs.iter().any(|y| !y.is_empty())));
    }
}

/// Runs that are no whole number of groups, and what nothing writes.
#[test]
fn what_no_kernel_writes_is_refused_or_cleared() {
    let Some(gpu) = Lavapipe::open() else { return };
    let group = |extents: &[usize], groups: i64| {
        let x = floats(extents, &vec![1.0; extents.iter().product()]);
        let weights = || Some(floats(&[groups as usize], &vec![1.0; groups as usize]));
        let attributes = [("num_groups", burst_host::nouns::Attribute::Int(groups))];
        gpu.apply("GroupNormalization", &[Some(x), weights(), weights()], "y", attributes)
    };
    for (extents, groups) in [(&[1, 2, 4][..], 3), (&[1, 5, 64], 2)] {
        let answer = group(extents, groups);
        assert!(matches!(&answer, Err(Fault::Invalid(why)) if why.contains("num_groups")), "{answer:?}");
    }
    assert!(group(&[1, 4, 8], 2).is_ok());
}
