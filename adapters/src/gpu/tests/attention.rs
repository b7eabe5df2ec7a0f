//! Attention over many keys beside its definition, in every family: more than a tile of them, a part of them, or a
//! driver's patience.

use super::{compute, numbers, open, open_with};
use crate::{
    conformance::{Case, Run, Sketch, check_case},
    gpu::{Choice, Family},
};
use burst_host::nouns::{Attribute, Element, Tensor};

/// Shapes and bounds of one attention.
#[derive(Clone, Copy)]
struct Scene {
    heads: usize,
    key_heads: usize,
    queries: usize,
    keys: usize,
    width: usize,
    value_width: usize,
    causal: bool,
    window: Option<usize>,
    cap: f32,
    /// Whether weights are computed in FP64.
    double: bool,
}

const PLAIN: Scene = Scene {
    heads: 2,
    key_heads: 2,
    queries: 5,
    keys: 1_000,
    width: 64,
    value_width: 64,
    causal: false,
    window: None,
    cap: 0.0,
    double: false,
};

#[tokio::test]
async fn a_thousand_keys() {
    check("few queries", PLAIN).await;
    check("many queries", Scene { queries: 1_000, causal: true, ..PLAIN }).await;
    check("one query of many heads", Scene { heads: 12, key_heads: 3, queries: 1, ..PLAIN }).await;
}

#[tokio::test]
async fn widths_that_are_no_vec4s() {
    let odd = Scene { heads: 6, queries: 7, keys: 333, width: 19, value_width: 10, ..PLAIN };
    check("odd widths", odd).await;
    check("values wider than what a workgroup sums up", Scene { keys: 70, value_width: 262, ..odd }).await;
}

#[tokio::test]
async fn windows_and_caps() {
    check("a window", Scene { queries: 600, keys: 600, causal: true, window: Some(70), ..PLAIN }).await;
    check("a cap", Scene { cap: 0.5, ..PLAIN }).await;
}

#[tokio::test]
async fn weights_of_doubles() {
    let shared = Scene { heads: 6, key_heads: 3, queries: 70, keys: 90, double: true, ..PLAIN };
    check("weights in FP64", Scene { causal: true, cap: 0.5, value_width: 10, ..shared }).await;
}

/// Queries, keys and values in FP64 keep their digits.
#[tokio::test]
async fn doubles_attend_in_doubles() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let (heads, shared, queries, keys, width) = (4, 2, 3, 5, 7);
    let drawn =
        |count: usize, seed: u32| numbers(count, seed).into_iter().map(|x| f64::from(x) / 3.0).collect::<Vec<_>>();
    let (q, k, v) =
        (drawn(heads * queries * width, 1), drawn(shared * keys * width, 2), drawn(shared * keys * width, 3));
    let tensor = |heads: usize, places: usize, values: &[f64]| {
        Tensor::from_slice(Element::Fp64, [1, heads, places, width], values).unwrap()
    };
    let mut sketch = Sketch::new("flex");
    for name in ["q", "k", "v"] {
        sketch = sketch.input(name, Element::Fp64, "? ? ? ?");
    }
    let sketch = sketch.op("FlexAttention", "q k v", "y").in_domain("ai.onnx.preview").output("y");
    let inputs = [tensor(heads, queries, &q), tensor(shared, keys, &k), tensor(shared, keys, &v)];
    let found = compute(&accelerator, sketch, &inputs).await.unwrap()[0].to_vec::<f64>().unwrap();
    for (at, found) in found.into_iter().enumerate() {
        let (row, column) = (at / width, at % width);
        let first = row / queries / (heads / shared) * keys;
        let dot = |key: usize| (0..width).map(|i| q[row * width + i] * k[(first + key) * width + i]).sum::<f64>();
        let weights: Vec<f64> = (0..keys).map(|key| (dot(key) / (width as f64).sqrt()).exp()).collect();
        let mixed: f64 =
            weights.iter().enumerate().map(|(key, weight)| weight * v[(first + key) * width + column]).sum();
        let expected = mixed / weights.iter().sum::<f64>();
        assert!((found - expected).abs() < 1e-13, "{at}: {found}, not {expected}");
    }
}

