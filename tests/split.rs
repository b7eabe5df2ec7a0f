//! A cut model computes, bit for bit, what the whole one computes; its fragments are models of their own.

use crate::support::{Burst, block_on, cpu, guest, int64, llvmpipe, npy, python, root};
use burst_adapters::{
    gpu::{GpuAccelerator, Wanted},
    onnx::{self, Onnx},
    registry::Directory,
};
use burst_host::{
    loops::models::{LoadError, Models},
    nouns::{Attribute, Element, Extent, Graph, Op, Opset, Plan, Port, Tensor},
    ports::{Accelerator, Program},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// A model of `tests/bench/models.py`; `None` where nobody has made it.
pub fn model(name: &str) -> Option<PathBuf> {
    let path = root().join(format!("target/models/{name}.onnx"));
    // The registry follows no link that leads elsewhere.
    if let Ok(path) = fs::canonicalize(&path) {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing; `just test` makes it", path.display());
    eprintln!("skipped: {} is missing; `just test` makes it", path.display());
    None
}

/// Cuts with the program.
pub fn cut<const WORDS: usize>(model: &Path, how: [&str; WORDS]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let (model, output) = (model.display().to_string(), directory.path().display().to_string());
    let run = Burst::run(&[&["split", &model, "--output", &output], &how[..]].concat());
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    directory
}

pub fn plan(directory: &TempDir) -> Plan {
    Plan::parse(&fs::read(directory.path().join(Plan::FILE)).unwrap()).unwrap()
}

pub fn models(accelerator: Arc<dyn Accelerator>) -> Models {
    Models::new(accelerator, Arc::new(Directory::open(Path::new("/")).unwrap()), Arc::new(Onnx))
}

pub fn load(models: &Models, path: &Path) -> Result<Arc<dyn Program>, LoadError> {
    let path = path.strip_prefix("/").unwrap().to_str().unwrap();
    block_on(models.load(path, &models.accelerator)).map(|(_, program)| program)
}

/// What a program answers to the inputs that models.py wrote beside the model.
pub async fn answer(accelerator: &dyn Accelerator, program: &dyn Program, model: &Path) -> Vec<Tensor> {
    let input = |name: &str| npy::read(&model.with_extension(format!("{name}.npy"))).unwrap();
    let inputs = program.signature().inputs.iter().map(|port| input(&port.name)).collect();
    let mut outputs = Vec::new();
    for output in program.run(inputs, Instant::now() + Duration::from_secs(120)).await.unwrap() {
        outputs.push(accelerator.download(&output).await.unwrap());
    }
    outputs
}

/// Holds an answer to another one, bit for bit.
pub fn same(found: &[Tensor], expected: &[Tensor], told: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!(found.spec(), expected.spec(), "{told}");
        assert!(found.contents() == expected.contents(), "{told}: {} differs", found.spec());
    }
}

fn check_on(accelerator: Arc<dyn Accelerator>, name: &str, parts: impl Iterator<Item = usize>) {
    let Some(model) = model(name) else { return };
    let models = models(accelerator);
    let whole = load(&models, &model).unwrap();
    let expected = block_on(answer(&*models.accelerator, &*whole, &model));
    for parts in parts {
        let directory = cut(&model, ["--parts", &parts.to_string()]);
        assert_eq!(plan(&directory).fragments.len(), parts);
        let program = load(&models, directory.path()).unwrap();
        let ports = |program: &dyn Program| program.signature().to_string();
        assert_eq!(ports(&*program), ports(&*whole), "{name} in {parts}");
        let found = block_on(answer(&*models.accelerator, &*program, &model));
        same(&found, &expected, &format!("{name} in {parts}"));
    }
}

fn check(name: &str) {
    check_on(cpu(), name, 2..=8);
}

#[test]
fn mobilenetv2_is_what_it_was() {
    check("mobilenetv2");
}

#[test]
fn resnet50_is_what_it_was() {
    check("resnet50");
}

#[test]
fn minilm_is_what_it_was() {
    check("minilm_l6_s128");
}

#[test]
fn gpt2_is_what_it_was() {
    check("gpt2_l8_c64");
}

#[test]
fn gpt2_on_the_gpu_is_what_it_was() {
    if llvmpipe() {
        let gpu = block_on(GpuAccelerator::open(&Wanted::Named("llvmpipe".into()))).unwrap();
        check_on(Arc::new(gpu), "gpt2_l8_c64", [2, 5].into_iter());
    }
}

#[test]
fn transformers_are_cut_between_blocks_and_weights_are_kept_once() {
    let Some(model) = model("gpt2_l8_c64") else { return };
    let directory = cut(&model, ["--parts", "8"]);
    let plan = plan(&directory);
    // A token of 128 numbers, and for blocks the mask of 64 places in two forms: nothing else crosses.
    let received: Vec<u64> = plan.fragments[1..].iter().map(|fragment| fragment.received_bytes).collect();
    assert_eq!(received[..6], [4 * 128 + 4 * 64 + 64; 6]);
    assert_eq!(received[6], 4 * 128, "after the last block");
    // A block has six products of matrices and keeps its own keys and values; the last one makes words.
    let matrices = |index: usize| {
        let file = fs::read(directory.path().join(plan.fragments[index].model_file())).unwrap();
        file.windows(6).filter(|word| word == b"MatMul").count()
    };
    let matrices: Vec<usize> = (0..8).map(matrices).collect();
    assert!(matrices[..7].iter().all(|count| count % 6 == 0) && matrices[7] == 1, "{matrices:?}");
    assert!(plan.fragments[1..7].iter().all(|fragment| fragment.memory.state_bytes >= 2 * 4 * 64 * 128));
    // The first and the last fragment share the embedding.
    let (first, last) = (&plan.fragments[0].blobs, &plan.fragments[7].blobs);
    assert!(first.iter().any(|blob| last.contains(blob)));
    let sizes = fs::read_dir(directory.path().join("blobs/sha256")).unwrap();
    let kept: u64 = sizes.map(|blob| blob.unwrap().metadata().unwrap().len()).sum();
    assert!(kept <= fs::metadata(&model).unwrap().len(), "{kept} bytes are kept");
}

#[test]
fn fragments_hold_what_was_allowed() {
    let Some(model) = model("minilm_l6_s128") else { return };
    let directory = cut(&model, ["--memory-max", "64MiB"]);
    let plan = plan(&directory);
    assert!(plan.fragments.len() >= 2);
    assert!(plan.fragments.iter().all(|fragment| fragment.memory.total() <= 64 << 20));
    let output = directory.path().join("more").display().to_string();
    let run = Burst::run(&["split", &model.display().to_string(), "--memory-max", "1MiB", "--output", &output]);
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && told.contains("within 1048576 bytes"), "{told}");
}

