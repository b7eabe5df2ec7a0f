//! Recurrent networks beside their definitions, where ONNX's own tests are silent: lengths, first states, both directions
//! at once, clips, coupled gates, resets after the product and other activations.

use super::{numbers, open};
use crate::conformance::{Case, Run, Sketch, check_case};
use burst_host::nouns::{Attribute, Element, Tensor};

const STEPS: usize = 5;
const BATCHES: usize = 3;
const WIDTH: usize = 4;
const UNITS: usize = 6;
/// Some samples end early.
const LENGTHS: [i32; BATCHES] = [5, 2, 4];

/// A network of two directions.
struct Network {
    kind: &'static str,
    gates: usize,
    clip: Option<f64>,
    coupled: bool,
    peepholes: bool,
    reset_after: bool,
    hard: bool,
}

const LSTM: Network =
    Network { kind: "LSTM", gates: 4, clip: None, coupled: false, peepholes: false, reset_after: false, hard: false };

#[tokio::test]
async fn plain_networks() {
    let plain = Network { kind: "RNN", gates: 1, ..LSTM };
    check(Network { clip: Some(0.3), ..plain }).await;
    check(Network { kind: "RNN", gates: 1, hard: true, ..LSTM }).await;
}

#[tokio::test]
async fn long_short_term_memories() {
    check(LSTM).await;
    check(Network { peepholes: true, clip: Some(0.5), ..LSTM }).await;
    check(Network { coupled: true, hard: true, ..LSTM }).await;
}

#[tokio::test]
async fn gated_units() {
    check(Network { kind: "GRU", gates: 3, ..LSTM }).await;
    check(Network { kind: "GRU", gates: 3, reset_after: true, clip: Some(0.4), ..LSTM }).await;
}

async fn check(network: Network) {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let gates = network.gates;
    let mut shapes = vec![
        vec![STEPS, BATCHES, WIDTH],
        vec![2, gates * UNITS, WIDTH],
        vec![2, gates * UNITS, UNITS],
        vec![2, 2 * gates * UNITS],
        vec![2, BATCHES, UNITS],
    ];
    if network.kind == "LSTM" {
        shapes.push(vec![2, BATCHES, UNITS]);
    }
    if network.peepholes {
        shapes.push(vec![2, 3 * UNITS]);
    }
    let drawn = |(seed, shape): (usize, &Vec<usize>)| {
        Tensor::from_slice(Element::Fp32, shape.clone(), &numbers(shape.iter().product(), seed as u32 + 7)).unwrap()
    };
    let mut inputs: Vec<Tensor> = shapes.iter().enumerate().map(drawn).collect();
    let expected = network.answer(&inputs);
    inputs.insert(4, Tensor::from_slice(Element::I32, [BATCHES], &LENGTHS).unwrap());
    let case = Case { name: network.kind.into(), graph: network.graph(), runs: vec![Run { inputs, expected }] };
    check_case(&accelerator, &case).await;
}

impl Network {
    fn graph(&self) -> burst_host::nouns::Graph {
        let mut names = vec!["x", "w", "r", "b", "lengths", "h"];
        names.extend((self.kind == "LSTM").then_some("c"));
        names.extend(self.peepholes.then_some("p"));
        let mut sketch = Sketch::new(self.kind);
        for name in &names {
            let rank = if matches!(*name, "b" | "p") { "? ?" } else { "? ? ?" };
            sketch = match *name {
                "lengths" => sketch.input(name, Element::I32, "?"),
                _ => sketch.input(name, Element::Fp32, rank),
            };
        }
        let outputs = if self.kind == "LSTM" { "y yh yc" } else { "y yh" };
        let mut graph = sketch.op(self.kind, &names.join(" "), outputs).graph();
        let attributes = &mut graph.ops[0].attributes;
        attributes.push(("direction".into(), Attribute::Text(b"bidirectional".to_vec())));
        attributes.push(("hidden_size".into(), Attribute::Int(UNITS as i64)));
        attributes.push(("input_forget".into(), Attribute::Int(self.coupled.into())));
        attributes.push(("linear_before_reset".into(), Attribute::Int(self.reset_after.into())));
        attributes.extend(self.clip.map(|clip| ("clip".into(), Attribute::Float(clip as f32))));
        if self.hard {
            let each: &[&str] = if self.gates == 1 { &["Softsign"] } else { &["HardSigmoid", "Softsign", "Softsign"] };
            let names = each.iter().chain(each).map(|name| name.as_bytes().to_vec()).collect();
            attributes.push(("activations".into(), Attribute::Texts(names)));
        }
        let port = |name: &str| Sketch::new("").output(name).graph().outputs.remove(0);
        graph.outputs = outputs.split(' ').map(port).collect();
        graph
    }

