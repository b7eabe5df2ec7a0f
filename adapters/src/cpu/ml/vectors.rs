//! Classes by votes of support vectors, as ONNX Runtime counts them.

use super::{
    attributes::{floats, ints, text},
    labels::{Class, Labels},
    rows::{Learned, Rows},
    scores::Transform,
};
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Linear,
    Poly,
    Rbf,
    Sigmoid,
}

#[derive(Debug)]
struct Kernel {
    kind: Kind,
    gamma: f32,
    shift: f32,
    degree: f32,
}

impl Kernel {
    fn of(node: &NodeProto) -> TractResult<Self> {
        let parameters = floats(node, "kernel_params");
        let parameter = |at: usize| parameters.get(at).copied().unwrap_or(0.0);
        let kind = match text(node, "kernel_type", "LINEAR").as_str() {
            "LINEAR" => Kind::Linear,
            "POLY" => Kind::Poly,
            "RBF" => Kind::Rbf,
            "SIGMOID" => Kind::Sigmoid,
            other => bail!("`kernel_type` {other}"),
        };
        Ok(Self { kind, gamma: parameter(0), shift: parameter(1), degree: parameter(2) })
    }

    fn between(&self, a: &[f32], b: &[f32]) -> f32 {
        let dot = || a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
        match self.kind {
            Kind::Linear => dot(),
            Kind::Poly => (self.gamma * dot() + self.shift).powf(self.degree),
            Kind::Sigmoid => (self.gamma * dot() + self.shift).tanh(),
            Kind::Rbf => (-self.gamma * a.iter().zip(b).map(|(a, b)| (a - b) * (a - b)).sum::<f32>()).exp(),
        }
    }
}

#[derive(Debug)]
struct Classifier {
    labels: Labels,
    kernel: Kernel,
    /// Rows of features, those of one class after the other.
    vectors: Vec<f32>,
    /// How many of them each class has; none where coefficients are those of linear models.
    counts: Vec<usize>,
    /// For each other class a row, a number for each vector.
    coefficients: Vec<f32>,
    rho: Vec<f32>,
    /// How a score becomes a probability, for each pair of classes.
    probabilities: Option<(Vec<f32>, Vec<f32>)>,
    transform: Transform,
}

pub fn classifier(_: &ParsingContext, node: &NodeProto) -> TractResult<(Box<dyn InferenceOp>, Vec<String>)> {
    let labels = Labels::of(node, "classlabels_ints")?;
    let counts: Vec<usize> = ints(node, "vectors_per_class")
        .iter()
        .map(|&count| usize::try_from(count).context("`vectors_per_class`"))
        .collect::<TractResult<_>>()?;
    let vectors: usize = counts.iter().sum();
    let (a, b) = (floats(node, "prob_a"), floats(node, "prob_b"));
    let classifier = Classifier {
        kernel: Kernel::of(node)?,
        vectors: floats(node, "support_vectors").to_vec(),
        counts: if vectors > 0 { counts } else { Vec::new() },
        coefficients: floats(node, "coefficients").to_vec(),
        rho: floats(node, "rho").to_vec(),
        probabilities: (!a.is_empty()).then(|| (a.to_vec(), b.to_vec())),
        transform: Transform::named(&text(node, "post_transform", "NONE"))?,
        labels,
    };
    classifier.check(vectors)?;
    Ok(Rows::boxed("SVMClassifier", classifier))
}

impl Classifier {
    fn check(&self, vectors: usize) -> TractResult<()> {
        let classes = self.labels.len();
        ensure!(classes > 1, "one class");
        if self.counts.is_empty() {
            ensure!(self.coefficients.len().is_multiple_of(classes) && !self.rho.is_empty(), "coefficients or `rho`");
            return Ok(());
        }
        let pairs = classes * (classes - 1) / 2;
        let enough = |list: &[f32]| list.len() >= pairs;
        ensure!(self.counts.len() == classes, "`vectors_per_class` has another number than classes");
        ensure!(self.coefficients.len() >= (classes - 1) * vectors, "too few coefficients");
        ensure!(enough(&self.rho), "too few `rho`");
        ensure!(self.vectors.len().is_multiple_of(vectors), "support vectors of no one length");
        let fit = self.probabilities.as_ref().is_none_or(|(a, b)| enough(a) && enough(b));
        ensure!(fit, "too few `prob_a` and `prob_b`");
        ensure!(self.transform != Transform::Probit, "`post_transform` PROBIT");
        Ok(())
    }

    /// A score for each pair of classes, and the votes for each class.
    fn pairs(&self, row: &[f32]) -> TractResult<(Vec<f32>, Vec<usize>)> {
        let count: usize = self.counts.iter().sum();
        let width = self.vectors.len() / count;
        ensure!(row.len() == width, "{} features instead of {width}", row.len());
        let kernels: Vec<f32> = self.vectors.chunks(width).map(|vector| self.kernel.between(row, vector)).collect();
        let classes = self.labels.len();
        let starts: Vec<usize> = (0..classes).map(|class| self.counts[..class].iter().sum()).collect();
        let part = |other: usize, class: usize| -> f64 {
            let (start, count_of) = (starts[class], self.counts[class]);
            let weights = &self.coefficients[other * count + start..][..count_of];
            weights.iter().zip(&kernels[start..]).map(|(weight, kernel)| f64::from(weight * kernel)).sum()
        };
        let (mut scores, mut votes) = (Vec::new(), vec![0; classes]);
        for i in 0..classes - 1 {
            for j in i + 1..classes {
                let sum = part(j - 1, i) + part(i, j) + f64::from(self.rho[scores.len()]);
                scores.push(sum as f32);
                votes[if sum > 0.0 { i } else { j }] += 1;
            }
        }
        Ok((scores, votes))
    }

