//! Indices that are on no axis are a fault of who gives them, wherever the answer is read.

use super::lavapipe::{Lavapipe, floats, longs};
use crate::conformance::Sketch;
use burst_host::nouns::{Element, Fault, Tensor};

fn faults(answer: Result<Vec<Tensor>, Fault>, names: &str) {
    assert!(matches!(&answer, Err(Fault::Invalid(why)) if why.contains(names)), "{names}: {answer:?}");
}

#[test]
fn indices_are_on_their_axes() {
    let Some(gpu) = Lavapipe::open() else { return };
    let x = || Some(floats(&[2, 3], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
    let gather = |index: i64| gpu.apply("Gather", &[x(), Some(longs(&[1], &[index]))], "y", []);
    for (index, row) in [(0, [0.0, 1.0, 2.0]), (1, [3.0, 4.0, 5.0]), (-2, [0.0, 1.0, 2.0]), (-1, [3.0, 4.0, 5.0])] {
        assert_eq!(gather(index).unwrap()[0].to_vec::<f32>().unwrap(), row);
    }
    for index in [2, -3, 1 << 32, -1 << 32, i64::MIN, i64::MAX] {
        faults(gather(index), "Gather");
    }
    let narrow = |index: i32| Some(Tensor::from_slice(Element::I32, [1, 1], &[index]).unwrap());
    let elements = |index: i32| gpu.apply("GatherElements", &[x(), narrow(index)], "y", []);
    assert!(elements(-2).is_ok());
    faults(elements(2), "GatherElements");
    faults(elements(i32::MIN), "GatherElements");
    let tuple = |row: i64, column: i64| gpu.apply("GatherND", &[x(), Some(longs(&[1, 2], &[row, column]))], "y", []);
    assert!(tuple(1, 2).is_ok());
    // Each index of a tuple has its own axis.
    faults(tuple(2, 1), "GatherND");
    faults(tuple(1, 3), "GatherND");
    let inputs = |index: i64| [x(), Some(longs(&[1, 1], &[index])), Some(floats(&[1, 3], &[7.0; 3]))];
    assert!(gpu.apply("ScatterND", &inputs(1), "y", []).is_ok());
    faults(gpu.apply("ScatterND", &inputs(2), "y", []), "ScatterND");
}

/// Known when the plan is made.
#[test]
fn known_indices_are_looked_at_once() {
    let Some(gpu) = Lavapipe::open() else { return };
    let sketch = |index: i64| {
        let sketch = Sketch::new("known").input("x", Element::Fp32, "2").constant("i", longs(&[1], &[index]));
        sketch.op("Gather", "x i", "y").output("y")
    };
    assert!(gpu.load(sketch(1)).is_ok());
    assert!(matches!(gpu.load(sketch(2)).map(drop), Err(Fault::Invalid(why)) if why.contains("Gather")));
}

/// What is computed from a wrong answer is wrong too, in another program or after a stop; what is not, is not.
#[test]
fn doubts_go_with_tensors() {
    let Some(gpu) = Lavapipe::open() else { return };
    let program = |name: &str| {
        let sketch = Sketch::new(name).input("x", Element::Fp32, "4");
        gpu.load(sketch.op("NonZero", "x", "places").op("Gather", "x places", "found").output("found")).unwrap()
    };
    let chosen = Sketch::new("chosen").input("x", Element::Fp32, "4").input("i", Element::I64, "4");
    let chosen = gpu.load(chosen.op("Gather", "x i", "y").output("y")).unwrap();
    let x = floats(&[4], &[1.0, 0.0, 2.0, 0.0]);
    for (last, right) in [(3, true), (4, false), (0, true)] {
        let y = gpu.compute(&chosen, &[x.clone(), longs(&[4], &[0, 1, 2, last])]).unwrap().remove(0);
        let next = gpu.compute(&program("next"), &[y]).and_then(|found| gpu.download(&found[0]));
        assert_eq!(next.is_ok(), right, "{last}");
        if !right {
            faults(next.map(|tensor| vec![tensor]), "Gather");
        }
    }
    let found = gpu.compute(&program("other"), &[x]).and_then(|found| gpu.download(&found[0]));
    assert_eq!(found.unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0]);
}
