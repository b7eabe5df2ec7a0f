//! What is done to scores last, as ONNX Runtime does it.

use tract_onnx::tract_hir::internal::*;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transform {
    None,
    Softmax,
    Logistic,
    SoftmaxZero,
    Probit,
}

impl Transform {
    pub fn named(name: &str) -> TractResult<Self> {
        Ok(match name {
            "NONE" => Self::None,
            "SOFTMAX" => Self::Softmax,
            "LOGISTIC" => Self::Logistic,
            "SOFTMAX_ZERO" => Self::SoftmaxZero,
            "PROBIT" => Self::Probit,
            other => bail!("`post_transform` {other}"),
        })
    }

    /// Of `TreeEnsemble`, which has numbers for them.
    pub fn numbered(number: i64) -> TractResult<Self> {
        let all = [Self::None, Self::Softmax, Self::Logistic, Self::SoftmaxZero, Self::Probit];
        let found = usize::try_from(number).ok().and_then(|number| all.get(number)).copied();
        found.ok_or_else(|| format_err!("`post_transform` {number}"))
    }

    /// Two scores or more.
    pub fn apply(self, scores: &mut [f32]) {
        match self {
            Self::None => {}
            Self::Logistic => scores.iter_mut().for_each(|score| *score = logistic(*score)),
            Self::Probit => scores.iter_mut().for_each(|score| *score = probit(*score)),
            Self::Softmax => normalise(scores, |score, max| (score - max).exp()),
            Self::SoftmaxZero => normalise(scores, |score, max| match score {
                score if score.abs() > 1e-7 => (score - max).exp(),
                score => score * (-max).exp(),
            }),
        }
    }

    /// One score alone.
    pub fn alone(self, score: f32) -> f32 {
        if self == Self::Probit { probit(score) } else { score }
    }

    /// What one score says of two classes; weights that are all positive are shares.
    pub fn both(self, score: f32, shares: bool) -> [f32; 2] {
        match (self, shares) {
            (Self::Logistic, _) => [logistic(-score), logistic(score)],
            (_, true) => [1.0 - score, score],
            (_, false) => [-score, score],
        }
    }
}

fn normalise(scores: &mut [f32], power: impl Fn(f32, f32) -> f32) {
    let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for score in scores.iter_mut() {
        let counts = power(*score, max);
        // A zero that stays one does not count.
        if counts != 0.0 || *score != 0.0 {
            sum += counts;
        }
        *score = counts;
    }
    scores.iter_mut().for_each(|score| *score /= sum);
}

pub fn logistic(score: f32) -> f32 {
    let share = 1.0 / (1.0 + (-score.abs()).exp());
    if score < 0.0 { 1.0 - share } else { share }
}

/// √2 · erf⁻¹(2 · score - 1), after Winitzki.
fn probit(score: f32) -> f32 {
    let x = 2.0 * score - 1.0;
    let log = ((1.0 - x) * (1.0 + x)).ln();
    // π · 0.147, with π of six digits as ONNX Runtime has it.
    let v = 2.0 / 0.461_813_73 + 0.5 * log;
    let size = (-v + (v * v - log / 0.147).sqrt()).sqrt();
    std::f32::consts::SQRT_2 * if x < 0.0 { -size } else { size }
}