/// An invocation goes through 136 of these keys before a CPU driver would stop it.
#[tokio::test]
async fn values_that_try_a_drivers_patience() {
    check("wide values", Scene { keys: 200, width: 16, value_width: 6_000, ..PLAIN }).await;
}

async fn check(name: &str, scene: Scene) {
    let Scene { heads, key_heads, queries, keys, width, value_width, .. } = scene;
    let inputs = [(heads, queries, width), (key_heads, keys, width), (key_heads, keys, value_width)];
    let drawn = |(index, (heads, places, width)): (usize, (usize, usize, usize))| {
        let numbers = numbers(heads * places * width, index as u32 + 1);
        Tensor::from_slice(Element::Fp32, [1, heads, places, width], &numbers).unwrap()
    };
    let inputs: Vec<Tensor> = inputs.into_iter().enumerate().map(drawn).collect();
    let expected = Tensor::from_slice(Element::Fp32, [1, heads, queries, value_width], &scene.answer(&inputs)).unwrap();
    let case = Case { name: name.into(), graph: scene.graph(), runs: vec![Run { inputs, expected: vec![expected] }] };
    for family in Family::ALL {
        let Some(accelerator) = open_with("llvmpipe", Choice::of(family)).await else { return };
        check_case(&accelerator, &case).await;
    }
}

impl Scene {
    fn graph(&self) -> burst_host::nouns::Graph {
        let attributes = [
            ("is_causal", Attribute::Int(self.causal.into())),
            ("left_window_size", Attribute::Int(self.window.map_or(-1, |window| window as i64))),
            ("softcap", Attribute::Float(self.cap)),
            ("softmax_precision", Attribute::Int(if self.double { 11 } else { 1 })),
        ];
        let sketch = Sketch::new("attention")
            .input("q", Element::Fp32, "? ? ? ?")
            .input("k", Element::Fp32, "? ? ? ?")
            .input("v", Element::Fp32, "? ? ? ?");
        let mut graph = sketch.op_with("Attention", "q k v", "y", attributes).output("y").graph();
        graph.opsets[0].version = 25;
        graph
    }

    /// By the definition, in f64.
    fn answer(&self, inputs: &[Tensor]) -> Vec<f32> {
        let [q, k, v] = [0, 1, 2].map(|index| inputs[index].to_vec::<f32>().unwrap());
        let mut answer = Vec::new();
        for head in 0..self.heads {
            let shared = head / (self.heads / self.key_heads);
            for query in 0..self.queries {
                let row = &q[(head * self.queries + query) * self.width..][..self.width];
                let keys = &k[shared * self.keys * self.width..][..self.keys * self.width];
                let values = &v[shared * self.keys * self.value_width..][..self.keys * self.value_width];
                answer.extend(self.attend(query, row, keys, values));
            }
        }
        answer
    }

    fn attend(&self, query: usize, row: &[f32], keys: &[f32], values: &[f32]) -> Vec<f32> {
        let score = |(at, key): (usize, &[f32])| {
            let product: f64 = row.iter().zip(key).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            let score = product / (self.width as f64).sqrt();
            let cap = f64::from(self.cap);
            let hidden = self.causal && at > query || self.window.is_some_and(|window| at + window < query);
            let score = if cap > 0.0 { cap * (score / cap).tanh() } else { score };
            if hidden { f64::NEG_INFINITY } else { score }
        };
        let scores: Vec<f64> = keys.chunks_exact(self.width).enumerate().map(score).collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mut sums = vec![0.0; self.value_width];
        for (weight, value) in weights.iter().zip(values.chunks_exact(self.value_width)) {
            sums.iter_mut().zip(value).for_each(|(sum, value)| *sum += weight * f64::from(*value));
        }
        sums.into_iter().map(|sum| (sum / total) as f32).collect()
    }
}