/// `y = softmax(relu(x), axis)`, of any number of rows.
fn softmax(axis: i64, rows: Extent) -> Graph {
    let port = |name: &str| Port {
        name: name.into(),
        element: Some(Element::Fp32),
        shape: Some(vec![rows.clone(), Extent::Fixed(4)]),
        optional: false,
    };
    let op = |kind: &str, from: &str, to: &str| Op { kind: kind.into(), ..Op::identity(from.into(), to.into()) };
    let attributes = vec![("axis".into(), Attribute::Int(axis))];
    Graph {
        name: "softmax".into(),
        ir_version: 8,
        opsets: vec![Opset { domain: String::new(), version: 17 }],
        inputs: vec![port("x")],
        outputs: vec![port("y")],
        ops: vec![op("Relu", "x", "a"), Op { attributes, ..op("Softmax", "a", "y") }],
        ..Graph::default()
    }
}

#[test]
fn micro_batches_are_for_rows_that_do_not_know_of_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let cut = |axis, rows| {
        let (model, output) = (directory.path().join("model.onnx"), tempfile::tempdir().unwrap());
        fs::write(&model, onnx::encode(&softmax(axis, rows)).unwrap()).unwrap();
        let (model, path) = (model.display().to_string(), output.path().display().to_string());
        let run = Burst::run(&["split", &model, "--parts", "2", "--micro-batch", "4", "--output", &path]);
        run.status.success().then(|| plan(&output)).ok_or(String::from_utf8_lossy(&run.stderr).into_owned())
    };
    assert_eq!(cut(1, Extent::Any).unwrap().micro_batch.map(|rows| rows.get()), Some(4));
    let told = cut(0, Extent::Any).unwrap_err();
    assert!(told.contains("`y` of a row depends on the other rows"), "{told}");
    let told = cut(1, Extent::Fixed(8)).unwrap_err();
    assert!(told.contains("there are no micro-batches"), "{told}");
}

