//! Cases come out as the lists in `tests/conformance` and `tests/zoo` say: ONNX's node tests, of which a sample runs
//! here, cases after public bug reports, and the smallest of the models that packages ship. `just conformance`,
//! `just reports` and `just zoo` run all.

// Of this and of the lists, the runner behind these recipes uses the rest.
#[allow(dead_code)]
pub mod case;
mod close;
mod costs;
#[allow(dead_code)]
mod list;
pub mod run;
#[allow(dead_code)]
pub mod set;

use case::Case;
use list::{Excuses, List};
use run::Outcome;
use set::Set;

/// One node test in so many is run, whatever became of it when the list was written.
const EVERY: usize = 16;
/// lavapipe compiles a kernel or more for each case.
const EVERY_ON_THE_GPU: usize = 48;
/// So many models are run here, the smallest ones; `zoo.py` fetches no more unless asked.
const MODELS: usize = 12;

#[test]
fn conformance_cases_pass_as_listed_on_the_cpu() {
    check("cpu");
}

#[test]
fn conformance_cases_pass_as_listed_on_the_gpu() {
    if crate::support::llvmpipe() {
        check("gpu");
    }
}

#[test]
fn conformance_cases_pass_as_listed_on_onnxruntime() {
    check("onnxruntime");
}

#[test]
fn cases_after_bug_reports_come_out_as_listed_on_the_cpu() {
    compare(Set::Reports, "cpu", |cases| cases.retain(|case| !case.large));
}

#[test]
fn cases_after_bug_reports_come_out_as_listed_on_the_gpu() {
    if crate::support::llvmpipe() {
        compare(Set::Reports, "gpu", |cases| {
            cases.retain(|case| !case.large);
            *cases = cases.iter().step_by(EVERY_ON_THE_GPU).cloned().collect();
        });
    }
}

#[test]
fn small_models_of_packages_come_out_as_listed_on_the_cpu() {
    compare(Set::Zoo, "cpu", smallest);
}

#[test]
fn small_models_of_packages_come_out_as_listed_on_the_gpu() {
    if crate::support::llvmpipe() {
        compare(Set::Zoo, "gpu", smallest);
    }
}

#[test]
fn small_models_of_packages_come_out_as_listed_on_onnxruntime() {
    compare(Set::Zoo, "onnxruntime", smallest);
}

/// Nothing that is listed failed, but what is excused with a reason.
#[test]
fn nothing_fails_that_is_not_excused() {
    for set in [Set::Nodes, Set::Reports, Set::Zoo] {
        for accelerator in ["cpu", "gpu", "swiftshader", "onnxruntime"] {
            let list = List::read(set, accelerator);
            let failures = list.failures(&Excuses::read(set, accelerator));
            assert!(
                failures.is_empty(),
                "{set:?} on {accelerator}: {} failed: {}",
                failures.len(),
                failures.join(", ")
            );
        }
    }
}

fn smallest(cases: &mut Vec<Case>) {
    cases.retain(|case| !case.large);
    assert_eq!(cases.len(), MODELS, "the smallest models");
}

fn check(accelerator: &str) {
    let Some(cases) = written(Set::Nodes) else { return };
    let (list, accelerator) = (List::read(Set::Nodes, accelerator), run::accelerator(accelerator).unwrap());
    let listed = |case: &Case| list.0.get(&case.name).is_some_and(|outcome| outcome == "passed");
    let sample: Vec<_> = cases.iter().step_by(EVERY).filter(|case| listed(case)).collect();
    assert!(sample.len() > 50, "{} cases", sample.len());
    for case in sample {
        match run::run(&accelerator, case) {
            Outcome::Passed => {}
            Outcome::Failed(why) => panic!("{}: {why}", case.name),
            other => panic!("{}: {other}", case.name),
        }
    }
}

/// Runs those that are chosen and holds what becomes of them to the list.
fn compare(set: Set, name: &str, choose: impl FnOnce(&mut Vec<Case>)) {
    let Some(mut cases) = written(set) else { return };
    choose(&mut cases);
    assert!(!cases.is_empty());
    let (mut list, accelerator) = (List::read(set, name), run::accelerator(name).unwrap());
    let (mut found, mut reasons) = (List::default(), String::new());
    for case in cases {
        let outcome = run::run(&accelerator, &case);
        if let Outcome::Failed(why) = &outcome {
            reasons += &format!("{}: {why}\n", case.name);
        }
        found.0.insert(case.name, outcome.to_string());
    }
    list.0.retain(|name, _| found.0.contains_key(name));
    let differences = list.differences(&found);
    assert!(differences.is_empty(), "{}\n{reasons}`{} {name} --update`", differences.join("\n"), set.recipe());
}

/// The cases of a set; `None` where nobody has written them and nobody has to.
fn written(set: Set) -> Option<Vec<Case>> {
    let cases = case::all(set);
    if cases.is_none() {
        assert!(std::env::var_os("CI").is_none(), "the cases are missing; `just test` writes them");
        eprintln!("skipped: the cases are missing; `just test` writes them");
    }
    cases
}
