//! Small models of each kind, cut: what can be cut gives the whole one's bits.

use crate::{
    conformance::{case, run, set::Set},
    split::{load, models, same},
    support::{Burst, block_on, cpu},
};
use burst_host::{loops::models::LoadError, ports::Program};
use std::sync::Arc;

/// Weights of two layers, values read late, conditions, functions: whatever can be cut gives the whole one's bits.
#[test]
fn small_models_of_each_kind_are_what_they_were() {
    let Some(mut cases) = case::all(Set::Reports) else {
        assert!(std::env::var_os("CI").is_none(), "the cases are missing; `just test` writes them");
        return eprintln!("skipped: the cases are missing; `just test` writes them");
    };
    cases.retain(|case| case.op == "cuts");
    assert!(cases.len() > 8, "{} models", cases.len());
    let models = models(cpu());
    let mut cuts = 0;
    for (case, parts) in cases.iter().flat_map(|case| ["2", "3", "5"].map(|parts| (case, parts))) {
        let (model, output) = (case.path("model.onnx"), tempfile::tempdir().unwrap());
        let Ok(whole) = load(&models, &model) else { continue };
        let paths = [&model, output.path()].map(|path| path.display().to_string());
        let run = Burst::run(&["split", &paths[0], "--output", &paths[1], "--parts", parts]);
        if !run.status.success() {
            let told = String::from_utf8_lossy(&run.stderr);
            assert!(told.contains("there are cuts for"), "{} in {parts}: {told}", case.name);
            continue;
        }
        // A part may have open extents where the whole one has none: refused, no other answer.
        let cut = match load(&models, output.path()) {
            Err(LoadError::Fragment { source, .. }) if matches!(*source, LoadError::Load(_)) => continue,
            cut => cut.unwrap(),
        };
        let inputs = block_on(case.read()).unwrap().inputs;
        let answer = |program: Arc<dyn Program>| {
            block_on(run::outputs(&*models.accelerator, &*program, case, inputs.clone())).unwrap()
        };
        same(&answer(cut), &answer(whole), &format!("{} in {parts}", case.name));
        cuts += 1;
    }
    assert!(cuts > 8, "{cuts} cuts");
}
