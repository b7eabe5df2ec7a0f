//! Made-up costs, and where the fragments go.

use crate::mechanisms::{
    mixed::{Chain, Links, Step, assign},
    place::Link,
};
use proptest::prelude::*;

/// A byte takes a microsecond, beside so many for the hand-off itself.
fn links(upload_us: f64, download_us: f64) -> Links {
    let link = |latency_us| Link { latency_us, bytes_per_second: 1e6 };
    Links { upload: link(upload_us), download: link(download_us) }
}

/// Host memory is its own.
fn at_hand() -> Links {
    let free = Link { latency_us: 0.0, bytes_per_second: f64::INFINITY };
    Links { upload: free, download: free }
}

/// Fragments one after the other, each with what the one before it yields: 10 bytes.
fn line(compute_us: &[[Option<f64>; 2]], links: Vec<Links>) -> Chain {
    let step = |(index, compute_us): (usize, &[Option<f64>; 2])| Step {
        takes: vec![index],
        yields: vec![index + 1],
        compute_us: compute_us.to_vec(),
    };
    Chain {
        bytes: vec![10; compute_us.len() + 1],
        inputs: 1,
        outputs: vec![compute_us.len()],
        links,
        steps: compute_us.iter().enumerate().map(step).collect(),
    }
}

fn check(chain: &Chain, expected: Option<(&[usize], f64)>) {
    let found = assign(chain);
    let found = found.as_ref().map(|found| (&found.accelerators[..], found.cost_us));
    assert_eq!(found, expected);
}

#[test]
fn the_split_changes_with_the_costs() {
    let far = || vec![at_hand(), links(5.0, 5.0)];
    let times = |second: [f64; 3]| second.map(|time| [Some(50.0), Some(time)]);
    // There and back is 30.
    check(&line(&times([50.0, 21.0, 50.0]), far()), Some((&[0, 0, 0], 150.0)));
    check(&line(&times([50.0, 19.0, 50.0]), far()), Some((&[0, 1, 0], 149.0)));
    check(&line(&times([50.0, 19.0, 34.0]), far()), Some((&[0, 1, 1], 133.0)));
    check(&line(&times([49.0, 19.0, 34.0]), far()), Some((&[1, 1, 1], 132.0)));
    check(&line(&times([1.0, 999.0, 1.0]), far()), Some((&[1, 0, 1], 112.0)));
    // Where nothing has to be moved each goes where it is quickest, and a tie stays.
    let near = || vec![at_hand(), at_hand()];
    check(&line(&times([49.0, 51.0, 49.0]), near()), Some((&[1, 0, 1], 148.0)));
    check(&line(&times([50.0, 50.0, 50.0]), near()), Some((&[0, 0, 0], 150.0)));
}

#[test]
fn what_one_refuses_the_other_computes() {
    let near = || vec![at_hand(), at_hand()];
    check(&line(&[[Some(1.0), Some(9.0)], [None, Some(9.0)]], near()), Some((&[0, 1], 10.0)));
    check(&line(&[[Some(1.0), None], [None, None]], near()), None);
    check(&line(&[], near()), Some((&[], 0.0)));
}

#[test]
fn a_value_that_skips_fragments_is_moved_once() {
    // All four fragments take the input; two of them are dear on the first accelerator.
    let step = |times: [f64; 2], takes: &[usize], yields| Step {
        takes: takes.to_vec(),
        yields: vec![yields],
        compute_us: times.map(Some).to_vec(),
    };
    let (here, there) = ([1.0, 3.0], [99.0, 1.0]);
    let steps = vec![step(here, &[0], 1), step(there, &[0], 2), step(here, &[0, 1], 3), step(there, &[0, 2], 4)];
    let links = vec![at_hand(), links(5.0, 0.0)];
    let chain = Chain { bytes: vec![20, 0, 0, 0, 0], inputs: 1, outputs: vec![3, 4], links, steps };
    // The upload of 20 bytes once; value 2 stays there; the outputs are empty.
    check(&chain, Some((&[0, 1, 0, 1], 4.0 + 25.0)));
}

