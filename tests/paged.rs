//! A cut model that is larger than memory computes what it would compute in memory, and takes no more than there is.

use crate::support::{
    Burst, block_on, cpu,
    group::{Group, Ran, evict},
    llvmpipe, npy, stack,
};
use burst_adapters::{
    gpu::{GpuAccelerator, Wanted},
    onnx::Onnx,
    registry::Directory,
};
use burst_host::{
    loops::models::{LoadError, Models},
    nouns::{Fault, Plan, Tensor},
    ports::{Accelerator, Memory, Program},
};
use std::{
    fs,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

const LAYERS: usize = 64;
const LIMIT_BYTES: u64 = 256 << 20;
/// With the driver's compiler in it, the weights that are on the device, and those that can be brought there again.
const GPU_LIMIT_BYTES: u64 = 768 << 20;
/// Loading reads everything once to verify it, the run again.
const PASSES: u64 = 2;

/// So much room, whatever is held.
struct Room(u64);

impl Memory for Room {
    fn room_bytes(&self) -> u64 {
        self.0
    }
}

fn models(accelerator: Arc<dyn Accelerator>, room_bytes: u64) -> Models {
    let registry = Directory::open(Path::new("/")).unwrap();
    Models::new(accelerator, Arc::new(registry), Arc::new(Onnx)).within(Arc::new(Room(room_bytes)))
}

fn load(models: &Models, path: &Path) -> Result<Arc<dyn Program>, LoadError> {
    let path = fs::canonicalize(path).unwrap();
    let path = path.strip_prefix("/").unwrap().to_str().unwrap();
    block_on(models.load(path, &models.accelerator)).map(|(_, program)| program)
}

fn answer(models: &Models, program: &dyn Program) -> Result<Vec<f32>, Fault> {
    block_on(async {
        let outputs = program.run(vec![stack::input()], Instant::now() + Duration::from_secs(120)).await?;
        Ok(models.accelerator.download(&outputs[0]).await?.to_vec().unwrap())
    })
}

const CPU: [&str; 2] = ["--accelerator", "cpu"];
const LLVMPIPE: [&str; 4] = ["--accelerator", "gpu", "--device", "llvmpipe"];

/// What a process in a group answers. Nothing of the model is cached when it starts.
fn run_within(group: &Group, model: &Path, accelerator: &[&str]) -> (Ran, Option<Tensor>) {
    let (cache, output) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let x = output.path().join("x.npy");
    npy::write(&x, &stack::input()).unwrap();
    evict(&model.join("blobs/sha256"));
    let mut run = Burst::command(cache.path());
    run.arg("run").arg(model).args(accelerator).args(["--input", &format!("x={}", x.display())]);
    // Kernels are measured first, which takes long beside other tests.
    run.args(["--deadline-ms", "600000"]).arg("--output-dir").arg(output.path()).env("BURST_LOG", "info");
    let ran = group.run(&run);
    let y = npy::read(&output.path().join("y.npy")).ok();
    (ran, y)
}

#[test]
fn a_gibibyte_runs_in_a_quarter_of_it() {
    let model = stack::kept(LAYERS);
    let (Some(group), Some(large)) = (Group::new(LIMIT_BYTES), Group::new(64 << 30)) else { return };
    let (ran, paged) = run_within(&group, &model, &CPU);
    assert!(ran.success && ran.stdout.contains("computed by cpu"), "{}", ran.stderr);
    assert!(ran.stderr.contains("read for each run"), "{}", ran.stderr);
    let whole = LAYERS as u64 * stack::LAYER_BYTES;
    assert!(ran.read_bytes >= (whole - LIMIT_BYTES) * PASSES, "only {} bytes were read", ran.read_bytes);
    let peak = group.peak_bytes();
    assert!(peak > 0 && peak <= LIMIT_BYTES, "{peak} bytes at the most");
    assert!(ran.resident_bytes > 64 << 20, "some of it stays in memory: {} bytes did", ran.resident_bytes);
    assert_eq!(group.kills(), 0);
    let (ran, resident) = run_within(&large, &model, &CPU);
    assert!(ran.success && ran.resident_bytes > whole, "{ran:?}");
    let (paged, resident) = (paged.unwrap(), resident.unwrap());
    assert!(paged.contents() == resident.contents(), "bit for bit");
    close(&paged.to_vec().unwrap(), &stack::expected(LAYERS));
}

/// Its memory is the host's.
#[test]
fn a_gibibyte_passes_through_llvmpipe() {
    let model = stack::kept(LAYERS);
    let Some(group) = Group::new(GPU_LIMIT_BYTES).filter(|_| llvmpipe()) else { return };
    let (ran, y) = run_within(&group, &model, &LLVMPIPE);
    assert!(ran.success && group.kills() == 0, "{}", ran.stderr);
    assert!(ran.stderr.contains("read for each run"), "{}", ran.stderr);
    close(&y.unwrap().to_vec().unwrap(), &stack::expected(LAYERS));
}

/// Sums of 2048 products, 64 times: the last digits differ with their order.
fn close(found: &[f32], expected: &[f32]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() < 1e-4, "{found} is not {expected}");
    }
}

