//! `accelerator = "npu"`: a provider that is named, shapes that are fixed, and no other device that stands in. OpenVINO's
//! CPU device and the simulator of Qualcomm's NPU stand for NPUs: ONNX Runtime's own CPU kernels are switched off there,
//! too.

use crate::support::{Burst, guest, npy, onnxruntime_library, openvino_library, qnn_plugin, root};
use burst_adapters::onnx;
use burst_host::nouns::{Attribute, Element, Graph, Op, Opset, Port, Tensor};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

const DIGITS: &str = "guests/digits/model/digits.onnx";
const OPENVINO: [&str; 2] = ["--npu", "openvino:CPU"];

/// Runs a model on an NPU, and gives whether it did, with all that was told.
fn run(model: &Path, library: &Path, cache: &Path, outputs: &Path, arguments: &[&str]) -> (bool, String) {
    let mut command = Burst::command(cache);
    command.arg("run").arg(model).args(["--accelerator", "npu", "--output-dir"]).arg(outputs);
    let output = command.args(arguments).env("ORT_DYLIB_PATH", library).output().unwrap();
    let told = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(!told.contains("panicked"), "{told}");
    (output.status.success(), told)
}

/// The same for a test that looks at nothing else.
fn told(model: &Path, library: &Path, arguments: &[&str]) -> (bool, String) {
    let directory = tempfile::tempdir().unwrap();
    run(model, library, directory.path(), directory.path(), arguments)
}

fn refused(model: &Path, library: &Path, arguments: &[&str], parts: &[&str]) {
    let (ran, told) = told(model, library, arguments);
    assert!(!ran, "{arguments:?}: {told}");
    // Lines are broken to the width of a terminal.
    let told = told.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    parts.iter().for_each(|part| assert!(told.contains(part), "{arguments:?} has no `{part}`: {told}"));
}

#[test]
fn npu_that_is_not_here_is_an_error_that_names_what_was_found() {
    let digits = root().join(DIGITS);
    let image = ["--input", "image=tests/data/digits/images.npy"];
    let with = |npu: &'static str| [image[0], image[1], "--npu", npu];
    let openvino = openvino_library();
    refused(&digits, &openvino, &image, &["no NPU is named", "npu.provider"]);
    let parts = ["no device `NPU.7`", "found:", "/dev/accel", "pip install onnxruntime-openvino"];
    refused(&digits, &openvino, &with("openvino:NPU.7"), &parts);
    // OpenVINO would take the CPU in silence.
    refused(&digits, &openvino, &with("openvino:AUTO:NPU,CPU"), &["lets the provider choose", "name one"]);
    let parts = ["has no openvino provider built in", "it has ", "CPUExecutionProvider"];
    refused(&digits, &onnxruntime_library(), &with("openvino"), &parts);
    refused(&digits, &openvino, &with("qnn"), &["has no qnn provider built in", "npu.library"]);
    refused(&digits, &openvino, &with("tpu"), &["openvino, qnn, vitisai"]);
    let plugin = |library: &'static str| [image[0], image[1], "--npu", "qnn", "--npu-library", library];
    refused(&digits, &openvino, &plugin("/nowhere/libqnn.so"), &["/nowhere/libqnn.so can't be loaded"]);
    // There is a simulator of it, which has to be asked for as the CPU that it is.
    let plugin = qnn_plugin();
    let plugin = [image[0], image[1], "--npu", "qnn", "--npu-library", plugin.to_str().unwrap()];
    refused(&digits, &onnxruntime_library(), &plugin, &["no device `htp`", "QNNExecutionProvider CPU"]);
}

