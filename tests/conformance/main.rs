//! A set of cases on one accelerator: how many pass, and what differs from the list in the tree.
//!
//!     just conformance ACCELERATOR [--update] [OPERATOR …]
//!     just reports ACCELERATOR [--update] [KIND …]
//!     just zoo ACCELERATOR [--update] [MODEL …]

// Of this, the tests use the rest.
#[allow(dead_code)]
mod case;
mod close;
mod list;
mod run;
mod set;
// Of the support, this uses a part.
#[allow(dead_code, unused_imports)]
#[path = "../support/mod.rs"]
mod support;

use burst_host::ports::Accelerator;
use case::Case;
use list::{Excuses, List};
use run::Outcome;
use set::Set;
use std::{fmt, fs, process::ExitCode, sync::Arc, time::Instant};

fn main() -> ExitCode {
    let flags = Flags::parse();
    // A panic is an outcome, told with its case.
    std::panic::set_hook(Box::new(|_| {}));
    let (start, mut tally, mut found) = (Instant::now(), Tally::default(), List::default());
    let mut accelerator = flags.accelerator();
    for case in flags.cases() {
        let outcome = run::run(&accelerator, &case);
        match &outcome {
            Outcome::Failed(reason) => println!("{} {outcome}: {reason}", case.name),
            Outcome::Hung => {
                println!("{} {outcome}: no answer in time", case.name);
                // What hangs may hold its threads for good.
                accelerator = flags.accelerator();
            }
            _ if !flags.whole() || flags.set == Set::Zoo => println!("{} {outcome}", case.name),
            _ => {}
        }
        tally.count(&outcome);
        found.0.insert(case.name, outcome.to_string());
    }
    println!("{}: {tally}; {:.1} s", flags.name, start.elapsed().as_secs_f64());
    if flags.whole() { flags.conclude(&tally, &found) } else { ExitCode::SUCCESS }
}

/// What was asked for on the command line.
struct Flags {
    /// Of the accelerator.
    name: String,
    set: Set,
    /// Write the list instead of comparing with it.
    update: bool,
    /// Operators, kinds or names of those to test; all of them when none is named.
    operators: Vec<String>,
}

impl Flags {
    fn parse() -> Self {
        // `--bench` is cargo's own.
        let mut words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
        let update = words.iter().any(|word| word == "--update");
        words.retain(|word| word != "--update");
        let set = words.iter().find_map(|word| Set::named(word.strip_prefix("--set=")?)).unwrap_or(Set::Nodes);
        words.retain(|word| !word.starts_with("--set="));
        assert!(
            !words.is_empty() && !words.iter().any(|word| word.starts_with('-')),
            "ACCELERATOR [--set=nodes|reports|zoo] [--update] [OPERATOR …]"
        );
        Self { name: words.remove(0), set, update, operators: words }
    }

    fn accelerator(&self) -> Arc<dyn Accelerator> {
        run::accelerator(&self.name).unwrap_or_else(|| panic!("there is no accelerator `{}`", self.name))
    }

    /// Whether every case was asked for.
    fn whole(&self) -> bool {
        self.operators.is_empty()
    }

    fn cases(&self) -> Vec<Case> {
        let cases = case::all(self.set);
        let mut cases = cases.unwrap_or_else(|| panic!("`{}` writes the cases", self.set.recipe()));
        cases.retain(|case| self.whole() || self.operators.iter().any(|word| [&case.op, &case.name].contains(&word)));
        cases
    }

    /// Writes the figures, and writes the list or tells how it differs.
    fn conclude(&self, tally: &Tally, found: &List) -> ExitCode {
        let (name, lists) = (&self.name, self.set.lists());
        let figures = self.set.cases().with_file_name(match self.set {
            Set::Nodes => format!("{name}.json"),
            set => format!("{set:?}.{name}.json").to_lowercase(),
        });
        fs::write(figures, tally.json()).expect("the cases are beside it");
        let failures = found.failures(&Excuses::read(self.set, name));
        failures.iter().for_each(|name| println!("{name}: failed, and is not excused"));
        if self.update {
            found.write(self.set, name).expect("the list is in the tree");
        }
        let differences = List::read(self.set, name).differences(found);
        differences.iter().for_each(|line| println!("{line}"));
        if !differences.is_empty() {
            println!("{} differ from {}/{name}.txt; --update rewrites it", differences.len(), lists.display());
        }
        if differences.is_empty() && failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[derive(Default)]
struct Tally {
    passed: usize,
    /// Where that is right.
    refused: usize,
    failed: usize,
    unsupported: usize,
    out_of_scope: usize,
}

impl Tally {
    fn count(&mut self, outcome: &Outcome) {
        *match outcome {
            Outcome::Passed => &mut self.passed,
            Outcome::Refused => &mut self.refused,
            Outcome::Failed(_) | Outcome::Hung => &mut self.failed,
            Outcome::Unsupported(_) => &mut self.unsupported,
            Outcome::OutOfScope(_) => &mut self.out_of_scope,
        } += 1;
    }

    fn in_scope(&self) -> usize {
        self.passed + self.refused + self.failed + self.unsupported
    }

    fn json(&self) -> String {
        let Self { refused, failed, unsupported, .. } = self;
        let passed = self.passed + refused;
        let in_scope = self.in_scope();
        format!(r#"{{"passed":{passed},"failed":{failed},"unsupported":{unsupported},"in_scope":{in_scope}}}"#)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { passed, refused, failed, unsupported, out_of_scope } = self;
        let in_scope = self.in_scope();
        let share = 100.0 * (passed + refused) as f64 / in_scope.max(1) as f64;
        write!(f, "{passed} passed and {refused} refused as is right ({share:.1} % of {in_scope} in scope), ")?;
        write!(f, "{failed} failed, ")?;
        write!(f, "{unsupported} unsupported, {out_of_scope} out of scope")
    }
}
