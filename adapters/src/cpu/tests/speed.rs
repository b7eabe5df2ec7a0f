//! How long the models of `tests/bench/models.py` take. That they are right is proved in `tests/models.rs`.

use super::{accelerator, soon, zeros};
use crate::{
    conformance::Sketch,
    onnx::{self, Limits},
};
use burst_host::{
    nouns::{Element, Graph},
    ports::Accelerator,
};
use std::{fs, path::Path, time::Instant};

/// `cargo test --release -p burst-adapters --lib speed -- --ignored --nocapture`
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
#[ignore = "measures"]
async fn speed() {
    let tiny = Sketch::new("tiny").input("x", Element::Fp32, "4").op("Neg", "x", "y").output("y").graph();
    for threads in [1, 2] {
        measure("tiny", &tiny, threads, 5000).await;
        for name in ["mobilenetv2", "resnet50", "yolo320", "minilm_l6_s128"] {
            let directory = std::env::var("BURST_MODELS").unwrap_or("target/models".into());
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(directory).join(format!("{name}.onnx"));
            match fs::read(&path) {
                Ok(file) => measure(name, &onnx::decode(&file.into(), &Limits::default()).unwrap(), threads, 30).await,
                Err(error) => println!("{}: {error}", path.display()),
            }
        }
    }
}

async fn measure(name: &str, graph: &Graph, threads: usize, runs: usize) {
    let start = Instant::now();
    let program = accelerator(threads).load(graph).await.unwrap();
    let (load, inputs) = (start.elapsed(), zeros(program.signature()));
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        program.run(inputs.clone(), soon()).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    println!("{name:20} {threads} threads  load {load:9.1?}  p50 {:9.1?}  min {:9.1?}", times[runs / 2], times[0]);
}