#[test]
fn openvino_computes_models_as_onnx_runtime_does() {
    for (name, inputs, output) in [
        ("mobilenetv2", &["input"][..], "logits"),
        ("minilm_l6_s128", &["input_ids", "attention_mask"], "last_hidden_state"),
    ] {
        let models = root().join("target/models");
        let found = tempfile::tempdir().unwrap();
        let inputs: Vec<String> = inputs
            .iter()
            .flat_map(|input| {
                let file = models.join(format!("{name}.{input}.npy"));
                ["--input".into(), format!("{input}={}", file.display())]
            })
            .collect();
        let arguments: Vec<&str> = OPENVINO.into_iter().chain(inputs.iter().map(String::as_str)).collect();
        let model = models.join(format!("{name}.onnx"));
        let (ran, told) = run(&model, &openvino_library(), found.path(), found.path(), &arguments);
        assert!(ran, "{name}: {told}");
        assert!(told.contains("computed by cpu: ") && told.contains(", openvino)"), "{name}: {told}");
        let read = |path: PathBuf| npy::read(&path).unwrap().to_vec::<f32>().unwrap();
        let expected = read(models.join(format!("{name}.{output}.expected.npy")));
        let found = read(found.path().join(format!("{output}.npy")));
        let largest = expected.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        assert_eq!(found.len(), expected.len());
        let close = |(found, expected): (&f32, &f32)| (found - expected).abs() <= 1e-4 * largest;
        assert!(found.iter().zip(&expected).all(close), "{name}");
    }
}

#[test]
fn open_axis_needs_its_lengths() {
    let digits = root().join(DIGITS);
    let image = ["--input", "image=tests/data/digits/images.npy", "--npu", "openvino:CPU"];
    let count = npy::read(&root().join("tests/data/digits/images.npy")).unwrap().spec().shape.extents()[0];
    let bucket = |length: usize| format!("N=1,{length}");
    let (right, other) = (bucket(count), bucket(count + 1));
    let with = |bucket| [&image[..], &["--bucket", bucket]].concat();
    refused(&digits, &openvino_library(), &image, &["`N` may be of any length", "npu.buckets"]);
    refused(&digits, &openvino_library(), &with(other.as_str()), &["no program was compiled for this shape", "`N` is"]);
    let (ran, told) = told(&digits, &openvino_library(), &with(right.as_str()));
    assert!(ran, "{told}");
}

