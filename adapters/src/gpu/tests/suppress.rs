//! Non-maximum suppression beside its plain definition, and what follows it in a detector.

use super::lavapipe::{Lavapipe, floats, longs, random};
use crate::conformance::Sketch;
use burst_host::nouns::{Attribute, Element};
use proptest::prelude::*;

#[derive(Clone, Debug)]
struct Case {
    images: usize,
    classes: usize,
    count: usize,
    boxes: Vec<f32>,
    scores: Vec<f32>,
    kept: i64,
    overlap_max: f32,
    score_min: Option<f32>,
    centred: bool,
}

/// Whole coordinates and few scores: overlaps are exact and equals are common.
fn case() -> impl Strategy<Value = Case> {
    let sizes = (1usize..3, 1usize..4, prop_oneof![1usize..6, 120usize..280]);
    sizes.prop_flat_map(|(images, classes, count)| {
        (
            prop::collection::vec((0u8..24).prop_map(f32::from), images * count * 4),
            prop::collection::vec((0u8..64).prop_map(|score| f32::from(score) / 64.0), images * classes * count),
            prop_oneof![Just(0i64), 1i64..5, Just(i64::MAX)],
            prop::sample::select(vec![0.0, 0.25, 0.5]),
            prop::option::of(prop::sample::select(vec![0.0, 0.5, 0.95, 1.0])),
            any::<bool>(),
        )
            .prop_map(move |(boxes, scores, kept, overlap_max, score_min, centred)| Case {
                images,
                classes,
                count,
                boxes,
                scores,
                kept,
                overlap_max,
                score_min,
                centred,
            })
    })
}

fn corners(case: &Case, image: usize, number: usize) -> [f32; 4] {
    let at = (image * case.count + number) * 4;
    let [a, b, c, d]: [f32; 4] = case.boxes[at..at + 4].try_into().unwrap();
    if case.centred {
        [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0]
    } else {
        [a.min(c), b.min(d), a.max(c), b.max(d)]
    }
}

fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let side = |low: usize| (a[low + 2].min(b[low + 2]) - a[low].max(b[low])).max(0.0);
    let area = |c: [f32; 4]| (c[2] - c[0]) * (c[3] - c[1]);
    let common = side(0) * side(1);
    if common > 0.0 { common / (area(a) + area(b) - common) } else { 0.0 }
}

fn expected(case: &Case) -> Vec<i64> {
    let mut selected = Vec::new();
    for (image, class) in (0..case.images).flat_map(|image| (0..case.classes).map(move |class| (image, class))) {
        let score = |number: usize| case.scores[(image * case.classes + class) * case.count + number];
        let mut order: Vec<usize> =
            (0..case.count).filter(|&n| case.score_min.is_none_or(|min| score(n) > min)).collect();
        order.sort_by(|&a, &b| score(b).total_cmp(&score(a)));
        let mut kept: Vec<usize> = Vec::new();
        for number in order {
            let free =
                |&other: &usize| overlap(corners(case, image, number), corners(case, image, other)) <= case.overlap_max;
            if (kept.len() as i64) < case.kept && kept.iter().all(free) {
                kept.push(number);
            }
        }
        selected.extend(kept.iter().flat_map(|&number| [image as i64, class as i64, number as i64]));
    }
    selected
}

#[test]
fn keeps_what_does_not_overlap() {
    let Some(gpu) = Lavapipe::open() else { return };
    random(32)
        .run(&case(), |case| {
            let inputs = [
                Some(floats(&[case.images, case.count, 4], &case.boxes)),
                Some(floats(&[case.images, case.classes, case.count], &case.scores)),
                Some(longs(&[1], &[case.kept])),
                Some(floats(&[1], &[case.overlap_max])),
                case.score_min.map(|score| floats(&[], &[score])),
            ];
            let centred = [("center_point_box", Attribute::Int(i64::from(case.centred)))];
            let found = gpu.apply("NonMaxSuppression", &inputs, "y", centred).unwrap();
            prop_assert_eq!(found[0].to_vec::<i64>().unwrap(), expected(&case));
            Ok(())
        })
        .unwrap();
}

/// The end of a YOLO: what its head says about each place becomes the boxes and scores that stay.
#[test]
fn a_detector_ends_in_boxes() {
    let Some(gpu) = Lavapipe::open() else { return };
    let (classes, count) = (3, 2100);
    let noise = |index: u32| (index.wrapping_mul(2_654_435_761) >> 8) as f32 / 16_777_216.0;
    let head: Vec<f32> = (0..(4 + classes) * count)
        .map(|index| if index < 4 * count { 4.0 + 20.0 * noise(index as u32) } else { noise(index as u32) })
        .collect();
    let sketch = Sketch::new("detector")
        .input("head", Element::Fp32, "1 7 2100")
        .constant("parts", longs(&[2], &[4, 3]))
        .constant("kept", longs(&[], &[20]))
        .constant("overlap", floats(&[], &[0.45]))
        .constant("score", floats(&[], &[0.25]))
        .constant("third", longs(&[], &[2]))
        .constant("first", longs(&[1], &[0]))
        .op_with("Split", "head parts", "sides scores", [("axis", Attribute::Int(1))])
        .op_with("Transpose", "sides", "boxes", [("perm", Attribute::Ints(vec![0, 2, 1]))])
        .op_with(
            "NonMaxSuppression",
            "boxes scores kept overlap score",
            "selected",
            [("center_point_box", Attribute::Int(1))],
        )
        .op_with("Gather", "selected third", "numbers", [("axis", Attribute::Int(1))])
        .op("Squeeze", "boxes first", "all")
        .op("Gather", "all numbers", "found")
        .op("GatherND", "scores selected", "certain")
        .output("found")
        .output("certain");
    let found = gpu.run(sketch, &[floats(&[1, 7, 2100], &head)]).unwrap();
    let side = |number: usize| [0, 1, 2, 3].map(|row| head[row * count + number]);
    let case = Case {
        images: 1,
        classes,
        count,
        boxes: (0..count).flat_map(side).collect(),
        scores: head[4 * count..].to_vec(),
        kept: 20,
        overlap_max: 0.45,
        score_min: Some(0.25),
        centred: true,
    };
    let selected = expected(&case);
    assert!(selected.len() > 3 * classes, "{}", selected.len());
    let boxes: Vec<f32> = selected.chunks(3).flat_map(|row| side(row[2] as usize)).collect();
    let certain: Vec<f32> =
        selected.chunks(3).map(|row| case.scores[row[1] as usize * count + row[2] as usize]).collect();
    assert_eq!(found[0].to_vec::<f32>().unwrap(), boxes);
    assert_eq!(found[1].to_vec::<f32>().unwrap(), certain);
}
