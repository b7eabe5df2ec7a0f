//! Convolutions of real models beside cuDNN, or beside ONNX Runtime where there is no GPU.

use crate::{
    rates::{seconds_a_run, told},
    report::{Flags, Report, Row},
};
use burst_host::{
    nouns::{Attribute, Element, Extent, Graph, Op, Opset, Port, Tensor},
    ports::Accelerator,
};

/// One picture, as wide as high, which keeps its size.
struct Convolution {
    name: &'static str,
    channels: usize,
    out: usize,
    side: usize,
    kernel: usize,
    groups: usize,
}

/// ResNet-50's, by what they compute on, and one of MobileNetV2.
const CONVOLUTIONS: [Convolution; 5] = [
    Convolution { name: "3x3_56x56x64", channels: 64, out: 64, side: 56, kernel: 3, groups: 1 },
    Convolution { name: "3x3_28x28x128", channels: 128, out: 128, side: 28, kernel: 3, groups: 1 },
    Convolution { name: "3x3_14x14x256", channels: 256, out: 256, side: 14, kernel: 3, groups: 1 },
    Convolution { name: "1x1_56x56x64", channels: 64, out: 256, side: 56, kernel: 1, groups: 1 },
    Convolution { name: "depthwise_112x112x96", channels: 96, out: 96, side: 112, kernel: 3, groups: 96 },
];
const QUICK: usize = 1;

pub fn measure(accelerator: &dyn Accelerator, flags: &Flags, report: &mut Report) {
    for convolution in CONVOLUTIONS.iter().take(flags.pick(QUICK, CONVOLUTIONS.len())) {
        let (seconds, n) = seconds_a_run(accelerator, &convolution.graph());
        let (metric, value) =
            (format!("conv_gflops_{}", convolution.name), Some(convolution.operations() / seconds / 1e9));
        let (peer, peer_value) = ("a convolution on this device", convolution.peer());
        report.add(Row { metric, unit: "GFLOP/s", value, peer, peer_value, n });
    }
}

impl Convolution {
    fn operations(&self) -> f64 {
        let taps = self.channels / self.groups * self.kernel * self.kernel;
        2.0 * (self.out * self.side * self.side * taps) as f64
    }

    fn peer(&self) -> Option<f64> {
        let numbers = [self.channels, self.out, self.side, self.kernel, self.groups].map(|number| number.to_string());
        let words = ["tests/bench/rates.py", "conv"].into_iter().chain(numbers.iter().map(String::as_str));
        told(&words.collect::<Vec<_>>())
    }

    fn graph(&self) -> Graph {
        let weight = [self.out, self.channels / self.groups, self.kernel, self.kernel];
        let numbers: Vec<f32> = (0..weight.iter().product()).map(|at: usize| (at % 251) as f32 / 251.0).collect();
        let picture = [1, self.channels, self.side, self.side].map(Extent::Fixed).to_vec();
        let port = |name: &str, element, shape| Port { name: name.into(), element, shape, optional: false };
        Graph {
            name: self.name.into(),
            ir_version: 8,
            opsets: vec![Opset { domain: String::new(), version: 17 }],
            inputs: vec![port("x", Some(Element::Fp32), Some(picture))],
            outputs: vec![port("y", None, None)],
            constants: vec![("w".into(), Tensor::from_slice(Element::Fp32, weight, &numbers).unwrap())],
            ops: vec![Op {
                kind: "Conv".into(),
                inputs: vec!["x".into(), "w".into()],
                attributes: vec![
                    ("group".into(), Attribute::Int(self.groups as i64)),
                    ("pads".into(), Attribute::Ints(vec![self.kernel as i64 / 2; 4])),
                ],
                ..Op::identity(String::new(), "y".into())
            }],
            ..Graph::default()
        }
    }
}