#[test]
fn padded_requests_are_answered_as_they_are_alone() {
    let directory = tempfile::tempdir().unwrap();
    let manifest = directory.path().join("burst.toml");
    fs::copy(guest("digits"), directory.path().join("digits.wasm")).unwrap();
    fs::copy(root().join(DIGITS), directory.path().join("digits.onnx")).unwrap();
    let text = format!(
        "accelerator = \"npu\"\n[onnxruntime]\nlibrary = {:?}\n\
         [npu]\nprovider = \"openvino\"\ndevice = \"CPU\"\nbuckets.N = [1, 4]\npad = [\"N\"]\n\
         [guests.digits]\ncomponent = \"digits.wasm\"\nmodels.digits = \"digits.onnx\"\n",
        openvino_library()
    );
    fs::write(&manifest, text).unwrap();
    let burst = Burst::serve(&manifest);
    let answer = |images: &[f32]| {
        let data: Vec<String> = images.iter().flat_map(|value| vec![value.to_string(); 64]).collect();
        let (count, data) = (images.len(), data.join(","));
        let input = format!(r#"{{"name":"image","datatype":"FP32","shape":[{count},1,8,8],"data":[{data}]}}"#);
        burst.post("/v2/models/digits/infer", &format!(r#"{{"inputs":[{input}]}}"#))
    };
    let numbers = |(status, text): (u16, String)| {
        assert_eq!(status, 200, "{text}");
        let answer: serde_json::Value = serde_json::from_str(&text).unwrap();
        let output = answer["outputs"].as_array().unwrap()[0].clone();
        output["data"].as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect::<Vec<_>>()
    };
    let three = numbers(answer(&[0.25, 0.5, 0.75]));
    let alone: Vec<f64> = [0.25, 0.5, 0.75].iter().flat_map(|image| numbers(answer(&[*image]))).collect();
    assert_eq!(three.len(), alone.len());
    assert!(three.iter().zip(&alone).all(|(three, alone)| (three - alone).abs() < 1e-5), "{three:?}, {alone:?}");
    let (status, text) = answer(&[0.5; 5]);
    assert!(status >= 400 && text.contains("`N` is 5"), "{status}: {text}");
}

/// A model of one operator, with its inputs in files.
struct Small {
    directory: TempDir,
    arguments: Vec<String>,
}

impl Small {
    fn new(kind: &str, inputs: &[(&str, Tensor)], attributes: &[(&str, Attribute)], output: Element) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut arguments: Vec<String> = OPENVINO.map(String::from).to_vec();
        for (name, tensor) in inputs {
            let file = directory.path().join(format!("{name}.npy"));
            npy::write(&file, tensor).unwrap();
            arguments.extend(["--input".into(), format!("{name}={}", file.display())]);
        }
        let graph = Graph {
            ir_version: 8,
            opsets: vec![Opset { domain: String::new(), version: 18 }],
            inputs: inputs.iter().map(|(name, tensor)| Port::exactly(name, tensor.spec())).collect(),
            outputs: vec![Port { name: "y".into(), element: Some(output), shape: None, optional: false }],
            ops: vec![Op {
                kind: kind.into(),
                inputs: inputs.iter().map(|(name, _)| (*name).into()).collect(),
                attributes: attributes.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
                ..Op::identity(String::new(), "y".into())
            }],
            ..Graph::default()
        };
        fs::write(directory.path().join("model.onnx"), onnx::encode(&graph).unwrap()).unwrap();
        Self { directory, arguments }
    }

    fn refused(&self, parts: &[&str]) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        refused(&self.directory.path().join("model.onnx"), &openvino_library(), &arguments, parts);
    }

    fn computes<T: bytemuck::AnyBitPattern + PartialEq + std::fmt::Debug>(&self, expected: &[T]) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        let (model, outputs) = (self.directory.path().join("model.onnx"), self.directory.path().join("outputs"));
        let (ran, told) = run(&model, &openvino_library(), self.directory.path(), &outputs, &arguments);
        assert!(ran, "{told}");
        assert_eq!(npy::read(&outputs.join("y.npy")).unwrap().to_vec::<T>().unwrap(), expected);
    }
}

fn integers(values: &[i64]) -> Tensor {
    Tensor::from_slice(Element::I64, [values.len()], values).unwrap()
}

fn floats(values: &[f32]) -> Tensor {
    Tensor::from_slice(Element::Fp32, [values.len()], values).unwrap()
}

#[test]
fn integers_beyond_32_bits_are_refused() {
    let product =
        |a: i64, b: i64| Small::new("Mul", &[("a", integers(&[a])), ("b", integers(&[b]))], &[], Element::I64);
    product(60_000, -30_000).computes(&[-1_800_000_000i64]);
    product(60_000, 60_000).refused(&["operator Mul", "32 bits"]);
    product(3_000_000_000, 1).refused(&["input 0", "32 bits"]);
    let to = [("to", Attribute::Int(7))];
    Small::new("Cast", &[("x", floats(&[3e9]))], &to, Element::I64).refused(&["operator Cast", "32 bits"]);
}

#[test]
fn what_openvino_computes_otherwise_is_refused() {
    let (a, b) = (integers(&[6, 7]), integers(&[3, 0]));
    Small::new("Div", &[("a", a), ("b", b)], &[], Element::I64).refused(&["operator Div", "divided by zero"]);
    let doubles = Tensor::from_slice(Element::Fp64, [2], &[1.0f64, 2.0]).unwrap();
    Small::new("Exp", &[("x", doubles)], &[], Element::Fp64).refused(&["operator Exp", "FP64"]);
    Small::new("Relu", &[("x", floats(&[1.0, f32::NAN]))], &[], Element::Fp32).refused(&["input 0", "NaN"]);
    let image = Tensor::from_slice(Element::Fp32, [1, 1, 4, 4], &[0.5f32; 16]).unwrap();
    // An empty region, and scales.
    let inputs = [("x", image), ("roi", floats(&[])), ("scales", floats(&[1.0, 1.0, 0.5, 0.5]))];
    let attributes = [("mode", Attribute::Text(b"linear".to_vec())), ("antialias", Attribute::Int(1))];
    Small::new("Resize", &inputs, &attributes, Element::Fp32).refused(&["operator Resize", "antialiasing"]);
}