    /// By the definitions, in f64, sample after sample.
    fn answer(&self, inputs: &[Tensor]) -> Vec<Tensor> {
        let given: Vec<Vec<f64>> = inputs.iter().map(wide).collect();
        let mut y = vec![0.0f32; STEPS * 2 * BATCHES * UNITS];
        let mut last = [vec![0.0f32; 2 * BATCHES * UNITS], vec![0.0f32; 2 * BATCHES * UNITS]];
        for direction in 0..2 {
            for (batch, length) in LENGTHS.into_iter().enumerate() {
                let row = (direction * BATCHES + batch) * UNITS;
                let mut hidden = given[4][row..][..UNITS].to_vec();
                let mut cell = if self.kind == "LSTM" { given[5][row..][..UNITS].to_vec() } else { hidden.clone() };
                let length = length as usize;
                for step in 0..length {
                    let time = if direction == 1 { length - 1 - step } else { step };
                    let x = &given[0][(time * BATCHES + batch) * WIDTH..][..WIDTH];
                    (hidden, cell) = self.step(&given, direction, x, &hidden, &cell);
                    let at = ((time * 2 + direction) * BATCHES + batch) * UNITS;
                    y[at..][..UNITS].iter_mut().zip(&hidden).for_each(|(to, from)| *to = *from as f32);
                }
                for (to, from) in last.iter_mut().zip([&hidden, &cell]) {
                    to[row..][..UNITS].iter_mut().zip(from).for_each(|(to, from)| *to = *from as f32);
                }
            }
        }
        let tensor = |extents: &[usize], values: &[f32]| Tensor::from_slice(Element::Fp32, extents, values).unwrap();
        let mut expected = vec![tensor(&[STEPS, 2, BATCHES, UNITS], &y), tensor(&[2, BATCHES, UNITS], &last[0])];
        expected.extend((self.kind == "LSTM").then(|| tensor(&[2, BATCHES, UNITS], &last[1])));
        expected
    }

    fn step(
        &self,
        given: &[Vec<f64>],
        direction: usize,
        x: &[f64],
        hidden: &[f64],
        cell: &[f64],
    ) -> (Vec<f64>, Vec<f64>) {
        let rows = self.gates * UNITS;
        let of = |index: usize, length: usize| &given[index][direction * length..][..length];
        let (w, r, b) = (of(1, rows * WIDTH), of(2, rows * UNITS), of(3, 2 * rows));
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let from_input = |gate: usize, unit: usize| {
            let row = gate * UNITS + unit;
            dot(&w[row * WIDTH..][..WIDTH], x) + b[row]
        };
        let from_state = |gate: usize, unit: usize, state: &[f64]| {
            let row = gate * UNITS + unit;
            dot(&r[row * UNITS..][..UNITS], state) + b[rows + row]
        };
        let clipped = |x: f64| self.clip.map_or(x, |clip| x.clamp(-clip, clip));
        let f = |x: f64| {
            if self.hard { (0.2 * clipped(x) + 0.5).clamp(0.0, 1.0) } else { 1.0 / (1.0 + (-clipped(x)).exp()) }
        };
        let squash = |x: f64| if self.hard { x / (1.0 + x.abs()) } else { x.tanh() };
        let g = |x: f64| squash(clipped(x));
        let peephole = |gate: usize, unit: usize, cell: f64| {
            if self.peepholes { given[6][direction * 3 * UNITS + gate * UNITS + unit] * cell } else { 0.0 }
        };
        let gate = |gate: usize, unit: usize| from_input(gate, unit) + from_state(gate, unit, hidden);
        match self.kind {
            "RNN" => ((0..UNITS).map(|unit| g(gate(0, unit))).collect(), cell.to_vec()),
            "GRU" => {
                let reset: Vec<f64> = (0..UNITS).map(|unit| f(gate(1, unit))).collect();
                let kept: Vec<f64> = reset.iter().zip(hidden).map(|(reset, hidden)| reset * hidden).collect();
                let next = |unit: usize| {
                    let product = if self.reset_after {
                        reset[unit] * from_state(2, unit, hidden)
                    } else {
                        from_state(2, unit, &kept)
                    };
                    let update = f(gate(0, unit));
                    (1.0 - update) * g(from_input(2, unit) + product) + update * hidden[unit]
                };
                ((0..UNITS).map(next).collect(), cell.to_vec())
            }
            _ => {
                let next = |unit: usize| {
                    let entry = f(gate(0, unit) + peephole(0, unit, cell[unit]));
                    let forget =
                        if self.coupled { 1.0 - entry } else { f(gate(2, unit) + peephole(2, unit, cell[unit])) };
                    let state = forget * cell[unit] + entry * g(gate(3, unit));
                    (f(gate(1, unit) + peephole(1, unit, state)) * squash(state), state)
                };
                (0..UNITS).map(next).unzip()
            }
        }
    }
}

fn wide(tensor: &Tensor) -> Vec<f64> {
    tensor.to_vec::<f32>().unwrap().into_iter().map(f64::from).collect()
}