/// Three to the power of twelve states, of which some go on.
#[test]
fn many_values_that_skip_many_fragments_take_bounded_time() {
    let step = |index: usize| Step {
        takes: vec![0],
        yields: vec![index + 1],
        compute_us: (0..3).map(|at| Some(if at == index % 3 { 1.0 } else { 50.0 })).collect(),
    };
    let last = Step { takes: (1..13).collect(), yields: vec![13], compute_us: vec![Some(1.0); 3] };
    let steps = (0..12).map(step).chain([last]).collect();
    let links = vec![at_hand(), links(1.0, 1.0), links(1.0, 1.0)];
    let chain = Chain { bytes: vec![0; 14], inputs: 1, outputs: vec![13], links, steps };
    let found = assign(&chain).unwrap();
    assert_eq!(found.accelerators, [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]);
    assert_eq!(cost_us(&chain, &found.accelerators), Some(found.cost_us));
}

/// What an assignment costs, by the values: each leaves its accelerator at most once and is put on every other one that
/// takes it once.
fn cost_us(chain: &Chain, accelerators: &[usize]) -> Option<f64> {
    let mut cost = 0.0;
    for (step, &accelerator) in chain.steps.iter().zip(accelerators) {
        cost += step.compute_us[accelerator]?;
    }
    for (value, &bytes) in chain.bytes.iter().enumerate() {
        let home = chain.steps.iter().position(|step| step.yields.contains(&value)).map(|step| accelerators[step]);
        let users = chain.steps.iter().zip(accelerators).filter(|(step, _)| step.takes.contains(&value));
        let mut elsewhere: Vec<_> = users.map(|(_, &at)| at).filter(|&at| Some(at) != home).collect();
        elsewhere.sort_unstable();
        elsewhere.dedup();
        cost += elsewhere.iter().map(|&at| chain.links[at].upload.transfer_us(bytes)).sum::<f64>();
        if let Some(home) = home {
            let given_back = home != 0 && chain.outputs.contains(&value);
            if given_back || !elsewhere.is_empty() {
                cost += chain.links[home].download.transfer_us(bytes);
            }
        }
    }
    Some(cost)
}

fn try_everything(chain: &Chain) -> Option<f64> {
    let (count, kinds) = (chain.steps.len(), chain.links.len());
    let digits = |number: usize| (0..count).map(|at| number / kinds.pow(at as u32) % kinds).collect::<Vec<_>>();
    let costs = (0..kinds.pow(count as u32)).filter_map(|number| cost_us(chain, &digits(number)));
    costs.min_by(f64::total_cmp)
}

/// Few values, so that ties are common; values skip fragments, are taken twice, or by nobody.
fn small() -> impl Strategy<Value = Chain> {
    (1..6usize, 1..4usize, 1..3usize).prop_flat_map(|(steps, kinds, inputs)| {
        let time = prop::option::weighted(0.8, (1..9u32).prop_map(f64::from));
        let times = prop::collection::vec(prop::collection::vec(time, kinds), steps);
        let delay = || (0..4u32).prop_map(f64::from);
        let links = prop::collection::vec((delay(), delay()).prop_map(|(up, down)| links(up, down)), kinds);
        let yields = prop::collection::vec(0..3usize, steps);
        let bytes = prop::collection::vec(0..5u64, inputs + 2 * steps);
        let taken = prop::collection::vec(prop::collection::vec(any::<prop::sample::Index>(), 0..4), steps);
        let outputs = prop::collection::vec(any::<bool>(), inputs + 2 * steps);
        (times, links, yields, bytes, taken, outputs).prop_map(
            move |(times, links, yields, mut bytes, taken, outputs)| {
                let mut known = inputs;
                let mut steps = Vec::new();
                for ((compute_us, count), taken) in times.into_iter().zip(yields).zip(taken) {
                    let mut takes: Vec<_> = taken.iter().map(|index| index.index(known)).collect();
                    takes.sort_unstable();
                    takes.dedup();
                    steps.push(Step { takes, yields: (known..known + count).collect(), compute_us });
                    known += count;
                }
                bytes.truncate(known);
                let outputs = (0..known).filter(|&value| outputs[value]).collect();
                Chain { bytes, inputs, outputs, links, steps }
            },
        )
    })
}

proptest! {
    #[test]
    fn the_answer_is_what_trying_everything_gives(chain in small()) {
        let expected = try_everything(&chain);
        match assign(&chain) {
            Some(found) => {
                let cost = cost_us(&chain, &found.accelerators).expect("each fragment can be computed there");
                prop_assert!((found.cost_us - cost).abs() < 1e-9, "it is told what it costs");
                prop_assert!((cost - expected.unwrap()).abs() < 1e-9, "{} is the least", expected.unwrap());
            }
            None => prop_assert_eq!(expected, None),
        }
    }
}
