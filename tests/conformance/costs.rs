//! What graphs are said to cost before they run: shapes and element types as they turn out, and nothing refused that is
//! right.

use super::{
    case::{self, Case, Content},
    set::Set,
};
use crate::support::block_on;
use burst_adapters::cost::{Budget, Cost, Skeleton, Value};
use burst_host::nouns::{Account, Fault, Tensor, manifest::Limits};

/// Of a set: graphs of which the size of every value is known, those of which some are not, and what is wrong.
#[derive(Default)]
struct Tally {
    whole: usize,
    partly: Vec<String>,
    wrong: Vec<String>,
}

#[test]
fn shapes_and_elements_of_node_tests_are_told() {
    let Some(tally) = tally(Set::Nodes) else { return };
    tally.told("node tests");
    assert!(tally.whole * 100 >= (tally.whole + tally.partly.len()) * 95);
}

#[test]
fn shapes_and_elements_of_cases_after_bug_reports_are_told() {
    let Some(tally) = tally(Set::Reports) else { return };
    tally.told("cases after bug reports");
}

#[test]
fn shapes_and_elements_of_models_are_told() {
    let Some(tally) = tally(Set::Zoo) else { return };
    tally.told("models");
}

impl Tally {
    fn told(&self, what: &str) {
        let all = self.whole + self.partly.len();
        println!("{what}: every value of {} of {all} is known; {} are wrong", self.whole, self.wrong.len());
        self.partly.iter().for_each(|name| println!("  partly: {name}"));
        self.wrong.iter().for_each(|why| println!("  wrong: {why}"));
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
    }
}

/// `None` before the cases are written.
fn tally(set: Set) -> Option<Tally> {
    let mut tally = Tally::default();
    for case in case::all(set)?.into_iter().filter(|case| case.out_of_scope.is_none()) {
        match told(&case) {
            Ok(0) => tally.whole += 1,
            Ok(unknown) => tally.partly.push(format!("{} ({}): {unknown}", case.name, case.op)),
            Err(_) if case.refused => {}
            Err(why) => tally.wrong.push(format!("{} ({}): {why}", case.name, case.op)),
        }
    }
    Some(tally)
}

/// How many values of a case have a size that is not known; the error is what is known and not so.
fn told(case: &Case) -> Result<usize, String> {
    // What can't be decoded is refused before it costs anything.
    let Ok(Content { graph, inputs, expected }) = block_on(case.read()) else { return Ok(0) };
    let place = |name: &String| case.given.iter().position(|given| given == name);
    let port = |(at, port): (usize, &burst_host::nouns::Port)| match case.given.is_empty() {
        true => inputs.get(at),
        false => inputs.get(place(&port.name)?),
    };
    let values =
        graph.inputs.iter().enumerate().map(port).map(|input| input.map_or_else(Value::default, Value::of_tensor));
    let fault = |fault: Fault| fault.to_string();
    let run = Budget::of(&Account::of(&Limits::default()));
    // Weights are no tensors of guests; what is large is to be so.
    let weights = Budget { tensor_bytes_max: u64::MAX, ..run };
    let skeleton = match Skeleton::of(&graph, true, &weights) {
        Err(Fault::Unsupported(_)) => return Ok(1),
        skeleton => skeleton.map_err(fault)?,
    };
    let run = if case.large { weights } else { run };
    let (Cost { unknown, .. }, outputs) = skeleton.cost(values.collect(), &run).map_err(fault)?;
    for ((port, told), expected) in graph.outputs.iter().zip(&outputs).zip(&expected) {
        agrees(told, expected).map_err(|why| format!("`{}`: {why}", port.name))?;
    }
    Ok(unknown + skeleton.fold().unknown)
}

fn agrees(told: &Value, expected: &Tensor) -> Result<(), String> {
    let spec = expected.spec();
    let found: Vec<u64> = spec.shape.extents().iter().map(|&extent| extent as u64).collect();
    let bounds = |extents: &[u64]| extents.len() == found.len() && found.iter().zip(extents).all(|(a, b)| a <= b);
    let fits = match &told.extents {
        Some(extents) if told.at_most => bounds(extents),
        Some(extents) => *extents == found,
        None => told.elements_max.is_none_or(|most| spec.shape.elements() as u64 <= most),
    };
    let fits = fits && told.element.is_none_or(|element| element == spec.element);
    if fits { Ok(()) } else { Err(format!("{:?}{:?} for {spec}", told.element, told.extents)) }
}