/// A model of eight layers answers the same, whatever room there is.
fn check_rooms(accelerator: Arc<dyn Accelerator>, rooms: &[u64]) {
    let cut = stack::kept(8);
    let resident = models(accelerator.clone(), u64::MAX);
    let expected = answer(&resident, &*load(&resident, &cut).unwrap()).unwrap();
    close(&expected, &stack::expected(8));
    for &room in rooms {
        let paged = models(accelerator.clone(), room);
        let program = load(&paged, &cut).unwrap();
        for _ in 0..3 {
            assert!(answer(&paged, &*program).unwrap() == expected, "in {room} bytes");
        }
    }
}

#[test]
fn any_room_gives_the_same_answer() {
    check_rooms(cpu(), &[84 << 20, 110 << 20, 180 << 20, 300 << 20]);
}

#[test]
fn weights_pass_through_a_gpu_too() {
    if llvmpipe() {
        let gpu = block_on(GpuAccelerator::open(&Wanted::Named("llvmpipe".into()))).unwrap();
        check_rooms(Arc::new(gpu), &[84 << 20, 180 << 20]);
    }
}

#[test]
fn requests_at_once_take_turns() {
    let paged = models(cpu(), 84 << 20);
    let program = load(&paged, &stack::kept(8)).unwrap();
    let expected = answer(&paged, &*program).unwrap();
    let ask = |patience| program.run(vec![stack::input()], Instant::now() + patience);
    let (patient, none) = (Duration::from_secs(120), Duration::ZERO);
    let (first, second, third, late) =
        block_on(async { tokio::join!(ask(patient), ask(patient), ask(patient), ask(none)) });
    assert_eq!(late.err(), Some(Fault::TimedOut));
    for answer in [first, second, third] {
        assert!(answer.unwrap()[0].to_vec::<f32>().unwrap() == expected);
    }
}

#[test]
fn what_changes_on_the_disk_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let cut = directory.path().join("cut");
    stack::cut(3, &cut);
    let plan = Plan::parse(&fs::read(cut.join(Plan::FILE)).unwrap()).unwrap();
    let blob = cut.join(format!("blobs/sha256/{}", plan.fragments[2].blobs[0].hex()));
    let paged = models(cpu(), 84 << 20);
    let program = load(&paged, &cut).unwrap();
    let expected = answer(&paged, &*program).unwrap();
    let whole = fs::read(&blob).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let told = |contents: &[u8]| {
        fs::write(&blob, contents).unwrap();
        answer(&paged, &*program).map_err(|fault| fault.to_string())
    };
    assert!(told(&flipped).unwrap_err().contains("not what it has to be"));
    assert!(told(&whole[..whole.len() - 1]).unwrap_err().contains("can't be read"));
    fs::remove_file(&blob).unwrap();
    assert!(answer(&paged, &*program).unwrap_err().to_string().contains("does not exist"));
    assert!(told(&whole).unwrap() == expected, "as it was: all is well again");
    fs::write(&blob, flipped).unwrap();
    assert!(load(&models(cpu(), 84 << 20), &cut).err().unwrap().to_string().contains("not what it has to be"));
}

#[test]
fn what_does_not_fit_says_what_would() {
    let told = load(&models(cpu(), 70 << 20), &stack::kept(8)).err().unwrap().to_string();
    assert!(told.contains(&format!("burst split --memory-max {}`", (70 << 20) / 5)), "{told}");
    let directory = tempfile::tempdir().unwrap();
    let whole = stack::write(4, directory.path());
    assert!(load(&models(cpu(), 256 << 20), &whole).is_ok());
    for room in [32 << 20, 100 << 20] {
        let told = load(&models(cpu(), room), &whole).err().unwrap().to_string();
        assert!(told.contains("too large for the memory") && told.contains("burst split --memory-max"), "{told}");
    }
    let run = Burst::run(&["run", whole.to_str().unwrap(), "--memory-max", "64MiB", "--accelerator", "cpu"]);
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(!run.status.success() && told.contains("burst split --memory-max"), "{told}");
}

#[test]
fn a_model_is_cut_without_a_second_copy() {
    let directory = tempfile::tempdir().unwrap();
    let ran = stack::cut(8, &directory.path().join("cut"));
    let whole = 8 * stack::LAYER_BYTES;
    assert!((whole..whole * 3 / 2).contains(&ran.resident_bytes), "{} bytes", ran.resident_bytes);
}
