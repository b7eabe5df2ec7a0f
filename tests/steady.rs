//! Ten thousand runs from eight guests at once leave a process as it was.

use crate::support::{Burst, House, block_on, guest, llvmpipe, numbers, root};
use burst_host::nouns::{Element, Tensor};
use std::{fs, path::Path, thread};

const GUESTS: usize = 8;
const RUNS: usize = 10_000;
/// Those after which a process has all that it will keep.
const WARM_UP: usize = 2_000;
const IMAGES: usize = 16;

/// What a process has.
#[derive(Debug)]
struct Held {
    resident_kib: u64,
    threads: u64,
    files: usize,
    allocated_bytes: u64,
    /// What each guest has of the device.
    device: String,
}

impl Held {
    fn of(burst: &Burst) -> Self {
        let pid = burst.child.id();
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse().unwrap()
        };
        let page = burst.get("/metrics").1;
        let (allocated, device): (Vec<_>, Vec<_>) = page
            .lines()
            .filter(|line| line.starts_with("burst_device_"))
            .partition(|line| line.starts_with("burst_device_allocated_bytes"));
        Self {
            resident_kib: field("VmRSS:"),
            threads: field("Threads:"),
            files: fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count(),
            allocated_bytes: allocated[0].rsplit(' ').next().unwrap().parse().unwrap(),
            device: device.join("\n"),
        }
    }
}

fn ink(image: usize) -> Vec<f32> {
    (0..64).map(|index| ((index * 7 + image * 5) % 17) as f32).collect()
}

/// What the CPU makes of each image.
fn expected() -> Vec<Vec<f32>> {
    block_on(async {
        let house = House::new(&guest("digits"), "models.digits = \"guests/digits/model/digits.onnx\"").await;
        let mut answers = Vec::new();
        for image in 0..IMAGES {
            let x = Tensor::from_slice(Element::Fp32, [1, 1, 8, 8], &ink(image)).unwrap();
            answers.push(numbers(&house.ask(&[("image", x)]).await.unwrap(), "probabilities"));
        }
        answers
    })
}

/// A manifest with eight guests that share a model.
fn manifest(directory: &Path) -> std::path::PathBuf {
    fs::copy(root().join(guest("digits")), directory.join("digits.wasm")).unwrap();
    fs::copy(root().join("guests/digits/model/digits.onnx"), directory.join("digits.onnx")).unwrap();
    let mut text = "accelerator = \"gpu\"\ndevice = \"llvmpipe\"\n".to_owned();
    for name in 0..GUESTS {
        text += &format!(
            "[guests.g{name}]\ncomponent = \"digits.wasm\"\nmodels.digits = \"digits.onnx\"\n\
             limits.deadline_ms = 60000\npool = {{ ready = 2, max = 8 }}\n"
        );
    }
    let path = directory.join("burst.toml");
    fs::write(&path, text).unwrap();
    path
}

/// So many runs from all guests at once, each answer checked.
fn ask(burst: &Burst, runs: usize, expected: &[Vec<f32>]) {
    thread::scope(|scope| {
        for guest in 0..GUESTS {
            scope.spawn(move || {
                (0..runs / GUESTS).for_each(|run| check(burst, guest, (run + guest) % IMAGES, expected))
            });
        }
    });
}

fn check(burst: &Burst, guest: usize, image: usize, expected: &[Vec<f32>]) {
    let data = ink(image);
    let body = format!(r#"{{"inputs":[{{"name":"image","datatype":"FP32","shape":[1,1,8,8],"data":{data:?}}}]}}"#);
    let (status, answer) = burst.post(&format!("/v2/models/g{guest}/infer"), &body);
    assert_eq!(status, 200, "{answer}");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let found: Vec<f64> = serde_json::from_value(answer["outputs"][0]["data"].clone()).unwrap();
    let close = |(found, expected): (&f64, &f32)| (found - f64::from(*expected)).abs() <= 1e-4;
    assert!(found.len() == 10 && found.iter().zip(&expected[image]).all(close), "g{guest}, image {image}: {found:?}");
}

#[test]
fn ten_thousand_runs_leave_nothing_behind() {
    if !llvmpipe() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let (burst, expected) = (Burst::serve(&manifest(directory.path())), expected());
    ask(&burst, WARM_UP, &expected);
    let before = Held::of(&burst);
    ask(&burst, RUNS - WARM_UP, &expected);
    let after = Held::of(&burst);
    eprintln!("{before:?}\n{after:?}");
    assert!(after.device.contains("burst_device_bytes{guest=\"g0\",holder=\"leases\"} 0"), "{}", after.device);
    assert_eq!(after.device, before.device);
    assert!(after.threads <= before.threads, "{before:?}\n{after:?}");
    assert!(after.files <= before.files + 2, "{} files, then {}", before.files, after.files);
    // More runs may have met at once than before, of some kilobytes each.
    assert!(after.allocated_bytes <= before.allocated_bytes + 65_536, "{before:?}\n{after:?}");
    // A kilobyte for each run would be twice as much.
    assert!(after.resident_kib <= before.resident_kib + 4_096, "{before:?}\n{after:?}");
}
