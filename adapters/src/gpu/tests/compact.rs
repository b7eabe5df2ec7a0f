//! Operators whose results' shapes are counted on the device, beside their plain definitions.

use super::lavapipe::{Lavapipe, floats, longs, random};
use crate::conformance::Sketch;
use burst_host::nouns::{Attribute, Element, Fault, Tensor};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn shape() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(prop_oneof![4 => 1usize..6, 1 => 60usize..70], 1..4)
}

/// Mostly small whole numbers, many of them zero.
fn values(shape: &[usize]) -> impl Strategy<Value = Vec<i64>> + use<> {
    prop::collection::vec(prop_oneof![Just(0i64), -3i64..3, Just(1 << 33)], shape.iter().product::<usize>())
}

fn coordinates(place: usize, shape: &[usize]) -> Vec<i64> {
    let mut left = place;
    let mut coordinates: Vec<i64> = shape.iter().rev().map(|extent| (left % extent, left /= extent).0 as i64).collect();
    coordinates.reverse();
    coordinates
}

fn non_zero(values: &[i64], shape: &[usize]) -> Tensor {
    let found: Vec<usize> = (0..values.len()).filter(|&place| values[place] != 0).collect();
    let numbers: Vec<i64> =
        (0..shape.len()).flat_map(|axis| found.iter().map(move |&place| coordinates(place, shape)[axis])).collect();
    longs(&[shape.len(), found.len()], &numbers)
}

#[test]
fn finds_what_is_not_zero() {
    let Some(gpu) = Lavapipe::open() else { return };
    let case = shape().prop_flat_map(|shape| (Just(shape.clone()), values(&shape)));
    random(24)
        .run(&case, |(shape, values)| {
            let found = gpu.apply("NonZero", &[Some(longs(&shape, &values))], "y", []).unwrap();
            let expected = non_zero(&values, &shape);
            prop_assert_eq!(found[0].contents(), expected.contents());
            Ok(())
        })
        .unwrap();
}

#[test]
fn keeps_what_a_condition_holds_for() {
    let Some(gpu) = Lavapipe::open() else { return };
    let case = shape().prop_flat_map(|shape| {
        let axis = 0..shape.len();
        (Just(shape.clone()), values(&shape), axis)
    });
    let case = case.prop_flat_map(|(shape, values, axis)| {
        let marks = prop::collection::vec(any::<bool>(), 0..=shape[axis]);
        (Just(shape), Just(values), Just(axis), marks)
    });
    random(24)
        .run(&case, |(shape, values, axis, marks)| {
            let condition: Vec<u8> = marks.iter().map(|&mark| u8::from(mark)).collect();
            let condition = Tensor::from_slice(Element::Bool, [marks.len()], &condition).unwrap();
            let attribute = [("axis", Attribute::Int(axis as i64))];
            let inputs = [Some(longs(&shape, &values)), Some(condition)];
            let found = gpu.apply("Compress", &inputs, "y", attribute).unwrap();
            let holds = |place: &usize| marks.get(coordinates(*place, &shape)[axis] as usize) == Some(&true);
            let wanted: Vec<i64> = (0..values.len()).filter(holds).map(|place| values[place]).collect();
            prop_assert_eq!(found[0].to_vec::<i64>().unwrap(), wanted);
            Ok(())
        })
        .unwrap();
}

/// Rows along an axis, where each group of equals is first, of which group each is, and how large they are.
fn unique(rows: &[Vec<i64>], sorted: bool) -> (Vec<i64>, Vec<i64>, Vec<i64>) {
    let mut groups: BTreeMap<&Vec<i64>, Vec<usize>> = BTreeMap::new();
    rows.iter().enumerate().for_each(|(place, row)| groups.entry(row).or_default().push(place));
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    if !sorted {
        groups.sort_by_key(|members| members[0]);
    }
    let first = groups.iter().map(|members| members[0] as i64).collect();
    let counts = groups.iter().map(|members| members.len() as i64).collect();
    let of = |place: usize| groups.iter().position(|members| members.contains(&place)).unwrap() as i64;
    (first, (0..rows.len()).map(of).collect(), counts)
}

