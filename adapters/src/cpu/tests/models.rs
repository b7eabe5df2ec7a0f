//! Real models beside ONNX Runtime's answers, and how long they take. `tests/bench/models.py` makes them.

use super::{CpuAccelerator, accelerator, soon};
use crate::{
    conformance::{Sketch, assert_close},
    onnx::{self, Limits},
};
use burst_host::{
    nouns::{Element, Port, Tensor},
    ports::{Accelerator, Program},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

/// Where `tests/bench/models.py` wrote its models.
fn models() -> Option<PathBuf> {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/models");
    let directory = std::env::var_os("BURST_MODELS").map_or_else(default, PathBuf::from);
    directory.is_dir().then_some(directory)
}

/// A model of that directory, loaded, with its inputs.
struct Bench {
    name: String,
    directory: PathBuf,
    program: Arc<dyn Program>,
    inputs: Vec<Tensor>,
    load: Duration,
}

async fn benches(accelerator: &CpuAccelerator) -> Vec<Bench> {
    let Some(directory) = models() else {
        eprintln!("skipped: `python tests/bench/models.py target/models` makes the models");
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "onnx"));
    files.sort();
    let mut benches = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let start = Instant::now();
        let graph = onnx::decode(&fs::read(&file).unwrap().into(), &Limits::default()).unwrap();
        let program = accelerator.load(&graph).await.unwrap_or_else(|fault| panic!("{name}: {fault}"));
        let load = start.elapsed();
        let read = |port: &Port| npy(&directory.join(format!("{name}.{}.npy", port.name)));
        let inputs = program.signature().inputs.iter().map(read).collect();
        benches.push(Bench { name, directory: directory.clone(), program, inputs, load });
    }
    benches
}

fn npy(path: &Path) -> Tensor {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file = npyz::NpyFile::new(&bytes[..]).unwrap();
    let extents: Vec<usize> = file.shape().iter().map(|&extent| extent as usize).collect();
    match file.try_data::<f32>() {
        Ok(floats) => {
            Tensor::from_slice(Element::Fp32, extents, &floats.map(Result::unwrap).collect::<Vec<f32>>()).unwrap()
        }
        Err(file) => Tensor::from_slice(Element::I64, extents, &file.into_vec::<i64>().unwrap()).unwrap(),
    }
}

#[tokio::test]
async fn real_models_answer_as_onnx_runtime_does() {
    for threads in [1, 2] {
        for bench in benches(&accelerator(threads)).await {
            let outputs = bench.program.run(bench.inputs, soon()).await.unwrap();
            for (port, found) in bench.program.signature().outputs.iter().zip(&outputs) {
                let expected = npy(&bench.directory.join(format!("{}.{}.expected.npy", bench.name, port.name)));
                assert_close(&format!("{} {}", bench.name, port.name), found, &expected);
            }
        }
    }
}

/// `cargo test -p burst-adapters --lib speed -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "measures"]
async fn speed() {
    let tiny = Sketch::new("tiny").input("x", Element::Fp32, "4").op("Neg", "x", "y").output("y").graph();
    for threads in [1, 2] {
        let accelerator = accelerator(threads);
        let program = accelerator.load(&tiny).await.unwrap();
        let input = Tensor::from_slice(Element::Fp32, [4], &[1.0f32; 4]).unwrap();
        measure("tiny", threads, Duration::ZERO, &program, &[input], 5000).await;
        for bench in benches(&accelerator).await {
            measure(&bench.name, threads, bench.load, &bench.program, &bench.inputs, 30).await;
        }
    }
}

async fn measure(
    name: &str,
    threads: usize,
    load: Duration,
    program: &Arc<dyn Program>,
    inputs: &[Tensor],
    runs: usize,
) {
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        program.run(inputs.to_vec(), soon()).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    println!("{name:20} {threads} threads  load {load:9.1?}  p50 {:9.1?}  min {:9.1?}", times[runs / 2], times[0]);
}
