//! TopK beside a stable sort.

use super::lavapipe::{Lavapipe, floats, longs, random};
use burst_host::nouns::{Attribute, Element, Tensor};
use half::f16;
use proptest::prelude::*;
use std::cmp::Ordering;

/// Few different numbers, so that many are equal; a NaN and both infinities among them.
fn number() -> impl Strategy<Value = f32> {
    let special = prop::sample::select(vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, -0.0, 0.0]);
    prop_oneof![1 => special, 4 => (-20i8..20).prop_map(|value| f32::from(value) / 4.0)]
}

/// The places of the first `kept` of each run of `[outer, run, inner]`. A NaN is above all numbers.
fn expected<T: PartialOrd>(values: &[T], [outer, run, inner]: [usize; 3], kept: usize, largest: bool) -> Vec<usize> {
    let ascending = |a: &T, b: &T| {
        let is_nan = |value: &T| value.partial_cmp(value).is_none();
        a.partial_cmp(b).unwrap_or_else(|| is_nan(a).cmp(&is_nan(b)))
    };
    let mut places = vec![0; outer * kept * inner];
    for (o, n) in (0..outer).flat_map(|o| (0..inner).map(move |n| (o, n))) {
        let at = |step: usize| &values[(o * run + step) * inner + n];
        let mut order: Vec<usize> = (0..run).collect();
        let turned = |order: Ordering| if largest { order.reverse() } else { order };
        order.sort_by(|&a, &b| turned(ascending(at(a), at(b))));
        order.iter().take(kept).enumerate().for_each(|(place, step)| places[(o * kept + place) * inner + n] = *step);
    }
    places
}

/// Bits of what TopK finds, and where.
fn found(gpu: &Lavapipe, x: &Tensor, axis: i64, kept: usize, largest: bool) -> (Tensor, Vec<usize>) {
    let k = longs(&[1], &[kept as i64]);
    let attributes = [("axis", Attribute::Int(axis)), ("largest", Attribute::Int(i64::from(largest)))];
    let found = gpu.apply("TopK", &[Some(x.clone()), Some(k)], "y i", attributes).unwrap();
    let places = found[1].to_vec::<i64>().unwrap().into_iter().map(|place| place as usize).collect();
    (found[0].clone(), places)
}

#[test]
fn ranks_as_a_stable_sort() {
    let Some(gpu) = Lavapipe::open() else { return };
    let shape = (1usize..3, prop_oneof![1usize..8, 30usize..35, 60usize..300], 1usize..3);
    let case = shape.prop_flat_map(|(outer, run, inner)| {
        let values = prop::collection::vec(number(), outer * run * inner);
        (Just([outer, run, inner]), values, 0..=run, any::<bool>())
    });
    random(32)
        .run(&case, |(shape, values, kept, largest)| {
            let [_, run, inner] = shape;
            let places = expected(&values, shape, kept, largest);
            let (y, at) = found(&gpu, &floats(&shape, &values), 1, kept, largest);
            prop_assert_eq!(&at, &places);
            for (index, value) in y.to_vec::<f32>().unwrap().into_iter().enumerate() {
                let (outer, inner_at) = (index / inner / kept, index % inner);
                let wanted = values[(outer * run + places[index]) * inner + inner_at];
                prop_assert_eq!(value.to_bits(), wanted.to_bits());
            }
            Ok(())
        })
        .unwrap();
}

/// Every kind of element, ascending and descending.
#[test]
fn ranks_every_element() {
    fn check<T: PartialOrd + Copy + bytemuck::Pod + std::fmt::Debug>(gpu: &Lavapipe, element: Element, values: &[T]) {
        let x = Tensor::from_slice(element, [values.len()], values).unwrap();
        for largest in [true, false] {
            let places = expected(values, [1, values.len(), 1], 5, largest);
            let (y, at) = found(gpu, &x, -1, 5, largest);
            assert_eq!(at, places, "{element}");
            let wanted: Vec<T> = places.iter().map(|&place| values[place]).collect();
            assert_eq!(y.contents().unwrap(), bytemuck::cast_slice::<T, u8>(&wanted), "{element}");
        }
    }
    let Some(gpu) = Lavapipe::open() else { return };
    check(&gpu, Element::Fp16, &[1.5, -2.0, f32::INFINITY, -0.0, 6e-8, f32::NAN, 0.0].map(f16::from_f32));
    check(&gpu, Element::Bf16, &[1.5, -2.0, f32::INFINITY, 0.0, 1e38, 1.5, -3e38].map(half::bf16::from_f32));
    check(&gpu, Element::I8, &[1i8, -128, 127, 0, -1, 1, 5]);
    check(&gpu, Element::U8, &[1u8, 255, 128, 0, 127, 1, 5]);
    check(&gpu, Element::I16, &[1i16, -32768, 32767, 0, -1, 1, 5]);
    check(&gpu, Element::U16, &[1u16, 65535, 32768, 0, 1, 1, 5]);
    check(&gpu, Element::I32, &[1i32, i32::MIN, i32::MAX, 0, -1, 1, 5]);
    check(&gpu, Element::U32, &[1u32, u32::MAX, 1 << 31, 0, 1, 1, 5]);
    check(&gpu, Element::I64, &[1i64, i64::MIN, i64::MAX, 1 << 32, -1, 1, -(1 << 32)]);
    check(&gpu, Element::U64, &[1u64, u64::MAX, 1 << 63, 1 << 32, 1, 1, 5]);
}

/// More than one invocation may count one by one.
#[test]
fn ranks_long_runs() {
    let Some(gpu) = Lavapipe::open() else { return };
    let values: Vec<f32> = (0..100_003u32).map(|index| (index.wrapping_mul(2_654_435_761) >> 12) as f32).collect();
    let places = expected(&values, [1, values.len(), 1], 300, true);
    assert_eq!(found(&gpu, &floats(&[values.len()], &values), 0, 300, true).1, places);
}
