//! What a walk has still to do. Control flow is spelled out on the way: a branch as its operators, a loop as the
//! operators of a round and the loop again.

use super::{lower::rounds::Round, pattern::Pattern};
use burst_host::nouns::Op;
use std::{collections::BTreeSet, sync::Arc};

/// The next thing to do.
#[derive(Clone)]
pub enum Task {
    Op(Op),
    /// A loop before its next round.
    Round(Box<Round>),
    /// Several operators that one kernel may compute.
    Pattern(Arc<Pattern>),
}

impl Task {
    /// Names of values that it needs.
    pub fn used<'a>(&'a self, names: &mut BTreeSet<&'a str>) {
        match self {
            Self::Op(op) => used(std::slice::from_ref(op), names),
            Self::Pattern(pattern) => {
                used(&pattern.ops, names);
                names.extend(pattern.reads());
            }
            Self::Round(round) => {
                names.extend(round.names());
                used(std::slice::from_ref(round.op()), names);
            }
        }
    }
}

pub fn used<'a>(ops: &'a [Op], names: &mut BTreeSet<&'a str>) {
    for op in ops {
        names.extend(op.inputs.iter().map(String::as_str));
        for graph in op.graphs() {
            used(&graph.ops, names);
            names.extend(graph.outputs.iter().map(|port| port.name.as_str()));
        }
    }
}
