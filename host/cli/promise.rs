//! Tries what whoever cuts a model promises: that rows of a request don't know of each other.

use super::house;
use burst_host::{
    loops::models::Models,
    mechanisms::rows,
    nouns::{Element, Extent, Fault, Port, Signature, Spec, Tensor},
    ports::{Accelerator, Program},
};
use half::{bf16, f16};
use miette::{IntoDiagnostic, Result, bail, miette};
use std::{
    num::NonZeroUsize,
    path::Path,
    time::{Duration, Instant},
};

/// Rows that are computed together, and each alone.
const ROWS: usize = 3;
const ALONE: NonZeroUsize = NonZeroUsize::MIN;
/// What rounding may make of the largest number of an output.
const ROUNDING: f64 = 1e-2;
const DEADLINE: Duration = Duration::from_secs(600);

/// Named values of a model.
type Values = Vec<(String, Tensor)>;

/// Refuses a model without rows, and one whose rows, drawn at random, come out differently together than alone. What the
/// CPU can't run can't be tried: a warning says so.
pub async fn rows(models: &Models, path: &Path, signature: &Signature) -> Result<()> {
    rows::open(signature).map_err(|why| miette!("there are no micro-batches: {why}"))?;
    let (_, program) = match models.load(&house::below_root(path)?, &models.accelerator).await {
        Ok(loaded) => loaded,
        Err(error) => {
            tracing::warn!("that rows don't know of each other was not tried, the CPU can't run the model: {error}");
            return Ok(());
        }
    };
    let drawn = |(index, port): (usize, &Port)| Ok((port.name.clone(), draw(port, index as u64)?));
    let inputs: Values = signature.inputs.iter().enumerate().map(drawn).collect::<Result<_>>()?;
    let parts = rows::cut(&inputs, ALONE).ok_or_else(|| miette!("there are no micro-batches: no input has rows"))?;
    let run = |inputs| run(&*models.accelerator, &*program, inputs);
    let together = run(inputs).await.into_diagnostic()?;
    let mut alone = Vec::new();
    for part in parts {
        alone.push(run(part).await.into_diagnostic()?);
    }
    let alone = rows::join(alone, ROWS).into_diagnostic()?;
    for ((name, one), (_, other)) in together.iter().zip(&alone) {
        if !alike(one, other) {
            bail!("`{name}` of a row depends on the other rows: leave --micro-batch out");
        }
    }
    Ok(())
}

async fn run(accelerator: &dyn Accelerator, program: &dyn Program, inputs: Values) -> Result<Values, Fault> {
    let inputs = inputs.into_iter().map(|(_, tensor)| tensor).collect();
    let outputs = program.run(inputs, Instant::now() + DEADLINE).await?;
    let mut named = Values::new();
    for (port, output) in program.signature().outputs.iter().zip(outputs) {
        named.push((port.name.clone(), accelerator.download(&output).await?));
    }
    Ok(named)
}

/// Small numbers: whole ones are 0 or 1, which are places in any table.
fn draw(port: &Port, seed: u64) -> Result<Tensor> {
    let open = || miette!("`{port}` does not say what it takes, so its rows can't be tried");
    let (element, shape) = port.element.zip(port.shape.as_ref()).ok_or_else(open)?;
    let extent = |(axis, extent): (usize, &Extent)| match extent {
        _ if axis == 0 => ROWS,
        Extent::Fixed(fixed) => *fixed,
        Extent::Named(_) | Extent::Any => 1,
    };
    let spec = Spec::new(element, shape.iter().enumerate().map(extent).collect::<Vec<_>>()).into_diagnostic()?;
    let mut state = seed;
    let mut next = || {
        // Knuth's MMIX, The Art of Computer Programming, volume 2.
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    let contents: Vec<u8> = (0..spec.shape.elements()).flat_map(|_| bytes(element, next())).collect();
    Tensor::host(spec, contents).into_diagnostic()
}

/// A number from 0 to 1 as an element.
fn bytes(element: Element, number: f32) -> Vec<u8> {
    match element {
        Element::Fp32 => number.to_le_bytes().to_vec(),
        Element::Fp64 => f64::from(number).to_le_bytes().to_vec(),
        Element::Fp16 => f16::from_f32(number).to_le_bytes().to_vec(),
        Element::Bf16 => bf16::from_f32(number).to_le_bytes().to_vec(),
        // A string of nothing is four bytes of length.
        Element::Bytes => vec![0; 4],
        _ => {
            let mut whole = vec![0; element.size().unwrap_or(1)];
            whole[0] = u8::from(number >= 0.5);
            whole
        }
    }
}

/// Whether two tensors differ by rounding at most; whole numbers don't round.
fn alike(one: &Tensor, other: &Tensor) -> bool {
    let (Some(ones), Some(others)) = (numbers(one), numbers(other)) else {
        return one.spec() == other.spec() && one.contents() == other.contents();
    };
    let largest = ones.iter().map(|number| number.abs()).fold(0.0, f64::max);
    let near =
        |(one, other): (&f64, &f64)| (one.is_nan() && other.is_nan()) || (one - other).abs() <= ROUNDING * largest;
    one.spec() == other.spec() && ones.iter().zip(&others).all(near)
}

/// Floats, as wide as they get.
fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    match tensor.spec().element {
        Element::Fp32 => Some(tensor.to_vec::<f32>()?.into_iter().map(f64::from).collect()),
        Element::Fp64 => tensor.to_vec(),
        Element::Fp16 => Some(tensor.to_vec::<f16>()?.into_iter().map(f64::from).collect()),
        Element::Bf16 => Some(tensor.to_vec::<bf16>()?.into_iter().map(f64::from).collect()),
        _ => None,
    }
}
