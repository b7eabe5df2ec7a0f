//! Tries what a driver need not do as we need it, before anything depends on it.

use super::{
    device::Gpu,
    memory::Memory,
    planner::{Halt, Placed, Planner, Value},
    transfer,
    weights::Weights,
};
use burst_host::nouns::{Element, Fault, Ledger, Spec, Tensor};
use half::f16;
use std::sync::Arc;

/// Rows, columns and steps: more than a tile of any kernel, and no multiple of it.
const SIZES: [usize; 3] = [144, 176, 80];

/// Whether halves are multiplied rightly: sums of small whole numbers, which are exact in any order.
pub async fn multiplies_halves(gpu: &Gpu) -> Result<bool, Fault> {
    let [m, n, k] = SIZES;
    let (a, b) = (numbers(m * k, 5), numbers(k * n, 7));
    let memory = gpu.memory(&Ledger::new("trial", usize::MAX));
    let found = product(gpu, &memory, [([m, k], &a), ([k, n], &b)]).await?;
    let sum = |at: usize| (0..k).map(|step| a[at / n * k + step] * b[step * n + at % n]).sum::<f32>();
    Ok(found.len() == m * n && found.iter().enumerate().all(|(at, found)| found.to_f32() == sum(at)))
}

/// Pairs of halves whose sums and half sums lie in the middle of two halves, beyond the largest, or below the smallest that
/// is normal.
const SUMS: [[f32; 2]; 8] = [
    [1.0, 1.0 / 2048.0],
    [1.0 + 1.0 / 1024.0, 1.0 / 2048.0],
    [65_504.0, 16.0],
    [65_504.0, 15.0],
    [1.0 / 16_777_216.0, 0.0],
    [3.0 / 16_777_216.0, 0.0],
    [1.0 / 16_384.0, 1.0 / 16_777_216.0],
    [0.0, 0.0],
];

/// Whether sums that are stored as halves are rounded to nearest, ties to even.
pub async fn rounds_halves(gpu: &Gpu) -> Result<bool, Fault> {
    const FACTORS: [f32; 4] = [1.0, 0.5, -1.0, -0.5];
    let a: Vec<f32> = SUMS.iter().flat_map(|[x, y]| [*x, *y, 0.0, 0.0]).collect();
    let b = [FACTORS, FACTORS, [0.0; 4], [0.0; 4]].concat();
    let memory = gpu.memory(&Ledger::new("trial", usize::MAX));
    let found = product(gpu, &memory, [([SUMS.len(), 4], &a), ([4, 4], &b)]).await?;
    let expected = SUMS.iter().flat_map(|[x, y]| FACTORS.map(|factor| f16::from_f32(factor * x + factor * y)));
    // Of zeros the sign is not asked for.
    Ok(found.into_iter().map(f16::to_f32).eq(expected.map(f16::to_f32)))
}

/// From -2 on, so that sums stay small.
fn numbers(count: usize, period: usize) -> Vec<f32> {
    (0..count).map(|at| ((at * 3 + at / 11) % period) as f32 - 2.0).collect()
}

async fn product(gpu: &Gpu, memory: &Memory, sides: [([usize; 2], &[f32]); 2]) -> Result<Vec<f16>, Fault> {
    let invalid = |error: &dyn ToString| Fault::Invalid(error.to_string());
    let mut planner = Planner::new(17, gpu.target, Arc::default());
    let (mut factors, mut blocks) = (Vec::new(), Vec::new());
    for (extents, numbers) in sides {
        let halves: Vec<f16> = numbers.iter().map(|&number| f16::from_f32(number)).collect();
        let spec = Spec::new(Element::Fp16, extents).map_err(|error| invalid(&error))?;
        let tensor = Tensor::from_slice(Element::Fp16, extents, &halves).map_err(|error| invalid(&error))?;
        factors.push(Value::Placed(Placed { spec: spec.clone(), storage: planner.input(spec) }));
        blocks.push(transfer::upload(gpu, memory, &tensor).await?);
    }
    let product = planner.apply("MatMul", Vec::new(), factors).and_then(|product| planner.place(&product));
    let product = product.map_err(Halt::fault)?;
    planner.draft.outputs.push((product.spec, product.storage));
    let plan = planner.draft.finish(gpu, memory, &Weights::default()).await?;
    let results = plan.run(gpu, memory, &blocks).await?;
    let found = transfer::download(gpu, &results[0]).await?.to_vec();
    found.ok_or_else(|| invalid(&"a product of halves is halves"))
}