#[test]
fn fragments_are_models_for_onnx_runtime() {
    let (Some(model), Some(python)) = (model("gpt2_l8_c64"), python()) else { return };
    let directory = cut(&model, ["--parts", "3"]);
    let script = root().join("tests/clients/fragments_client.py");
    let run = Command::new(python).arg(script).arg(directory.path()).arg(&model).output().unwrap();
    let told = String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success() && told.contains("3 fragments"), "{told}");
}

#[test]
fn a_guest_opens_a_cut_model_like_any() {
    let whole = root().join("guests/recommend/model/recommend.onnx");
    let directory = cut(&whole, ["--parts", "2"]);
    let answer = |model: &Path| {
        let outputs = tempfile::tempdir().unwrap();
        let k = outputs.path().join("k.npy");
        npy::write(&k, &int64(&[10])).unwrap();
        let (model, k) = (format!("recommend={}", model.display()), format!("k={}", k.display()));
        let (component, output) = (guest("recommend"), outputs.path().to_str().unwrap());
        let session = "session=tests/data/recommend/session_0.npy";
        let inputs = ["--input", session, "--input", &k, "--model", &model, "--output-dir", output];
        let run = Burst::run(&[&["run", &component], &inputs[..]].concat());
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        ["items", "scores"].map(|name| fs::read(outputs.path().join(format!("{name}.npy"))).unwrap())
    };
    assert_eq!(answer(&whole), answer(directory.path()));
}

#[test]
fn damage_is_found_before_anything_runs() {
    let models = models(cpu());
    let model = root().join("guests/digits/model/digits.onnx");
    let damaged = |damage: &dyn Fn(&Path, &Plan)| {
        let directory = cut(&model, ["--parts", "2"]);
        damage(directory.path(), &plan(&directory));
        load(&models, directory.path()).err().expect("it is refused").to_string()
    };
    let refused = |damage: &dyn Fn(&Path, &Plan), part: &str| {
        let told = damaged(damage);
        assert!(told.contains(part), "{told} has no `{part}`");
    };
    refused(&|path, _| fs::remove_file(path.join(Plan::FILE)).unwrap(), "does not exist");
    refused(&|path, _| fs::write(path.join(Plan::FILE), "{}").unwrap(), "no plan of a cut model");
    refused(&|path, plan| flip(&path.join(plan.fragments[1].model_file())), "not the sha256:");
    refused(&|path, plan| flip(&path.join(blob(plan))), "not what its name says");
    refused(&|path, plan| fs::remove_file(path.join(blob(plan))).unwrap(), "does not exist");
    let other = |path: &Path, plan: &Plan| {
        let mut plan = plan.clone();
        plan.fragments[0].outputs.push("more".into());
        fs::write(path.join(Plan::FILE), plan.print().unwrap()).unwrap();
    };
    refused(&other, "takes and yields other values");
}

fn blob(plan: &Plan) -> String {
    let blobs = plan.fragments.iter().flat_map(|fragment| &fragment.blobs);
    format!("blobs/sha256/{}", blobs.last().unwrap().hex())
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(path, bytes).unwrap();
}