    fn row(&self, row: &[f32]) -> TractResult<(Class, Vec<f32>)> {
        if self.counts.is_empty() {
            return self.linear(row);
        }
        let (scores, votes) = self.pairs(row)?;
        let best = first_largest(&votes);
        // Without probabilities of two classes, weights that are all positive ask for half of a score that is never set.
        let class = Class::Label(best);
        let mut shown = match &self.probabilities {
            Some(probabilities) => self.shares(&scores, probabilities),
            None if self.labels.len() == 2 => {
                let shares = self.transform != Transform::None;
                return Ok((class, self.transform.both(scores[0], shares).to_vec()));
            }
            None => scores,
        };
        self.transform.apply(&mut shown);
        Ok((class, shown))
    }

    fn linear(&self, row: &[f32]) -> TractResult<(Class, Vec<f32>)> {
        let classes = self.labels.len();
        let width = self.coefficients.len() / classes;
        ensure!(row.len() == width, "{} features instead of {width}", row.len());
        let linear = Kernel { kind: Kind::Linear, gamma: 0.0, shift: 0.0, degree: 0.0 };
        let mut scores: Vec<f32> =
            self.coefficients.chunks(width).map(|one| linear.between(row, one) + self.rho[0]).collect();
        let best = (0..classes).fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
        let all = self.coefficients.iter().all(|&weight| weight >= 0.0);
        let second =
            classes == 2 && self.probabilities.is_none() && if all { scores[best] >= 0.5 } else { scores[best] > 0.0 };
        self.transform.apply(&mut scores);
        Ok((Class::Label(if second { 1 } else { best }), scores))
    }

    /// Probabilities of classes from those of pairs. Source: Wu, Lin and Weng, Probability Estimates for Multi-class
    /// Classification by Pairwise Coupling, algorithm 2, as in LIBSVM.
    fn shares(&self, scores: &[f32], (a, b): &(Vec<f32>, Vec<f32>)) -> Vec<f32> {
        let classes = self.labels.len();
        let mut pairs = vec![0.0f32; classes * classes];
        let mut at = 0;
        for i in 0..classes - 1 {
            for j in i + 1..classes {
                let share = 1.0 - super::scores::logistic(scores[at] * a[at] + b[at]);
                let share = share.clamp(1e-7, 1.0 - 1e-7);
                pairs[i * classes + j] = share;
                pairs[j * classes + i] = 1.0 - share;
                at += 1;
            }
        }
        coupled(&pairs, classes)
    }
}

fn coupled(pairs: &[f32], classes: usize) -> Vec<f32> {
    let pair = |i: usize, j: usize| pairs[i * classes + j];
    let mut q = vec![0.0f32; classes * classes];
    let mut shares = vec![1.0 / classes as f32; classes];
    for i in 0..classes {
        for j in (0..classes).filter(|&j| j != i) {
            q[i * classes + i] += pair(j, i) * pair(j, i);
            q[i * classes + j] = -pair(j, i) * pair(i, j);
        }
    }
    let tolerance = 0.005 / classes as f32;
    for _ in 0..100 {
        let products: Vec<f32> =
            q.chunks(classes).map(|row| row.iter().zip(&shares).map(|(q, p)| q * p).sum()).collect();
        let mut products = products;
        let mut whole: f32 = shares.iter().zip(&products).map(|(p, product)| p * product).sum();
        if products.iter().all(|product| (product - whole).abs() <= tolerance) {
            break;
        }
        for i in 0..classes {
            let own = q[i * classes + i];
            let step = (whole - products[i]) / own;
            shares[i] += step;
            whole = (whole + step * (step * own + 2.0 * products[i])) / (1.0 + step) / (1.0 + step);
            for j in 0..classes {
                products[j] = (products[j] + step * q[i * classes + j]) / (1.0 + step);
                shares[j] /= 1.0 + step;
            }
        }
    }
    shares
}

fn first_largest(votes: &[usize]) -> usize {
    (0..votes.len()).fold(0, |best, class| if votes[class] > votes[best] { class } else { best })
}

impl Learned for Classifier {
    fn results(&self, _: DatumType) -> Vec<(DatumType, Option<usize>)> {
        let classes = self.labels.len();
        let pairs = !self.counts.is_empty() && self.probabilities.is_none() && classes > 2;
        let count = if pairs { classes * (classes - 1) / 2 } else { classes };
        vec![(self.labels.element(), None), (DatumType::F32, Some(count))]
    }

    fn compute(&self, features: &Tensor, count: usize, width: usize) -> TractResult<TVec<Tensor>> {
        let features = features.cast_to::<f32>()?;
        let all = features.try_as_plain_ram()?.as_slice::<f32>()?;
        let (mut classes, mut scores) = (Vec::with_capacity(count), Vec::new());
        for row in all.chunks(width.max(1)) {
            let (class, shown) = self.row(row)?;
            classes.push(class);
            scores.extend(shown);
        }
        let each = self.results(DatumType::F32)[1].1.unwrap_or(0);
        Ok(tvec![self.labels.named(&classes)?, tensor1(&scores).into_shape(&[count, each])?])
    }
}
