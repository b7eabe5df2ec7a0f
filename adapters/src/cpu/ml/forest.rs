//! The walk through decision trees, from their roots to leaves.

use crate::onnx::forest::{Aggregate, Branch, Forest, Mode, Node};
use tract_onnx::tract_hir::internal::*;

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
