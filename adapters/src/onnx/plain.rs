//! One pass before any accelerator sees a graph: functions are inlined, forms of early operator sets become those of
//! opset 10, and what ONNX Runtime and others add to ONNX is made of ONNX's own operators.

use super::{
    Limits, OnnxError,
    build::{Builder, Outcome},
    check, contrib,
    facts::Facts,
    inline, learned, names, upgrade,
};
use burst_host::nouns::{Fault, Graph, Op, Opset, Tensor};
use std::mem;

/// Writes one operator in others; `false` where it is fine as it is.
pub(super) type Row = fn(&mut Builder<'_>) -> Outcome;

/// Operators in the place of operators that stand in for operators.
const DEPTH_MAX: usize = 8;
/// Operators that one may come to, on average.
const MADE_MAX: usize = 8;
/// What stand-ins are written in where a model names no operator set of ONNX's own.
const OPSET: i64 = 21;

/// Finds a constant by its name.
pub(crate) type Constants<'a> = &'a dyn Fn(&str) -> Option<Tensor>;

/// An accelerator, as far as this pass is concerned.
pub struct Target {
    /// In words, for refusals: `CPU`.
    pub name: &'static str,
    /// Whether it computes an operator outside of ONNX's own domain itself.
    pub(crate) native: fn(&Op, Constants<'_>) -> bool,
}

/// The graph in operators of ONNX, and those that are native to the target. `Unsupported` with the name of an operator
/// that is neither.
pub fn plain(graph: &Graph, limits: &Limits, target: &Target) -> Result<Graph, Fault> {
    let mut graph = inline(graph, limits)?;
    let source = version(&graph.opsets, "").unwrap_or(OPSET);
    let learned = version(&graph.opsets, "ai.onnx.ml").unwrap_or(1);
    let opset = upgrade::target(&graph, source);
    let mut pass = Pass { target, limits, source, opset, learned, made: 0, bytes: 0, weights: Vec::new() };
    pass.graph(&mut graph, &mut Facts::default())?;
    graph.constants.append(&mut pass.weights);
    graph.opsets.retain(|opset| !opset.domain.is_empty());
    graph.opsets.insert(0, Opset { domain: String::new(), version: opset });
    check::model(&graph, &Limits { ops_max: limits.ops_max.saturating_mul(MADE_MAX), ..limits.clone() })?;
    Ok(graph)
}

/// The version of an operator set.
fn version(opsets: &[Opset], domain: &str) -> Option<i64> {
    opsets.iter().find(|opset| opset.domain == domain).map(|opset| opset.version)
}

struct Pass<'a> {
    target: &'a Target,
    limits: &'a Limits,
    source: i64,
    opset: i64,
    learned: i64,
    /// Operators so far.
    made: usize,
    /// What weights were unpacked to.
    bytes: usize,
    weights: Vec<(String, Tensor)>,
}

impl Pass<'_> {
    fn graph(&mut self, graph: &mut Graph, facts: &mut Facts) -> Result<(), Fault> {
        facts.enter(graph);
        let mut ops = Vec::with_capacity(graph.ops.len());
        for op in mem::take(&mut graph.ops) {
            self.op(op, facts, &mut ops, 0)?;
        }
        graph.ops = ops;
        facts.leave();
        Ok(())
    }

    fn op(&mut self, mut op: Op, facts: &mut Facts, ops: &mut Vec<Op>, depth: usize) -> Result<(), Fault> {
        let native = !op.domain.is_empty() && (self.target.native)(&op, &|name| facts.tensor(name).cloned());
        if let Some(row) = self.row(&op, depth).filter(|_| !native && depth < DEPTH_MAX) {
            let mut builder = Builder::new(&op, facts, [self.source, self.opset, self.learned]);
            if row(&mut builder).map_err(|reason| self.unsupported(&op, &reason))? {
                let made = mem::take(&mut builder.ops);
                let bytes = builder.weights.iter().filter_map(|(_, tensor)| tensor.spec().bytes());
                self.bytes = bytes.fold(self.bytes, usize::saturating_add);
                self.weights.append(&mut builder.weights);
                self.within()?;
                return made.into_iter().try_for_each(|made| self.op(made, facts, ops, depth + 1));
            }
        }
        if !native && !names::is_defined(&op.domain, &op.kind) {
            return Err(self.unsupported(&op, ""));
        }
        op.graphs_mut().try_for_each(|graph| self.graph(graph, facts))?;
        facts.learn(&op);
        ops.push(op);
        self.made += 1;
        self.within()
    }

    /// Fails where a model comes to more than it may.
    fn within(&self) -> Result<(), Fault> {
        OnnxError::limit("operators in operators of ONNX", self.made, self.limits.ops_max.saturating_mul(MADE_MAX))?;
        OnnxError::limit("bytes of unpacked weights", self.bytes, self.limits.external_max_bytes)?;
        Ok(())
    }

    fn row(&self, op: &Op, depth: usize) -> Option<Row> {
        match op.domain.as_str() {
            // What is made here is in the late form already.
            "" if depth > 0 => contrib::row(op),
            "" => upgrade::row(op, self.source).or_else(|| contrib::row(op)),
            "com.microsoft" => contrib::row(op),
            "ai.onnx.ml" => learned::row(op),
            _ => None,
        }
    }

    fn unsupported(&self, op: &Op, reason: &str) -> Fault {
        let dot = if op.domain.is_empty() { "" } else { "." };
        let colon = if reason.is_empty() { "" } else { ": " };
        let (domain, kind, name) = (&op.domain, &op.kind, self.target.name);
        Fault::Unsupported(format!("operator `{domain}{dot}{kind}` on the {name}{colon}{reason}"))
    }
}
