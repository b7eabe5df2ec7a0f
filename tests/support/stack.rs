//! Models as large as one wants: matrices of random numbers, one behind the other.

use super::{
    Burst,
    group::{Ran, ran},
    root,
};
use burst_adapters::onnx::{self, OnnxError};
use burst_host::nouns::{Element, Extent, Graph, Op, Opset, Plan, Port, Spec, Tensor};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// Rows and columns of each: 16 MiB of FP32.
pub const SIDE: usize = 2048;
pub const LAYER_BYTES: u64 = 4 << 22;

/// `x` times as many matrices, each product held to -1 to 1, is `y`.
pub fn graph(layers: usize) -> Graph {
    let port = |name: &str| {
        let shape = Some(vec![Extent::Fixed(1), Extent::Fixed(SIDE)]);
        Port { name: name.into(), element: Some(Element::Fp32), shape, optional: false }
    };
    let op = |kind: &str, inputs: &[String], output: String| {
        let inputs = inputs.to_vec();
        Op {
            name: String::new(),
            kind: kind.into(),
            domain: String::new(),
            inputs,
            outputs: vec![output],
            attributes: vec![],
        }
    };
    let value = |index: usize| match index {
        0 => "x".to_owned(),
        index if index == layers => "y".to_owned(),
        index => format!("v{index}"),
    };
    let two = |index| {
        let (weight, product) = (format!("w{index}"), format!("p{index}"));
        [op("MatMul", &[value(index), weight], product.clone()), op("Tanh", &[product], value(index + 1))]
    };
    // Whoever writes the model puts others in their place.
    let zeros = Tensor::host(Spec::new(Element::Fp32, [SIDE, SIDE]).unwrap(), vec![0; SIDE * SIDE * 4]).unwrap();
    Graph {
        name: format!("stack{layers}"),
        ir_version: 8,
        opsets: vec![Opset { domain: String::new(), version: 17 }],
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        constants: (0..layers).map(|index| (format!("w{index}"), zeros.clone())).collect(),
        ops: (0..layers).flat_map(two).collect(),
        ..Graph::default()
    }
}

/// The numbers of one matrix: a different one for each index, of a size that keeps what is multiplied by it in sight.
pub fn matrix(index: usize) -> Vec<f32> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(index as u64 + 1);
    let scale = (3.0 / SIDE as f32).sqrt() / (1 << 23) as f32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        ((state >> 40) as i32 - (1 << 23)) as f32 * scale
    };
    (0..SIDE * SIDE).map(|_| next()).collect()
}

/// The first input that comes to mind.
pub fn input() -> Tensor {
    let numbers: Vec<f32> = (0..SIDE).map(|index| (index % 17) as f32 / 17.0 - 0.5).collect();
    Tensor::from_slice(Element::Fp32, [1, SIDE], &numbers).unwrap()
}

/// What the model has to say to it, computed here.
pub fn expected(layers: usize) -> Vec<f32> {
    let mut vector: Vec<f64> = input().to_vec::<f32>().unwrap().into_iter().map(f64::from).collect();
    for index in 0..layers {
        let mut product = vec![0.0; SIDE];
        for (row, x) in matrix(index).chunks_exact(SIDE).zip(&vector) {
            product.iter_mut().zip(row).for_each(|(sum, &weight)| *sum += x * f64::from(weight));
        }
        vector = product.into_iter().map(f64::tanh).collect();
    }
    vector.into_iter().map(|number| number as f32).collect()
}

/// Writes the model, its weights in a file each.
pub fn write(layers: usize, directory: &Path) -> PathBuf {
    fs::create_dir_all(directory).unwrap();
    let mut index = 0;
    let model = onnx::encode_apart::<OnnxError>(&graph(layers), |_, _| {
        let name = format!("w{index}.bin");
        fs::write(directory.join(&name), bytemuck::cast_slice(&matrix(index))).unwrap();
        index += 1;
        Ok(name)
    });
    let path = directory.join("stack.onnx");
    fs::write(&path, model.unwrap()).unwrap();
    path
}

/// The model, cut so that each matrix is a fragment; and what cutting it took.
pub fn cut(layers: usize, output: &Path) -> Ran {
    let whole = tempfile::tempdir_in(output.parent().unwrap()).unwrap();
    let model = write(layers, whole.path());
    let (model, parts) = (model.display().to_string(), layers.to_string());
    let cache = tempfile::tempdir().unwrap();
    let mut split = Burst::command(cache.path());
    let run = ran(split.args(["split", &model, "--parts", &parts, "--output"]).arg(output));
    assert!(run.success, "{}", run.stderr);
    run
}

/// The same, made once: 1 GiB takes a while.
pub fn kept(layers: usize) -> PathBuf {
    static MADE_BY_ONE: Mutex<()> = Mutex::new(());
    let _one = MADE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = root().join(format!("target/models/stack{layers}"));
    if !directory.join(Plan::FILE).exists() {
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(directory.parent().unwrap()).unwrap();
        cut(layers, &directory);
    }
    fs::canonicalize(directory).unwrap()
}
