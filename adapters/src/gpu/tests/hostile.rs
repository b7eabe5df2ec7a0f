//! Operators that a model's author got wrong, or right for somebody else's harm: each is a fault.

use super::lavapipe::{Lavapipe, floats, longs};
use burst_host::nouns::{Attribute, Element, Fault, Tensor};
use std::slice;

type Attributes<'a> = &'a [(&'a str, Attribute)];

fn numbers(numbers: &[i64]) -> Attribute {
    Attribute::Ints(numbers.into())
}

fn ones(extents: &[usize]) -> Tensor {
    floats(extents, &vec![1.0; extents.iter().product()])
}

fn apply(
    gpu: &Lavapipe,
    kind: &str,
    inputs: &[Option<Tensor>],
    attributes: Attributes<'_>,
) -> Result<Vec<Tensor>, Fault> {
    match attributes {
        [] => gpu.apply(kind, inputs, "y", []),
        [attribute] => gpu.apply(kind, inputs, "y", [attribute.clone()]),
        _ => panic!("one attribute is enough"),
    }
}

/// Faults of a kind that says whose mistake it is.
fn refused_by(gpu: &Lavapipe, kind: &str, inputs: &[Tensor], attributes: Attributes<'_>) {
    let inputs: Vec<_> = inputs.iter().cloned().map(Some).collect();
    let answer = apply(gpu, kind, &inputs, attributes);
    let typed = matches!(answer, Err(Fault::Invalid(_) | Fault::TooLarge(_) | Fault::Unsupported(_)));
    assert!(typed, "{kind}: {answer:?}");
}

#[test]
fn weights_hold_what_is_read_of_them() {
    let Some(gpu) = Lavapipe::open() else { return };
    let refused =
        |kind: &str, inputs: &[Tensor], attributes: Attributes<'_>| refused_by(&gpu, kind, inputs, attributes);
    let image = ones(&[1, 4, 3, 3]);
    refused("InstanceNormalization", &[image.clone(), ones(&[4]), ones(&[1])], &[]);
    refused("InstanceNormalization", &[image.clone(), ones(&[1]), ones(&[4])], &[]);
    refused("LayerNormalization", &[image.clone(), ones(&[3]), ones(&[1])], &[]);
    refused("BatchNormalization", &[image.clone(), ones(&[4]), ones(&[4]), ones(&[4]), ones(&[1])], &[]);
    refused("Conv", &[image.clone(), ones(&[8, 4, 1, 1]), ones(&[1])], &[]);
    refused("Transpose", &[ones(&[2, 4])], &[("perm", numbers(&[0, 0]))]);
    refused("Transpose", &[ones(&[2, 4])], &[("perm", numbers(&[0]))]);
    refused("ReduceMax", &[ones(&[2, 4])], &[("axes", numbers(&[0, 0]))]);
    refused("SpaceToDepth", slice::from_ref(&image), &[("blocksize", Attribute::Int(2))]);
    refused("DepthToSpace", &[image], &[("blocksize", Attribute::Int(3))]);
}

#[test]
fn scalars_have_no_axis() {
    let Some(gpu) = Lavapipe::open() else { return };
    let refused =
        |kind: &str, inputs: &[Tensor], attributes: Attributes<'_>| refused_by(&gpu, kind, inputs, attributes);
    let (axis, axes) = ([("axis", Attribute::Int(0))], [("axes", numbers(&[0]))]);
    refused("Concat", &[ones(&[]), ones(&[])], &axis);
    refused("Split", &[ones(&[])], &axis);
    refused("ArgMax", &[ones(&[])], &axis);
    refused("ReduceSum", &[ones(&[]), longs(&[1], &[0])], &[]);
    refused("Transpose", &[ones(&[])], &[("perm", numbers(&[0]))]);
    refused("Slice", &[ones(&[]), longs(&[1], &[0]), longs(&[1], &[1]), longs(&[1], &[0])], &[]);
    refused("Resize", &[ones(&[]), ones(&[0]), ones(&[1])], &axes);
}

#[test]
fn sizes_are_checked_before_anything_is_made_of_them() {
    let Some(gpu) = Lavapipe::open() else { return };
    let refused =
        |kind: &str, inputs: &[Tensor], attributes: Attributes<'_>| refused_by(&gpu, kind, inputs, attributes);
    let many = 1_000_000_000_000;
    refused("OneHot", &[longs(&[2], &[0, 1]), longs(&[], &[many]), ones(&[2])], &[]);
    refused("Resize", &[ones(&[4]), ones(&[0]), ones(&[0]), longs(&[1], &[many])], &[]);
    refused("Tile", &[ones(&[4]), longs(&[1], &[1 << 62])], &[]);
    refused("Expand", &[ones(&[1]), longs(&[1], &[many])], &[]);
    refused("ConstantOfShape", &[longs(&[1], &[many])], &[]);
    refused("HannWindow", &[longs(&[], &[many])], &[]);
    refused("Range", &[longs(&[], &[0]), longs(&[], &[many]), longs(&[], &[1])], &[]);
    refused("Reshape", &[ones(&[4]), longs(&[3], &[1 << 40, 1 << 40, -1])], &[]);
    refused("DepthToSpace", &[ones(&[1, 4, 2, 2])], &[("blocksize", Attribute::Int(1 << 32))]);
    refused("Col2Im", &[ones(&[1, 4, 4]), longs(&[2], &[many, many]), longs(&[2], &[1 << 40, 1 << 40])], &[]);
    refused("Split", &[ones(&[4]), longs(&[2], &[i64::MAX, i64::MAX])], &[]);
    refused("Pad", &[ones(&[4]), longs(&[2], &[i64::MAX, i64::MAX])], &[]);
    // A step that passes the end at once is none.
    let bounds = [[0], [4], [0], [i64::MAX]].map(|bound| Some(longs(&[1], &bound)));
    let inputs: Vec<_> = [Some(floats(&[4], &[5.0, 6.0, 7.0, 8.0]))].into_iter().chain(bounds).collect();
    assert_eq!(gpu.apply("Slice", &inputs, "y", []).unwrap()[0].to_vec::<f32>().unwrap(), [5.0]);
}

/// Where ONNX names the numbers that an input may have.
#[test]
fn numbers_that_an_operator_does_not_know_are_a_fault() {
    let Some(gpu) = Lavapipe::open() else { return };
    let words = |numbers: &[i32]| Tensor::from_slice(Element::I32, [numbers.len()], numbers).unwrap();
    let check =
        |kind: &str, inputs: &dyn Fn(i64) -> Vec<Tensor>, right: &[i64], wrong: &[i64], attributes: Attributes<'_>| {
            let answer = |number| {
                let inputs: Vec<_> =
                    inputs(number).into_iter().map(|x| (x.spec().shape.extents() != [0]).then_some(x)).collect();
                apply(&gpu, kind, &inputs, attributes)
            };
            right.iter().for_each(|&number| assert!(answer(number).is_ok(), "{kind} {number}: {:?}", answer(number)));
            for &number in wrong {
                let answer = answer(number);
                assert!(
                    matches!(&answer, Err(Fault::Invalid(why)) if why.contains("an index outside")),
                    "{kind} {number}: {answer:?}"
                );
            }
        };
    let rotary = |place| vec![ones(&[1, 1, 1, 4]), ones(&[3, 2]), ones(&[3, 2]), longs(&[1, 1], &[place])];
    check("RotaryEmbedding", &rotary, &[0, 2], &[3, -1, 1 << 32], &[]);
    let regions = |image| vec![ones(&[2, 1, 4, 4]), ones(&[1, 4]), longs(&[1], &[image])];
    check("RoiAlign", &regions, &[0, 1], &[2, -1], &[]);
    let loss = |target| vec![ones(&[1, 3]), longs(&[1], &[target])];
    check("NegativeLogLikelihoodLoss", &loss, &[0, 2], &[3, -1], &[]);
    check("NegativeLogLikelihoodLoss", &loss, &[0, -1], &[3, -2], &[("ignore_index", Attribute::Int(-1))]);
    let reversed = |length| vec![ones(&[2, 1]), longs(&[1], &[length])];
    check("ReverseSequence", &reversed, &[1, 2], &[3, -1], &[]);
    let nothing = || ones(&[0]);
    let network =
        |length: i64| vec![ones(&[2, 1, 1]), ones(&[1, 1, 1]), ones(&[1, 1, 1]), nothing(), words(&[length as i32])];
    check("RNN", &network, &[0, 2], &[3, -1], &[]);
    let cache = |first| vec![ones(&[1, 1, 4, 1]), ones(&[1, 1, 2, 1]), longs(&[1], &[first])];
    check("TensorScatter", &cache, &[0, 2], &[3, -1], &[]);
}
