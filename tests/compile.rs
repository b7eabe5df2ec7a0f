//! A compiled model is a guest like any: it answers what the model does, within the same limits.

use crate::support::{Burst, House, block_on, config, deployer, root};
use burst_host::{
    loops::{deploy::DeployError, serve::ServeError},
    nouns::{Element, Plan, Tensor},
};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const DIGITS: &str = "guests/digits/model/digits.onnx";

/// A directory in the repository: a house takes nothing from elsewhere.
fn directory() -> TempDir {
    let target = root().join("target");
    fs::create_dir_all(&target).unwrap();
    tempfile::tempdir_in(target).unwrap()
}

fn run(arguments: &[&str]) -> String {
    let output = Burst::run(arguments);
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success(), "{arguments:?}: {told}");
    told
}

/// The digits' model as a guest, and its name in the repository.
fn digits() -> (TempDir, String) {
    let directory = directory();
    let component = directory.path().join("digits.wasm");
    run(&["compile", DIGITS, "--output", component.to_str().unwrap()]);
    let name = component.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
    (directory, name)
}

/// Computes `model` with inputs by name, and gives where the outputs are.
fn outputs(model: &Path, inputs: &[(&str, PathBuf)]) -> TempDir {
    let outputs = tempfile::tempdir().unwrap();
    let inputs: Vec<String> = inputs.iter().map(|(name, path)| format!("{name}={}", path.display())).collect();
    let mut arguments = vec!["run", model.to_str().unwrap(), "--output-dir", outputs.path().to_str().unwrap()];
    inputs.iter().for_each(|input| arguments.extend(["--input", input]));
    run(&arguments);
    outputs
}

fn images() -> PathBuf {
    root().join("tests/data/digits/images.npy")
}

#[test]
fn a_compiled_model_answers_what_the_model_does() {
    let (directory, _) = digits();
    let whole = outputs(&root().join(DIGITS), &[("image", images())]);
    let guest = outputs(&directory.path().join("digits.wasm"), &[("image", images())]);
    let read = |outputs: &TempDir| fs::read(outputs.path().join("probabilities.npy")).unwrap();
    assert_eq!(read(&whole), read(&guest));
    let component = fs::metadata(directory.path().join("digits.wasm")).unwrap().len();
    assert!(component < 32 << 10, "the weights are elsewhere: {component} bytes");
}

#[test]
fn fragments_are_guests_too() {
    let directory = tempfile::tempdir().unwrap();
    run(&["split", DIGITS, "--parts", "2", "--output", directory.path().to_str().unwrap()]);
    let plan = Plan::parse(&fs::read(directory.path().join(Plan::FILE)).unwrap()).unwrap();
    let whole = outputs(&root().join(DIGITS), &[("image", images())]);
    let (first, second) = (&plan.fragments[0], &plan.fragments[1]);
    assert_eq!((first.outputs.len(), &second.inputs), (1, &first.outputs), "one value crosses this cut");
    let between = outputs(&directory.path().join(first.component_file()), &[("image", images())]);
    let file = fs::read_dir(between.path()).unwrap().next().unwrap().unwrap().path();
    let found = outputs(&directory.path().join(second.component_file()), &[(&second.inputs[0], file)]);
    let read = |outputs: &TempDir| fs::read(outputs.path().join("probabilities.npy")).unwrap();
    assert_eq!(read(&whole), read(&found));
}

#[test]
fn a_compiled_model_is_served_with_its_own_signature() {
    let (_directory, component) = digits();
    let image = Tensor::from_slice(Element::Fp32, [1, 1, 8, 8], &[0.5f32; 64]).unwrap();
    block_on(async {
        let house = House::new(&component, "").await;
        assert_eq!(house.deployment.signature.inputs[0].name, "image");
        assert_eq!(house.deployment.signature.outputs[0].name, "probabilities");
        for _ in 0..20 {
            let answer = house.ask(&[("image", image.clone())]).await.unwrap();
            assert_eq!(answer.outputs[0].1.spec().shape.extents(), [1, 10]);
            assert!(answer.device.is_some());
        }
        let told = house.deployment.signature.to_string();
        let refused = house.ask(&[("picture", image.clone())]).await.unwrap_err();
        assert!(matches!(&refused, ServeError::Invalid(_)), "{refused:?} for {told}");
        // The limits are the pool's and the lease's, whoever wrote the guest.
        let small = House::new(&component, "[limits]\ntensor_max_bytes = 100").await;
        assert!(small.ask(&[("image", image.clone())]).await.is_err());
    });
}

#[test]
fn a_component_with_a_graph_takes_no_other_of_its_name() {
    let (directory, component) = digits();
    let compile = |rest: &str| {
        let guest = config(&component, rest);
        block_on(async { deployer(None).compile(&guest, BTreeMap::new()).await.map(drop) })
    };
    assert!(compile("").is_ok());
    let twice = compile(&format!("[models]\ngraph = {DIGITS:?}"));
    assert!(matches!(twice, Err(DeployError::TwoGraphs)), "{twice:?}");
    // The weights are checked against their names.
    let blobs = fs::read_dir(directory.path().join("blobs/sha256")).unwrap();
    let blob = blobs.map(|blob| blob.unwrap().path()).next().unwrap();
    fs::write(&blob, [fs::read(&blob).unwrap().as_slice(), b"more"].concat()).unwrap();
    let damaged = compile("").unwrap_err().to_string();
    assert!(damaged.contains("not what its name says"), "{damaged}");
}

#[test]
fn what_is_no_model_is_not_compiled() {
    let directory = tempfile::tempdir().unwrap();
    let component = directory.path().join("never.wasm");
    let output = Burst::run(&["compile", "justfile", "--output", component.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains("the model `justfile`"), "{told}");
    assert!(!component.exists());
}
