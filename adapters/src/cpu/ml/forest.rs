//! Decision trees, and the walk from their roots to leaves.

use tract_onnx::tract_hir::internal::*;

/// How a feature is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Differs,
    /// One of a set.
    Member,
}

#[derive(Clone, Debug)]
pub struct Branch {
    pub feature: usize,
    pub mode: Mode,
    pub split: f64,
    /// Values of a set, for `Mode::Member`.
    pub members: Vec<f64>,
    /// Where a feature goes that is missing.
    pub missing: bool,
    pub yes: usize,
    pub no: usize,
}

#[derive(Clone, Debug)]
pub enum Node {
    Branch(Branch),
    /// Targets or classes, and what is added to their scores.
    Leaf(Vec<(usize, f64)>),
}

/// Trees in one list of nodes.
#[derive(Clone, Debug)]
pub struct Forest {
    pub nodes: Vec<Node>,
    pub roots: Vec<usize>,
    pub targets: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

impl Aggregate {
    pub fn named(name: &str) -> TractResult<Self> {
        Ok(match name {
            "SUM" => Self::Sum,
            "AVERAGE" => Self::Average,
            "MIN" => Self::Min,
            "MAX" => Self::Max,
            other => bail!("`aggregate_function` {other}"),
        })
    }

    /// Of `TreeEnsemble`, which has numbers for them.
    pub fn numbered(number: i64) -> TractResult<Self> {
        Ok(match number {
            0 => Self::Average,
            1 => Self::Sum,
            2 => Self::Min,
            3 => Self::Max,
            other => bail!("`aggregate_function` {other}"),
        })
    }
}

/// The score of one target, and whether a leaf gave it.
pub type Score = Option<f64>;

impl Branch {
    fn is_true(&self, value: f64) -> bool {
        let truth = match self.mode {
            Mode::AtMost => value <= self.split,
            Mode::Below => value < self.split,
            Mode::AtLeast => value >= self.split,
            Mode::Above => value > self.split,
            Mode::Equal => value == self.split,
            Mode::Differs => value != self.split,
            Mode::Member => self.members.contains(&value),
        };
        truth || (self.missing && value.is_nan())
    }
}

impl Forest {
    /// Fails where a walk could leave the trees, or could have no end.
    pub fn check(&self) -> TractResult<()> {
        let inside = |&at: &usize| at < self.nodes.len();
        ensure!(self.roots.iter().all(inside), "a root that is no node");
        // Each node has one way to it: then every walk ends.
        let mut reached = vec![false; self.nodes.len()];
        let mut open = self.roots.clone();
        while let Some(at) = open.pop() {
            ensure!(!std::mem::replace(&mut reached[at], true), "a node with two ways to it");
            match &self.nodes[at] {
                Node::Branch(branch) => {
                    ensure!(inside(&branch.yes) && inside(&branch.no), "a branch to no node");
                    open.extend([branch.yes, branch.no]);
                }
                Node::Leaf(weights) => {
                    let known = weights.iter().all(|(target, _)| *target < self.targets);
                    ensure!(known, "a leaf for a target that there is not");
                }
            }
        }
        // Branches that lead back to themselves have no root.
        let lost = |(node, reached): (&Node, &bool)| matches!(node, Node::Branch(_)) && !reached;
        ensure!(!self.nodes.iter().zip(&reached).any(lost), "a branch that no tree leads to");
        Ok(())
    }

    /// The scores of one row. Sums are rounded to FP32 at each step unless they are `wide`.
    pub fn scores(&self, row: &[f64], aggregate: Aggregate, wide: bool) -> TractResult<Vec<Score>> {
        let mut scores = vec![None; self.targets];
        for &root in &self.roots {
            for &(target, weight) in self.leaf(root, row)? {
                let sum = |score: f64| if wide { score + weight } else { f64::from((score as f32) + (weight as f32)) };
                let score: &mut Score = &mut scores[target];
                *score = Some(match (*score, aggregate) {
                    (None, Aggregate::Sum | Aggregate::Average) => sum(0.0),
                    (Some(score), Aggregate::Sum | Aggregate::Average) => sum(score),
                    (Some(score), Aggregate::Min) if score < weight => score,
                    (Some(score), Aggregate::Max) if score > weight => score,
                    _ => weight,
                });
            }
        }
        if aggregate == Aggregate::Average {
            let count = self.roots.len() as f64;
            scores.iter_mut().flatten().for_each(|score| *score /= count);
        }
        Ok(scores)
    }

    fn leaf(&self, root: usize, row: &[f64]) -> TractResult<&[(usize, f64)]> {
        let mut at = root;
        loop {
            match &self.nodes[at] {
                Node::Leaf(weights) => return Ok(weights),
                Node::Branch(branch) => {
                    let value = *row.get(branch.feature).context("a row with too few features")?;
                    at = if branch.is_true(value) { branch.yes } else { branch.no };
                }
            }
        }
    }
}