/// Finds what differs in a tensor along an axis, or among all elements.
fn differs(gpu: &Lavapipe, shape: &[usize], values: &[i64], axis: Option<usize>, sorted: bool) {
    let mut attributes = vec![("sorted", Attribute::Int(i64::from(sorted)))];
    attributes.extend(axis.map(|axis| ("axis", Attribute::Int(axis as i64))));
    let mut sketch = Sketch::new("unique");
    let extents = shape.iter().map(usize::to_string).collect::<Vec<_>>().join(" ");
    sketch = sketch.input("x", Element::I64, &extents);
    sketch = match <[_; 2]>::try_from(attributes) {
        Ok(both) => sketch.op_with("Unique", "x", "y first members counts", both),
        Err(mut one) => sketch.op_with("Unique", "x", "y first members counts", [one.remove(0)]),
    };
    for name in ["y", "first", "members", "counts"] {
        sketch = sketch.output(name);
    }
    let found = gpu.run(sketch, &[longs(shape, values)]).unwrap();
    let slice = |at: usize| match axis {
        None => vec![values[at]],
        Some(axis) => {
            let inside = |place: &usize| coordinates(*place, shape)[axis] == at as i64;
            (0..values.len()).filter(inside).map(|place| values[place]).collect()
        }
    };
    let rows: Vec<Vec<i64>> = (0..axis.map_or(values.len(), |axis| shape[axis])).map(slice).collect();
    let (first, members, counts) = unique(&rows, sorted);
    let numbers = |index: usize| found[index].to_vec::<i64>().unwrap();
    assert_eq!(numbers(1), first.clone());
    assert_eq!(numbers(2), members);
    assert_eq!(numbers(3), counts);
    let inside = |place: &usize| first.contains(&coordinates(*place, shape)[axis.unwrap_or(0)]);
    match axis {
        None => assert_eq!(numbers(0), first.iter().map(|&at| values[at as usize]).collect::<Vec<_>>()),
        Some(_) => {
            let mut kept: Vec<i64> = (0..values.len()).filter(inside).map(|place| values[place]).collect();
            let mut y = numbers(0);
            // Slices come in the order of their groups; which elements they hold does not depend on it.
            kept.sort_unstable();
            y.sort_unstable();
            assert_eq!(y, kept);
        }
    }
}

#[test]
fn finds_what_differs() {
    let Some(gpu) = Lavapipe::open() else { return };
    let case = shape().prop_flat_map(|shape| {
        let axis = prop::option::of(0..shape.len());
        (Just(shape.clone()), values(&shape), axis, any::<bool>())
    });
    random(24)
        .run(&case, |(shape, values, axis, sorted)| {
            differs(&gpu, &shape, &values, axis, sorted);
            Ok(())
        })
        .unwrap();
}

/// Rows of which a block can't be compared in one dispatch.
#[test]
fn finds_long_rows_that_differ() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (count, row) = (35, 7_000);
    let values: Vec<i64> = (0..count * row).map(|at| i64::from(at % row == row - 1) * (at / row % 5) as i64).collect();
    differs(&gpu, &[count, row], &values, Some(0), true);
    let fault = gpu.apply("Unique", &[Some(longs(&[2, 40_000], &[0; 80_000]))], "y", [("axis", Attribute::Int(0))]);
    let refused = "operator `Unique` on the GPU: 2 rows of 40000 elements";
    assert_eq!(fault.unwrap_err(), Fault::Unsupported(refused.into()));
}

/// What follows a counted shape goes on, and so does a second count; runs with other counts do not disturb each other.
#[test]
fn counted_shapes_go_on() {
    let Some(gpu) = Lavapipe::open() else { return };
    let sketch = || {
        Sketch::new("chained")
            .input("x", Element::Fp32, "N")
            .op("NonZero", "x", "places")
            .op("Transpose", "places", "rows")
            .op("GatherND", "x rows", "kept")
            .op("Add", "kept kept", "twice")
            .op_with("Unique", "twice", "y", [("sorted", Attribute::Int(1))])
            .output("y")
            .output("twice")
    };
    for (x, twice, y) in [
        (vec![0.0, 3.0, 0.0, 1.0, 3.0], vec![6.0, 2.0, 6.0], vec![2.0, 6.0]),
        (vec![5.0], vec![10.0], vec![10.0]),
        (vec![-1.0, 0.5, -1.0, 0.25], vec![-2.0, 1.0, -2.0, 0.5], vec![-2.0, 0.5, 1.0]),
    ] {
        let found = gpu.run(sketch(), &[floats(&[x.len()], &x)]).unwrap();
        assert_eq!(found[0].to_vec::<f32>().unwrap(), y);
        assert_eq!(found[1].to_vec::<f32>().unwrap(), twice);
    }
}
