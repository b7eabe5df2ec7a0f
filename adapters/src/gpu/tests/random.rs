//! Random numbers: the generator beside its published answers, and how they are spread.

use super::lavapipe::{Lavapipe, floats};
use crate::conformance::Sketch;
use burst_host::nouns::{Attribute, Element, Tensor};

fn uniform(seed: Option<f32>, count: i64) -> Sketch {
    let shape = ("shape", Attribute::Ints(vec![count]));
    let sketch = Sketch::new("uniform");
    let sketch = match seed {
        Some(seed) => sketch.op_with("RandomUniform", "", "y", [shape, ("seed", Attribute::Float(seed))]),
        None => sketch.op_with("RandomUniform", "", "y", [shape]),
    };
    sketch.output("y")
}

/// The first words for counter 0 and key 0, from the known answers of Random123 1.14.
#[test]
fn the_generator_is_philox() {
    let Some(gpu) = Lavapipe::open() else { return };
    let found = gpu.run(uniform(Some(0.0), 4), &[]).unwrap();
    let words = [0x6627_e8d5u32, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8];
    let expected = words.map(|word| (word >> 8) as f32 / 16_777_216.0);
    assert_eq!(found[0].to_vec::<f32>().unwrap(), expected);
}

#[test]
fn a_seed_repeats_and_no_seed_goes_on() {
    let Some(gpu) = Lavapipe::open() else { return };
    let twice = |seed: Option<f32>| {
        let program = gpu.load(uniform(seed, 100)).unwrap();
        [(); 2].map(|()| gpu.download(&gpu.compute(&program, &[]).unwrap()[0]).unwrap().to_vec::<f32>().unwrap())
    };
    let [first, second] = twice(Some(1.5));
    assert_eq!(first, second);
    assert_ne!(first, twice(Some(2.5))[0]);
    let [first, second] = twice(None);
    assert_ne!(first, second);
}

#[test]
fn numbers_are_spread_as_they_should() {
    let Some(gpu) = Lavapipe::open() else { return };
    const COUNT: usize = 100_000;
    let seed = ("seed", Attribute::Float(7.0));
    let mean = |values: &[f32]| values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
    let check = |found: f64, expected: f64, what: &str| assert!((found - expected).abs() < 0.01, "{what}: {found}");

    let even = gpu.run(uniform(Some(7.0), COUNT as i64), &[]).unwrap()[0].to_vec::<f32>().unwrap();
    check(mean(&even), 0.5, "even");
    assert!(even.iter().all(|value| (0.0..1.0).contains(value)));

    let like = [Some(floats(&[COUNT], &vec![0.25; COUNT]))];
    let bell = [seed.clone(), ("mean", Attribute::Float(1.0)), ("scale", Attribute::Float(0.5))];
    let bell = gpu.apply("RandomNormalLike", &like, "y", bell).unwrap()[0].to_vec::<f32>().unwrap();
    check(mean(&bell), 1.0, "the mean");
    let squares: Vec<f32> = bell.iter().map(|value| (value - 1.0).powi(2)).collect();
    check(mean(&squares), 0.25, "the variance");

    let quarter = gpu.apply("Bernoulli", &like, "y", [seed.clone()]).unwrap()[0].to_vec::<f32>().unwrap();
    check(mean(&quarter), 0.25, "a quarter");

    let chances = Some(floats(&[1, 3], &[0.5f32.ln(), 0.125f32.ln(), 0.375f32.ln()]));
    let samples = ("sample_size", Attribute::Int(COUNT as i64));
    let drawn = gpu.apply("Multinomial", &[chances], "y", [seed, samples]).unwrap().remove(0);
    assert_eq!(drawn.spec().element, Element::I32);
    let drawn: Vec<i32> = Tensor::to_vec(&drawn).unwrap();
    for (class, chance) in [(0, 0.5), (1, 0.125), (2, 0.375)] {
        let found = drawn.iter().filter(|&&drawn| drawn == class).count();
        check(found as f64 / COUNT as f64, chance, "a class");
    }
}
