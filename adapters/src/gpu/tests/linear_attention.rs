//! Linear attention along more places than one dispatch goes through, beside its definition.

use super::{numbers, open};
use crate::conformance::{Case, Run, Sketch, check_case};
use burst_host::nouns::{Attribute, Element, Tensor};

const BATCHES: usize = 2;
const PLACES: usize = 300;
/// Heads of keys, and heads of queries that share one.
const HEADS: usize = 2;
const SHARED: usize = 3;
const WIDTH: usize = 64;
const COLUMNS: usize = 5;

#[tokio::test]
async fn three_hundred_places() {
    let Some(accelerator) = open("llvmpipe").await else { return };
    let shapes = [HEADS * SHARED * WIDTH, HEADS * WIDTH, HEADS * COLUMNS, HEADS, 1];
    let mut drawn: Vec<Vec<f32>> =
        shapes.iter().enumerate().map(|(seed, last)| numbers(BATCHES * PLACES * last, seed as u32 + 1)).collect();
    // Keys of length below one, a state that fades, updates between 0 and 1.
    drawn[1].iter_mut().for_each(|key| *key /= 8.0);
    drawn[3].iter_mut().for_each(|decay| *decay = -decay.abs());
    drawn[4].iter_mut().for_each(|beta| *beta = beta.abs());
    let tensor = |(last, values): (&usize, &Vec<f32>)| {
        Tensor::from_slice(Element::Fp32, [BATCHES, PLACES, *last], values).unwrap()
    };
    let inputs = shapes.iter().zip(&drawn).map(tensor).collect();
    let attributes =
        [("q_num_heads", Attribute::Int((HEADS * SHARED) as i64)), ("kv_num_heads", Attribute::Int(HEADS as i64))];
    let mut sketch = Sketch::new("linear attention");
    for name in ["q", "k", "v", "g", "b"] {
        sketch = sketch.input(name, Element::Fp32, "? ? ?");
    }
    let graph = sketch.op_with("LinearAttention", "q k v _ g b", "y s", attributes).output("y").output("s").graph();
    let case = Case { name: "long".into(), graph, runs: vec![Run { inputs, expected: answer(&drawn) }] };
    check_case(&accelerator, &case).await;
}

/// The gated delta rule, in f64.
fn answer(drawn: &[Vec<f32>]) -> Vec<Tensor> {
    let mut y = vec![0.0f32; BATCHES * PLACES * HEADS * SHARED * COLUMNS];
    let mut states = Vec::new();
    for list in 0..BATCHES * HEADS {
        let mut state = vec![0.0f64; WIDTH * COLUMNS];
        for step in 0..PLACES {
            let place = list / HEADS * PLACES + step;
            let row = |index: usize, at: usize, length: usize| &drawn[index][at * length..][..length];
            let at = place * HEADS + list % HEADS;
            let (key, value) = (row(1, at, WIDTH), row(2, at, COLUMNS));
            let (fade, beta) = (f64::from(drawn[3][at]).exp(), f64::from(drawn[4][place]));
            state.iter_mut().for_each(|state| *state *= fade);
            for (column, value) in value.iter().enumerate() {
                let known: f64 = (0..WIDTH).map(|k| state[k * COLUMNS + column] * f64::from(key[k])).sum();
                let news = beta * (f64::from(*value) - known);
                (0..WIDTH).for_each(|k| state[k * COLUMNS + column] += f64::from(key[k]) * news);
            }
            for query in at * SHARED..(at + 1) * SHARED {
                let asked = row(0, query, WIDTH);
                for column in 0..COLUMNS {
                    let sum: f64 = (0..WIDTH).map(|k| state[k * COLUMNS + column] * f64::from(asked[k])).sum();
                    y[query * COLUMNS + column] = (sum / (WIDTH as f64).sqrt()) as f32;
                }
            }
        }
        states.extend(state.into_iter().map(|state| state as f32));
    }
    let y = Tensor::from_slice(Element::Fp32, [BATCHES, PLACES, HEADS * SHARED * COLUMNS], &y).unwrap();
    vec![y, Tensor::from_slice(Element::Fp32, [BATCHES, HEADS, WIDTH, COLUMNS], &states).unwrap()]
}
