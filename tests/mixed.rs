//! Fragments of one model on several accelerators of this box: where it is quicker, and where one refuses them.

use crate::{
    split::{cut, load, model, models},
    support::{Burst, block_on, choosy::Choosy, cpu, gpu, guest, int64, npy, onnxruntime, onnxruntime_library, root},
};
use burst_adapters::{mixed::Mixed, onnx::Onnx, registry::Directory};
use burst_host::{
    loops::models::{LoadError, Models},
    nouns::{Fault, Manifest, Tensor},
    ports::{Accelerator, Device, Memory, Program},
};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

/// So much longer that no other load of the machine decides.
const PAUSE: Duration = Duration::from_millis(150);

fn mixed(first: Choosy, second: Choosy) -> Arc<dyn Accelerator> {
    Arc::new(Mixed::new(Arc::new(first), vec![Arc::new(second)]))
}

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(120)
}

/// The device of each fragment.
fn devices(program: &dyn Program) -> Vec<Device> {
    program.parts().iter().map(|part| part.device.clone()).collect()
}

const NAME: &str = "mobilenetv2";

fn input(path: &Path) -> Tensor {
    npy::read(&path.with_extension("input.npy")).unwrap()
}

/// Cuts MobileNetV2 in three; fragments are where they are expected to be, and the answer is ONNX Runtime's but for the
/// last digits.
fn check(accelerators: [Choosy; 2], expected: [usize; 3]) {
    let Some(path) = model(NAME) else { return };
    let directory = cut(&path, ["--parts", "3"]);
    let known = accelerators.each_ref().map(|accelerator| accelerator.describe().clone());
    let [first, second] = accelerators;
    let models = models(mixed(first, second));
    let program = load(&models, directory.path()).unwrap();
    assert_eq!(devices(&*program), expected.map(|at| known[at].clone()), "{:#?}", program.parts());
    let whole = npy::read(&path.with_extension("logits.expected.npy")).unwrap().to_vec::<f32>().unwrap();
    let (outputs, device) = block_on(program.run_told(vec![input(&path)], soon())).unwrap();
    for Device { name, driver, .. } in &known {
        assert!(device.name.contains(name) && device.driver.contains(driver), "{device}");
    }
    // On the first accelerator it is taken as it is, whoever computed it.
    let found = block_on(models.accelerator.download(&outputs[0])).unwrap().to_vec::<f32>().unwrap();
    close(&found, &whole);
    // So is what lies there already.
    let there = block_on(models.accelerator.upload(input(&path))).unwrap();
    let again = block_on(program.run(vec![there], soon())).unwrap();
    let again = block_on(models.accelerator.download(&again[0])).unwrap();
    assert_eq!(again.to_vec::<f32>().unwrap(), found);
}

/// Within a hundred thousandth of the largest.
fn close(found: &[f32], expected: &[f32]) {
    let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    assert_eq!(found.len(), expected.len());
    let off = found.iter().zip(expected).fold(0f32, |off, (found, expected)| off.max((found - expected).abs()));
    assert!(off <= 1e-5 * largest, "{off} of {largest}");
}

fn tract() -> Choosy {
    Choosy::new(cpu())
}

fn ort() -> Choosy {
    Choosy::new(onnxruntime())
}

#[test]
fn a_fragment_that_one_refuses_is_computed_by_the_other() {
    check([tract().refuses(&[1]), ort().refuses(&[0, 2])], [0, 1, 0]);
    check([ort().refuses(&[0]), tract().refuses(&[1, 2])], [1, 0, 0]);
}

#[test]
fn a_fragment_that_is_dear_on_one_is_computed_by_the_other() {
    check([tract().pauses(&[2], PAUSE), ort().pauses(&[0, 1], PAUSE)], [0, 0, 1]);
    check([tract().pauses(&[0, 1], PAUSE), ort().pauses(&[2], PAUSE)], [1, 1, 0]);
}

#[test]
fn a_gpu_computes_what_the_cpu_refuses() {
    let Some(gpu) = gpu() else { return };
    check([tract().refuses(&[1]), Choosy::new(gpu.clone()).refuses(&[0, 2])], [0, 1, 0]);
    check([Choosy::new(gpu).refuses(&[1]), tract().refuses(&[0, 2])], [0, 1, 0]);
}

#[test]
fn the_split_follows_the_costs() {
    let directory = cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "2"]);
    let name = |dear: [usize; 2]| {
        let [one, two] = ["one", "two"].map(|name| tract().called(name));
        let models = models(mixed(one.pauses(&dear[..1], PAUSE), two.pauses(&dear[1..], PAUSE)));
        let program = load(&models, directory.path()).unwrap();
        let told = program.parts().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert!(told.iter().all(|part| part.matches(" µs on ").count() == 2), "{told:?}");
        devices(&*program).into_iter().map(|device| device.name).collect::<Vec<_>>()
    };
    assert_eq!(name([0, 1]), ["two", "one"]);
    assert_eq!(name([1, 0]), ["one", "two"]);
}

#[test]
fn a_fragment_that_all_refuse_is_named_with_their_reasons() {
    let directory = cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "2"]);
    let models = models(mixed(tract().called("one").refuses(&[1]), tract().called("two").refuses(&[0, 1])));
    let refused = load(&models, directory.path()).err().expect("it is refused");
    assert!(matches!(refused, LoadError::Fragment { .. }), "{refused:?}");
    let told = refused.to_string();
    for part in ["`fragment-1`", "no accelerator", "cpu: one", "cpu: two", "on the choosy one"] {
        assert!(told.contains(part), "{told} has no `{part}`");
    }
}

