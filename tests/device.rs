//! A GPU has limits, gets lost and comes back; whatever ends a guest gives back what it held there.

use crate::{
    limits::slow_model,
    support::{Burst, House, block_on, config, deployer_on, eventually, gpu, guest, llvmpipe, numbers, probe},
};
use burst_host::{
    loops::serve::{Request, ServeError, Service},
    nouns::{Element, Tensor},
    ports::{Accelerator, DeviceKind},
};
use std::{collections::BTreeMap, path::PathBuf, process::Command, sync::Arc, time::Duration};

const DIGITS: &str =
    "models.digits = \"guests/digits/model/digits.onnx\"\nlimits.deadline_ms = 30000\npool = { ready = 2, max = 8 }";

/// Some ink, the same in each test.
fn image() -> Tensor {
    let ink: Vec<f32> = (0..64).map(|index| (index * 7 % 17) as f32).collect();
    Tensor::from_slice(Element::Fp32, [1, 1, 8, 8], &ink).unwrap()
}

/// Waits until nothing of the guest's is on the device.
async fn returned(house: &House, what: &str) {
    let account = &house.deployment.pool.guest().grants().account;
    house.settle().await;
    eventually(what, || (account.bytes.held(), account.runs.held()) == (0, 0)).await;
}

#[test]
fn tensors_run_out_as_a_fault_and_are_given_back() {
    let Some(gpu) = gpu() else { return };
    block_on(async {
        let limits = "limits = { device_max_bytes = 20971520, deadline_ms = 30000 }";
        let house = House::on(gpu, &probe("tensors"), limits).await;
        for _ in 0..3 {
            let ServeError::Refused(text) = house.ask(&[]).await.unwrap_err() else { panic!("not a refusal") };
            assert!(text.contains("device_max_bytes = 20971520"), "{text}");
            returned(&house, "a guest that was refused memory holds none").await;
        }
    });
}

/// A graph that a guest puts together, of which a constant decides over a shape, on either accelerator.
#[test]
fn guests_build_graphs_on_every_accelerator() {
    let accelerators = [Some(crate::support::cpu() as Arc<dyn Accelerator>), gpu().map(|gpu| gpu as _)];
    block_on(async {
        let floats = |extents: [usize; 2], values: &[f32]| Tensor::from_slice(Element::Fp32, extents, values).unwrap();
        let inputs =
            [("a", floats([1, 2], &[1.0, 2.0])), ("b", floats([2, 4], &[0.0, 1.0, 2.0, 3.0, 0.0, 0.0, 0.0, 0.5]))];
        for accelerator in accelerators.into_iter().flatten() {
            let house = House::on(accelerator, &probe("builder"), "limits.deadline_ms = 30000").await;
            for _ in 0..3 {
                let answer = house.ask(&inputs).await.unwrap();
                assert_eq!(numbers::<i64>(&answer, "indices"), [3, 2, 1]);
                let values: Vec<f32> = numbers(&answer, "values");
                assert!((values[0] - 0.830_95).abs() < 1e-3, "{values:?}");
                returned(&house, "a graph that was built is gone with its guest").await;
            }
        }
    });
}

#[test]
fn a_deadline_and_a_client_that_goes_away_give_everything_back() {
    let Some(gpu) = gpu() else { return };
    block_on(async {
        let (_directory, models, x) = slow_model();
        let rest = format!("{models}\nlimits = {{ deadline_ms = 300, device_runs_max = 4 }}");
        let house = House::on(gpu.clone(), &probe("slow-graph"), &rest).await;
        for _ in 0..3 {
            assert_eq!(house.ask(&[("x", x.clone())]).await.unwrap_err(), ServeError::TimedOut);
            returned(&house, "a guest that was stopped holds nothing").await;
        }

        let house = House::on(gpu, &guest("digits"), DIGITS).await;
        for wait_ms in 0..20 {
            let inputs = [("image", image())];
            let _ = tokio::time::timeout(Duration::from_millis(wait_ms), house.ask(&inputs)).await;
        }
        returned(&house, "cancelled guests hold nothing").await;
        assert!(house.ask(&[("image", image())]).await.is_ok());
        returned(&house, "an answer that was sent is no longer on the device").await;
    });
}

/// Requests that were on a device when it was lost are answered, and so are those after it.
#[test]
fn requests_outlive_the_device() {
    let Some(gpu) = gpu() else { return };
    block_on(async {
        let house = House::on(gpu.clone(), &guest("digits"), DIGITS).await;
        let expected = house.ask(&[("image", image())]).await.unwrap();
        let expected: Vec<f32> = numbers(&expected, "probabilities");
        for _ in 0..5 {
            let inputs = [("image", image())];
            let lose = async {
                tokio::time::sleep(Duration::from_millis(2)).await;
                gpu.lose();
            };
            let (first, second, third, ()) =
                tokio::join!(house.ask(&inputs), house.ask(&inputs), house.ask(&inputs), lose);
            for answer in [first, second, third, house.ask(&inputs).await] {
                let answer = answer.unwrap();
                assert_eq!(numbers::<f32>(&answer, "probabilities"), expected);
                assert_eq!(answer.device.unwrap().kind, DeviceKind::Gpu);
            }
        }
        returned(&house, "nothing is held on devices that are gone").await;
    });
}

