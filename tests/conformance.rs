//! ONNX's node tests come out as the lists in `tests/conformance` say: a sample here, all of them in `just conformance`.

// Of this and of the lists, the runner behind `just conformance` uses the rest.
#[allow(dead_code)]
mod case;
mod close;
#[allow(dead_code)]
mod list;
mod run;

use case::Case;
use list::List;
use run::Outcome;

/// One case in so many is run, whatever became of it when the list was written.
const EVERY: usize = 16;

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

fn check(accelerator: &str) {
    let Some(cases) = case::all() else {
        assert!(std::env::var_os("CI").is_none(), "ONNX's node tests are missing; `just test` writes them");
        return eprintln!("skipped: ONNX's node tests are missing; `just test` writes them");
    };
    let (list, accelerator) = (List::read(accelerator), run::accelerator(accelerator).unwrap());
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