#[test]
fn a_deadline_holds_over_all_fragments() {
    let directory = cut(&root().join("guests/digits/model/digits.onnx"), ["--parts", "2"]);
    let one = tract().called("one").refuses(&[1]).pauses(&[0], PAUSE);
    let models = models(mixed(one, tract().called("two").refuses(&[0])));
    let program = load(&models, directory.path()).unwrap();
    let image = program.signature().inputs[0].zeros(|_| 1).unwrap();
    let run = |deadline| block_on(program.run(vec![image.clone()], deadline)).map(drop);
    assert_eq!(run(Instant::now() + PAUSE / 3), Err(Fault::TimedOut));
    assert_eq!(run(soon()), Ok(()));
}

/// So much room, whatever is held.
struct Room(u64);

impl Memory for Room {
    fn room_bytes(&self) -> u64 {
        self.0
    }
}

#[test]
fn what_is_larger_than_memory_stays_with_the_first_accelerator() {
    let Some(path) = model(NAME) else { return };
    let directory = cut(&path, ["--parts", "4"]);
    let answer = |room_bytes| {
        let registry = Arc::new(Directory::open(Path::new("/")).unwrap());
        let accelerator = mixed(ort().pauses(&[0, 1, 2, 3], PAUSE / 10), tract().pauses(&[0], PAUSE));
        let models = Models::new(accelerator, registry, Arc::new(Onnx)).within(Arc::new(Room(room_bytes)));
        let program = load(&models, directory.path()).unwrap();
        let (outputs, device) = block_on(program.run_told(vec![input(&path)], soon())).unwrap();
        (program.parts().len(), device, outputs[0].to_vec::<f32>().unwrap())
    };
    let (parts, device, paged) = answer(40 << 20);
    assert_eq!((parts, &device), (0, onnxruntime().describe()));
    let (parts, _, resident) = answer(4 << 30);
    assert_eq!(parts, 4);
    close(&paged, &resident);
}

fn run(arguments: &[&str]) -> (bool, String) {
    let (cache, outputs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = Burst::command(cache.path());
    command.arg("run").args(arguments).arg("--output-dir").arg(outputs.path());
    let output = command.env("ORT_DYLIB_PATH", onnxruntime_library()).output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.success(), told)
}

#[test]
fn burst_run_tells_where_each_fragment_is_computed() {
    let digits = root().join("guests/digits/model/digits.onnx");
    let directory = cut(&digits, ["--parts", "2"]);
    let (cut, whole) = (directory.path().display().to_string(), digits.display().to_string());
    let image = ["--input", "image=tests/data/digits/images.npy"];
    let check = |model: &str, arguments: &[&str], succeeds, parts: &[&str]| {
        let (success, told) = run(&[&[model], &image[..], arguments].concat());
        assert_eq!(success, succeeds, "{arguments:?}: {told}");
        parts.iter().for_each(|part| assert!(told.contains(part), "{arguments:?} has no `{part}`: {told}"));
        told
    };
    let both = ["fragment-0 on cpu", "fragment-1 on cpu", "(tract", "(ONNX Runtime 1.", "computed by cpu"];
    check(&cut, &["--accelerator", "cpu", "--mixed", "onnxruntime,cpu"], true, &both);
    check(&cut, &["--accelerator", "onnxruntime", "--mixed", "onnxruntime,cpu"], true, &both);
    let alone = check(&cut, &["--accelerator", "cpu"], true, &["computed by cpu"]);
    assert!(!alone.contains("fragment-0"), "{alone}");
    check(&cut, &["--mixed", "tpu"], false, &["gpu, onnxruntime, cpu or npu"]);
    check(&cut, &["--mixed", "npu"], false, &["no NPU is named"]);
    check(&whole, &["--accelerator", "cpu", "--mixed", "onnxruntime"], false, &["burst split"]);
}

#[test]
fn a_guest_opens_a_model_over_two_accelerators() {
    let whole = root().join("guests/recommend/model/recommend.onnx");
    let directory = cut(&whole, ["--parts", "2"]);
    let component = guest("recommend");
    let inputs = tempfile::tempdir().unwrap();
    let k = inputs.path().join("k.npy");
    npy::write(&k, &int64(&[10])).unwrap();
    let (model, k) = (format!("recommend={}", directory.path().display()), format!("k={}", k.display()));
    let given = ["--input", "session=tests/data/recommend/session_0.npy", "--input", &k, "--model", &model];
    let (success, told) =
        run(&[&[&component[..], "--accelerator", "cpu", "--mixed", "onnxruntime"], &given[..]].concat());
    assert!(success && told.contains("fragment-1 on cpu"), "{told}");
}

#[test]
fn a_node_of_a_cluster_has_one_accelerator() {
    let manifest =
        |rest: &str| toml::from_str::<Manifest>(&format!("mixed = [\"onnxruntime\", \"gpu\", \"cpu\"]\n{rest}"));
    assert_eq!(manifest("").unwrap().check(), Ok(()));
    let refused = manifest("[cluster]\nnode = \"one.hall\"").unwrap().check().unwrap_err();
    assert!(refused.path == ["mixed"] && refused.reason.contains("leave out `mixed`"), "{refused:?}");
    assert!(toml::from_str::<Manifest>("mixed = [\"tpu\"]").is_err());
}
