//! A model of 1 GiB in 256 MiB of memory, beside plain `mmap` and what the disk can do; and through a GPU.
//!
//! Each is measured in a process of its own, in a control group of its own, with nothing cached: this program again.

use crate::{
    report::{Flags, Report, Row, median},
    support::{
        block_on, cpu,
        group::{Group, evict},
        python, root, stack,
    },
};
use burst_adapters::{
    gpu::{GpuAccelerator, Wanted},
    memory::Machine,
    onnx::Onnx,
    registry::Directory,
};
use burst_host::{
    loops::models::Models,
    nouns::{Fragment, Plan, Space},
    ports::{Accelerator, Registry},
};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

/// Tells this program what it is when it runs inside a group.
const PART: &str = "BURST_BENCH_PART";
const LAYERS: usize = 64;
const LIMIT_BYTES: u64 = 256 << 20;
/// A fragment is in the host's memory and in the device's, which is the same where the device is lavapipe.
const GPU_LIMIT_BYTES: u64 = 768 << 20;
const PATIENCE: Duration = Duration::from_secs(600);

pub fn measure(flags: &Flags, report: &mut Report) {
    let (model, passes) = (stack::kept(LAYERS), flags.pick(2, 7));
    let Some(ours) = Passes::of(this("paged", &model, passes), &model, LIMIT_BYTES) else { return };
    let mapped = python().and_then(|python| {
        let mut peer = Command::new(python);
        peer.arg(root().join("tests/bench/mmap_peer.py")).arg(model.join("blobs/sha256")).arg(passes.to_string());
        Passes::of(peer, &model, LIMIT_BYTES)
    });
    report.add(ours.beside("paged_1gib_256mib_seconds", "mmap, NumPy", mapped));
    let mut disk = this("disk", &model, passes);
    disk.arg((median(&ours.bytes) as u64 / stack::LAYER_BYTES).to_string());
    let disk = Passes::of(disk, &model, LIMIT_BYTES);
    report.add(ours.beside("paged_1gib_256mib_seconds_of_disk", "reading as much, O_DIRECT", disk));
    report.add(Row::alone("paged_1gib_256mib_read_mib", "MiB", median(&ours.bytes) / f64::from(1 << 20), passes));
    let [gpu, cpu] = ["paged-gpu", "paged"].map(|part| Passes::of(this(part, &model, passes), &model, GPU_LIMIT_BYTES));
    if let Some(gpu) = gpu {
        report.add(gpu.beside("paged_1gib_768mib_gpu_seconds", "the CPU in as much", cpu));
    }
}

/// What each pass of a process took, and what it read from the disk.
struct Passes {
    seconds: Vec<f64>,
    bytes: Vec<f64>,
}

impl Passes {
    /// Those of a process in a group of its own; `None` where there are no groups.
    fn of(command: Command, model: &Path, limit_bytes: u64) -> Option<Self> {
        let group = Group::new(limit_bytes)?;
        evict(&model.join("blobs/sha256"));
        let ran = group.run(&command);
        assert!(ran.success && group.kills() == 0, "{}", ran.stderr);
        assert!(ran.read_bytes > 0 && group.peak_bytes() > 0, "it ran from somebody else's cache");
        let number = |word: &str| word.parse::<f64>().unwrap();
        let pass = |line: &str| line.split_once(' ').map(|(time, bytes)| (number(time), number(bytes)));
        let (seconds, bytes) = ran.stdout.lines().filter_map(pass).unzip();
        Some(Self { seconds, bytes })
    }

    fn beside(&self, metric: &str, peer: &'static str, theirs: Option<Self>) -> Row {
        let (value, peer_value) = (Some(median(&self.seconds)), theirs.map(|theirs| median(&theirs.seconds)));
        Row { metric: metric.into(), unit: "s", value, peer, peer_value, n: self.seconds.len() }
    }
}

fn this(part: &str, model: &Path, passes: usize) -> Command {
    let mut this = Command::new(env::current_exe().unwrap());
    this.env(PART, part).arg(model).arg(passes.to_string());
    this
}

/// Runs the part that this process was started for, if it was for one.
pub fn part() -> bool {
    let Ok(part) = env::var(PART) else { return false };
    let argument = |index| env::args().nth(index).unwrap();
    let (model, passes) = (PathBuf::from(argument(1)), argument(2).parse().unwrap());
    match part.as_str() {
        "paged" => paged(cpu(), &model, passes),
        "paged-gpu" => paged(gpu(), &model, passes),
        "disk" => disk(&model, passes, argument(3).parse().unwrap()),
        other => panic!("there is no part `{other}`"),
    }
    true
}

fn gpu() -> Arc<dyn Accelerator> {
    let named = env::var("BURST_GPU").unwrap_or_else(|_| "llvmpipe".into());
    Arc::new(block_on(GpuAccelerator::open(&Wanted::Named(named))).unwrap())
}

fn paged(accelerator: Arc<dyn Accelerator>, model: &Path, passes: usize) {
    let registry = Arc::new(Directory::open(Path::new("/")).unwrap());
    let models = Models::new(accelerator, registry, Arc::new(Onnx)).within(Arc::new(Machine::new(None)));
    let reference = model.strip_prefix("/").unwrap().to_str().unwrap();
    let (_, program) = block_on(models.load(reference, &models.accelerator)).unwrap();
    (0..passes).for_each(|_| {
        pass(|| drop(block_on(program.run(vec![stack::input()], Instant::now() + PATIENCE)).unwrap()));
    });
}

/// Reads so many layers, and does nothing with them.
fn disk(model: &Path, passes: usize, layers: usize) {
    let plan = Plan::parse(&fs::read(model.join(Plan::FILE)).unwrap()).unwrap();
    let registry = Directory::open(model).unwrap();
    let bytes = stack::LAYER_BYTES as usize;
    let mut space = Some(Space::new(bytes));
    (0..passes).for_each(|_| {
        pass(|| {
            for fragment in &plan.fragments[LAYERS - layers..] {
                let blob = Fragment::blob(&fragment.blobs[0]);
                space = Some(block_on(registry.read(&blob, space.take().unwrap(), 0..bytes)).unwrap().0);
            }
        });
    });
}

/// Tells how long something takes, and how much it reads.
fn pass(work: impl FnOnce()) {
    let (start, before) = (Instant::now(), read_bytes());
    work();
    println!("{} {}", start.elapsed().as_secs_f64(), read_bytes() - before);
}

fn read_bytes() -> u64 {
    let told = fs::read_to_string("/proc/self/io").unwrap();
    told.lines().find_map(|line| line.strip_prefix("read_bytes: ")).unwrap().parse().unwrap()
}