/// Set in the process that is a test's own, to the one driver that it finds.
const DRIVER: &str = "BURST_TEST_DRIVER";

/// Runs a test of this file in a process that finds lavapipe, and nothing else, where its own file says so.
fn alone_with_lavapipe(test: &str) {
    let directory = tempfile::tempdir().unwrap();
    let driver = directory.path().join("driver.json");
    let icd = |file: &std::fs::DirEntry| file.file_name().to_string_lossy().starts_with("lvp_icd");
    let found = std::fs::read_dir("/usr/share/vulkan/icd.d").unwrap().flatten().find(icd).unwrap();
    std::fs::copy(found.path(), &driver).unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture"]).env(DRIVER, &driver).env("VK_DRIVER_FILES", &driver);
    command.env_remove("VK_ADD_DRIVER_FILES").env_remove("VK_ICD_FILENAMES");
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && told.contains("1 passed"), "{told}");
}

/// Without its driver a lost device is a fault for who asks, until the driver is there again.
#[test]
fn a_driver_that_is_taken_away_is_a_fault_until_it_is_back() {
    let Some(driver) = std::env::var_os(DRIVER).map(PathBuf::from) else {
        if llvmpipe() {
            alone_with_lavapipe("device::a_driver_that_is_taken_away_is_a_fault_until_it_is_back");
        }
        return;
    };
    let gpu = gpu().unwrap();
    block_on(async {
        let house = House::on(gpu.clone(), &guest("digits"), DIGITS).await;
        let expected: Vec<f32> = numbers(&house.ask(&[("image", image())]).await.unwrap(), "probabilities");
        let aside = driver.with_extension("aside");
        std::fs::rename(&driver, &aside).unwrap();
        gpu.lose();
        for _ in 0..3 {
            let answer = house.ask(&[("image", image())]).await;
            assert!(matches!(answer, Err(ServeError::DeviceLost)), "{:?}", answer.map(drop));
        }
        std::fs::rename(&aside, &driver).unwrap();
        let mut answer = house.ask(&[("image", image())]).await;
        for _ in 0..100 {
            if answer.is_ok() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            answer = house.ask(&[("image", image())]).await;
        }
        assert_eq!(numbers::<f32>(&answer.unwrap(), "probabilities"), expected);
    });
}

/// Weights are on the device once, whoever runs the model.
#[test]
fn guests_share_a_model() {
    let Some(gpu) = gpu() else { return };
    block_on(async {
        let (deployer, service) = (deployer_on(gpu.clone(), None), Service::default());
        for name in ["one", "two"] {
            let guest = deployer.deploy(name, &config(&guest("digits"), DIGITS), BTreeMap::new()).await.unwrap();
            service.insert(Arc::new(guest));
        }
        let ask = async |guest: &str| {
            let inputs = vec![("image".into(), image())];
            service
                .answer(Request { guest: guest.into(), inputs, sequence: None, timeout: None, id: None })
                .await
                .unwrap();
        };
        ask("one").await;
        ask("one").await;
        let held = gpu.held_bytes();
        ask("two").await;
        assert!(held > Some(0) && gpu.held_bytes() == held, "{held:?}, then {:?}", gpu.held_bytes());
    });
}

/// Runs digits in a process that finds no Vulkan driver.
fn without_drivers(accelerator: &[&str]) -> (bool, String) {
    let (cache, outputs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = Burst::command(cache.path());
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        command.env(variable, "/nowhere.json");
    }
    command.env_remove("VK_ADD_DRIVER_FILES").env_remove("XDG_RUNTIME_DIR");
    command.args(["run", "guests/digits/model/digits.onnx", "--input", "image=tests/data/digits/images.npy"]);
    let output = command.arg("--output-dir").arg(outputs.path()).args(accelerator).output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (output.status.success(), told.concat())
}

#[test]
fn without_a_driver_a_gpu_is_an_error_and_auto_is_the_cpu() {
    let (success, told) = without_drivers(&["--accelerator", "gpu"]);
    assert!(!success && told.contains("no GPU here") && !told.contains("panicked"), "{told}");
    let (success, told) = without_drivers(&["--accelerator", "gpu", "--fallback", "cpu"]);
    assert!(!success && told.contains("no GPU here"), "a device that is absent is no missing operator: {told}");
    let (success, told) = without_drivers(&["--accelerator", "auto"]);
    assert!(success && told.contains("computed by cpu"), "{told}");
}

/// A driver that computes on the CPU is listed, and never chosen.
#[test]
fn doctor_shows_what_the_drivers_show() {
    if !llvmpipe() {
        return;
    }
    let cache = tempfile::tempdir().unwrap();
    let output = Burst::command(cache.path()).arg("doctor").env_remove("XDG_RUNTIME_DIR").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["gpu: llvmpipe", "software; taken only by its name", "binding bytes 134217728", "kernels"] {
        assert!(told.contains(part), "no `{part}`: {told}");
    }
    let chosen = told.lines().find(|line| line.contains("auto chooses")).unwrap();
    assert!(!chosen.contains("llvmpipe"), "{chosen}");
    let noise = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!noise.contains("XDG_RUNTIME_DIR"), "{noise}");
}
