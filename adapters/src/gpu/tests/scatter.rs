//! Writes that name their places, beside a loop over the updates.

use super::lavapipe::{Lavapipe, floats, longs, random};
use burst_host::nouns::{Attribute, Element, Tensor};
use half::f16;
use proptest::prelude::*;

const REDUCTIONS: [&str; 5] = ["none", "add", "mul", "min", "max"];

fn fold(reduction: &str, old: i64, new: i64) -> i64 {
    match reduction {
        "add" => old.wrapping_add(new),
        "mul" => old.wrapping_mul(new),
        "min" => old.min(new),
        "max" => old.max(new),
        _ => new,
    }
}

/// Whole numbers in every element that can be scattered, and back.
fn tensor(element: Element, extents: &[usize], values: &[i64]) -> Tensor {
    match element {
        Element::Fp32 => floats(extents, &values.iter().map(|&value| value as f32).collect::<Vec<_>>()),
        Element::Fp16 => {
            let values: Vec<f16> = values.iter().map(|&value| f16::from_f32(value as f32)).collect();
            Tensor::from_slice(element, extents, &values).unwrap()
        }
        Element::I8 => {
            Tensor::from_slice(element, extents, &values.iter().map(|&v| v as i8).collect::<Vec<_>>()).unwrap()
        }
        Element::I32 => {
            Tensor::from_slice(element, extents, &values.iter().map(|&v| v as i32).collect::<Vec<_>>()).unwrap()
        }
        _ => longs(extents, values),
    }
}

fn numbers(tensor: &Tensor) -> Vec<i64> {
    match tensor.spec().element {
        Element::Fp32 => tensor.to_vec::<f32>().unwrap().iter().map(|&value| value as i64).collect(),
        Element::Fp16 => tensor.to_vec::<f16>().unwrap().iter().map(|&value| value.to_f32() as i64).collect(),
        Element::I8 => tensor.to_vec::<i8>().unwrap().iter().map(|&value| value.into()).collect(),
        Element::I32 => tensor.to_vec::<i32>().unwrap().iter().map(|&value| value.into()).collect(),
        _ => tensor.to_vec().unwrap(),
    }
}

fn attributes(reduction: &str) -> (&'static str, Attribute) {
    ("reduction", Attribute::Text(reduction.as_bytes().to_vec()))
}

#[test]
fn elements_are_written_in_their_order() {
    let Some(gpu) = Lavapipe::open() else { return };
    let elements = prop::sample::select(vec![Element::Fp32, Element::Fp16, Element::I8, Element::I32, Element::I64]);
    let case = (1usize..4, 1usize..40, 1usize..3, 0usize..70, elements, prop::sample::select(REDUCTIONS.to_vec()));
    let case = case.prop_flat_map(|(outer, extent, inner, updates, element, reduction)| {
        let count = outer * updates * inner;
        (
            prop::collection::vec(-2i64..3, outer * extent * inner),
            prop::collection::vec(-(extent as i64)..extent as i64, count),
            prop::collection::vec(-1i64..3, count),
            Just((outer, extent, inner, updates, element, reduction)),
        )
    });
    random(40)
        .run(&case, |(x, indices, values, (outer, extent, inner, updates, element, reduction))| {
            // Products of many numbers leave the narrow types.
            let values: Vec<i64> =
                if reduction == "mul" { values.iter().map(|v| v.signum()).collect() } else { values };
            let mut y = x.clone();
            for (at, index) in indices.iter().enumerate() {
                let index = if *index < 0 { index + extent as i64 } else { *index } as usize;
                let place = (at / inner / updates * extent + index) * inner + at % inner;
                y[place] = fold(reduction, y[place], values[at]);
            }
            let inputs = [
                Some(tensor(element, &[outer, extent, inner], &x)),
                Some(longs(&[outer, updates, inner], &indices)),
                Some(tensor(element, &[outer, updates, inner], &values)),
            ];
            let found = gpu
                .apply("ScatterElements", &inputs, "y", [("axis", Attribute::Int(1)), attributes(reduction)])
                .unwrap();
            prop_assert_eq!(numbers(&found[0]), y);
            Ok(())
        })
        .unwrap();
}

#[test]
fn rows_are_written_in_their_order() {
    let Some(gpu) = Lavapipe::open() else { return };
    let elements = prop::sample::select(vec![Element::Fp32, Element::Fp16, Element::I8, Element::I64]);
    let case = (1usize..5, 1usize..5, 1usize..6, 0usize..50, elements, prop::sample::select(REDUCTIONS.to_vec()));
    let case = case.prop_flat_map(|(rows, columns, width, updates, element, reduction)| {
        (
            prop::collection::vec(-2i64..3, rows * columns * width),
            prop::collection::vec((-(rows as i64)..rows as i64, -(columns as i64)..columns as i64), updates),
            prop::collection::vec(-1i64..2, updates * width),
            Just((rows, columns, width, element, reduction)),
        )
    });
    random(40)
        .run(&case, |(x, tuples, values, (rows, columns, width, element, reduction))| {
            let mut y = x.clone();
            for (at, &(row, column)) in tuples.iter().enumerate() {
                let wrap = |index: i64, extent: usize| if index < 0 { index + extent as i64 } else { index } as usize;
                let first = (wrap(row, rows) * columns + wrap(column, columns)) * width;
                for step in 0..width {
                    y[first + step] = fold(reduction, y[first + step], values[at * width + step]);
                }
            }
            let shape = [rows, columns, width];
            let indices: Vec<i64> = tuples.iter().flat_map(|&(row, column)| [row, column]).collect();
            let inputs = [
                Some(tensor(element, &shape, &x)),
                Some(longs(&[tuples.len(), 2], &indices)),
                Some(tensor(element, &[tuples.len(), width], &values)),
            ];
            let found = gpu.apply("ScatterND", &inputs, "y", [attributes(reduction)]).unwrap();
            prop_assert_eq!(numbers(&found[0]), y);
            Ok(())
        })
        .unwrap();
}

/// More updates of one place than an invocation may fold at a time.
#[test]
fn many_updates_of_one_place_are_folded_in_parts() {
    let Some(gpu) = Lavapipe::open() else { return };
    let count = 130_001;
    let values: Vec<i64> = (0..count as i64).collect();
    let inputs = [Some(longs(&[2], &[5, 7])), Some(longs(&[count], &vec![1; count])), Some(longs(&[count], &values))];
    let found = gpu.apply("ScatterElements", &inputs, "y", [attributes("add")]).unwrap();
    assert_eq!(found[0].to_vec::<i64>().unwrap(), [5, 7 + values.iter().sum::<i64>()]);
}