#[test]
fn operators_that_the_npu_does_not_take_are_named() {
    Small::new("Unique", &[("x", floats(&[1.0, 2.0]))], &[], Element::Fp32).refused(&["openvino CPU", "Unique (1)"]);
}

#[test]
fn doctor_tells_which_operators_the_npu_takes() {
    let small = Small::new("Unique", &[("x", floats(&[1.0, 2.0]))], &[], Element::Fp32);
    let doctor = |model: &Path, more: &[&str]| {
        let mut command = Burst::command(small.directory.path());
        command.args(["doctor", "--model"]).arg(model).args(OPENVINO).args(more);
        let output = command.env("ORT_DYLIB_PATH", openvino_library()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let told = doctor(&small.directory.path().join("model.onnx"), &[]);
    let row = |told: &str, name: &str| {
        told.lines()
            .find(|line| line.trim_start().starts_with(name))
            .unwrap_or_else(|| panic!("{name}: {told}"))
            .to_owned()
    };
    assert!(row(&told, "npu").contains("refuses it"), "{told}");
    assert!(row(&told, "Unique").contains("left by the NPU"), "{told}");
    let told = doctor(&root().join(DIGITS), &["--bucket", "N=1"]);
    assert!(row(&told, "npu").contains("takes it"), "{told}");
    assert!(row(&told, "Conv").contains("OpenVINOExecutionProvider"), "{told}");
    assert!(row(&told, "cpu").contains("takes it"), "{told}");
}

/// Runs the model of digits three times with one cache, which keeps what was compiled of it, and gives the probabilities.
/// OpenVINO's CPU device reads nothing of what it keeps, and writes it again.
fn kept(library: &Path, arguments: &[&str], is_read: bool) -> Vec<f32> {
    let (cache, outputs) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let count = npy::read(&root().join("tests/data/digits/images.npy")).unwrap().spec().shape.extents()[0];
    let bucket = format!("N={count}");
    let digits = ["--bucket", &bucket, "--input", "image=tests/data/digits/images.npy"];
    let arguments = [arguments, &digits[..]].concat();
    let run = || {
        let (ran, told) = run(&root().join(DIGITS), library, cache.path(), outputs.path(), &arguments);
        assert!(ran, "{told}");
        told
    };
    let entries = || {
        let files = fs::read_dir(cache.path().join("burst")).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|extension| extension == "npu")).collect::<Vec<_>>()
    };
    run();
    let kept = entries();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let written = fs::metadata(&kept[0]).unwrap().modified().unwrap();
    run();
    assert_eq!(fs::metadata(&kept[0]).unwrap().modified().unwrap() == written, is_read, "{arguments:?}");
    let mut bytes = fs::read(&kept[0]).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&kept[0], bytes).unwrap();
    let told = run();
    assert!(told.contains("a cached entry is discarded"), "{told}");
    assert_eq!(entries().len(), 1);
    npy::read(&outputs.path().join("probabilities.npy")).unwrap().to_vec().unwrap()
}

#[test]
fn compiled_model_is_kept_and_a_forged_one_is_compiled_again() {
    let openvino = kept(&openvino_library(), &OPENVINO, false);
    let plugin = qnn_plugin();
    let plugin = ["--npu", "qnn:CPU", "--npu-option", "backend_type=htp", "--npu-library", plugin.to_str().unwrap()];
    let qnn = kept(&onnxruntime_library(), &plugin, true);
    assert_eq!(openvino.len(), qnn.len());
    assert!(openvino.iter().zip(&qnn).all(|(openvino, qnn)| (openvino - qnn).abs() < 0.01));
}
