//! Ensembles of trees. What the standard leaves open is as ONNX Runtime has it.

use super::{
    attributes::{int, numbers, refused, text},
    forest::Score,
    labels::{Class, Labels},
    rows::{Learned, Rows},
    scores::Transform,
};
use crate::onnx::forest::{Aggregate, Forest};
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

pub fn classifier(_: &ParsingContext, node: &NodeProto) -> Built {
    let labels = Labels::of(node, "classlabels_int64s")?;
    let forest = Forest::listed(node, "class", labels.len()).map_err(refused)?;
    let single = forest.weights().all(|(class, _)| forest.weights().next().is_some_and(|(first, _)| first == class));
    let shares = forest.weights().all(|(_, weight)| *weight >= 0.0);
    let base = numbers(node, "base_values")?;
    let transform = Transform::named(&text(node, "post_transform", "NONE"))?;
    ensure!(base.is_empty() || base.len() <= labels.len(), "{} base values", base.len());
    if labels.len() == 2 {
        ensure!(single || base.len() != 1, "one base value for two classes that both have weights");
        ensure!(transform != Transform::Probit, "`post_transform` PROBIT of two classes");
    }
    Ok(Rows::boxed("TreeEnsembleClassifier", Classifier { forest, labels, base, transform, single, shares }))
}

pub fn regressor(_: &ParsingContext, node: &NodeProto) -> Built {
    let targets = usize::try_from(int(node, "n_targets", 1)).context("`n_targets`")?;
    let aggregate = Aggregate::named(&text(node, "aggregate_function", "")).map_err(refused)?;
    let transform = Transform::named(&text(node, "post_transform", "NONE"))?;
    let regressor = Regressor {
        forest: Forest::listed(node, "target", targets).map_err(refused)?,
        base: numbers(node, "base_values")?,
        aggregate,
        transform,
        same: false,
    };
    Ok(Rows::boxed("TreeEnsembleRegressor", regressor))
}

/// Nodes and leaves in lists of their own.
pub fn ensemble(_: &ParsingContext, node: &NodeProto) -> Built {
    let targets = usize::try_from(int(node, "n_targets", 1)).context("`n_targets`")?;
    let regressor = Regressor {
        forest: Forest::split(node, targets).map_err(refused)?,
        base: Vec::new(),
        aggregate: Aggregate::numbered(int(node, "aggregate_function", 1)).map_err(refused)?,
        transform: Transform::numbered(int(node, "post_transform", 0))?,
        same: true,
    };
    Ok(Rows::boxed("TreeEnsemble", regressor))
}

#[derive(Debug)]
struct Regressor {
    forest: Forest,
    base: Vec<f64>,
    aggregate: Aggregate,
    transform: Transform,
    /// Whether results are of the type that features have.
    same: bool,
}

/// Rows as FP64.
fn rows(features: &Tensor, width: usize) -> TractResult<Vec<Vec<f64>>> {
    let features = features.cast_to::<f64>()?;
    let all = features.try_as_plain_ram()?.as_slice::<f64>()?;
    Ok(all.chunks(width.max(1)).map(<[f64]>::to_vec).collect())
}

impl Regressor {
    fn row(&self, row: &[f64], wide: bool) -> TractResult<Vec<f64>> {
        let scores = self.forest.scores(row, self.aggregate, wide)?;
        let count = scores.len();
        let base = |at: usize| match self.base.as_slice() {
            [one] if count == 1 => *one,
            base if base.len() == count => base[at],
            _ => 0.0,
        };
        // Of several targets, those without a score are zero whatever their base is.
        let without = if count == 1 { base(0) } else { 0.0 };
        let summed = scores.iter().enumerate();
        let summed: Vec<f64> = summed.map(|(at, score)| score.map_or(without, |score| score + base(at))).collect();
        if self.transform == Transform::None {
            return Ok(summed);
        }
        let mut narrow: Vec<f32> = summed.into_iter().map(|score| score as f32).collect();
        match narrow.as_mut_slice() {
            [one] => *one = self.transform.alone(*one),
            several => self.transform.apply(several),
        }
        Ok(narrow.into_iter().map(f64::from).collect())
    }
}

impl Learned for Regressor {
    fn results(&self, features: DatumType) -> Vec<(DatumType, Option<usize>)> {
        let double = self.same && features == DatumType::F64;
        vec![(if double { DatumType::F64 } else { DatumType::F32 }, Some(self.forest.targets))]
    }

    fn compute(&self, features: &Tensor, count: usize, width: usize) -> TractResult<TVec<Tensor>> {
        let wide = features.datum_type() == DatumType::F64;
        let mut all = Vec::with_capacity(count * self.forest.targets);
        for row in rows(features, width)? {
            all.extend(self.row(&row, wide)?);
        }
        let (element, _) = self.results(features.datum_type())[0];
        let all = tensor1(&all).cast_to_dt(element)?.into_owned();
        Ok(tvec![all.into_shape(&[count, self.forest.targets])?])
    }
}

#[derive(Debug)]
struct Classifier {
    forest: Forest,
    labels: Labels,
    base: Vec<f64>,
    transform: Transform,
    /// Whether all weights are of one class.
    single: bool,
    /// Whether no weight is negative.
    shares: bool,
}

impl Classifier {
    /// The class of a row, and what is said of each.
    fn row(&self, row: &[f64], wide: bool) -> TractResult<(Class, Vec<f32>)> {
        let scores = self.forest.scores(row, Aggregate::Sum, wide)?;
        match self.labels.len() {
            1 => {
                let score = scores[0].unwrap_or(0.0) + self.base.first().copied().unwrap_or(0.0);
                Ok((Class::Sign(score > 0.0), vec![self.transform.alone(score as f32)]))
            }
            2 => Ok(self.two(scores)),
            _ => Ok(self.several(scores)),
        }
    }

    fn several(&self, mut scores: Vec<Score>) -> (Class, Vec<f32>) {
        for (score, base) in scores.iter_mut().zip(&self.base) {
            *score = Some(score.unwrap_or(0.0) + base);
        }
        let mut best: Option<(usize, f64)> = None;
        for (class, score) in scores.iter().enumerate() {
            if let Some(score) = *score
                && best.is_none_or(|(_, most)| score > most)
            {
                best = Some((class, score));
            }
        }
        let mut shown: Vec<f32> = scores.into_iter().map(|score| score.unwrap_or(0.0) as f32).collect();
        self.transform.apply(&mut shown);
        (Class::Label(best.map_or(0, |(class, _)| class)), shown)
    }

    /// Two classes, of which models mostly say one score.
    fn two(&self, scores: Vec<Score>) -> (Class, Vec<f32>) {
        let (mut first, mut second) = (scores[0], scores[1]);
        let base = |at: usize| self.base.get(at).copied().unwrap_or(0.0);
        match self.base.len() {
            // A base value of the first class is left out where the second has a score.
            2 if second.is_some() => {
                let score = first.unwrap_or(0.0) + base(1);
                (first, second) = (first.map(|_| -score), Some(score));
            }
            2 => first = first.map(|score| score + base(0)),
            1 => first = first.map(|score| score + base(0)),
            _ => {}
        }
        let deciding = second.or(first).unwrap_or(0.0);
        let class = match (self.single, self.shares) {
            (true, true) => Class::Label(usize::from(deciding > 0.5)),
            (true, false) => Class::Label(usize::from(deciding > 0.0)),
            (false, _) => Class::Sign(deciding > 0.0),
        };
        if second.is_none() && self.base.len() < 2 {
            let score = first.unwrap_or(0.0) as f32;
            return (class, self.transform.both(score, self.single && self.shares).to_vec());
        }
        let mut shown = [first, second].map(|score| score.unwrap_or(0.0) as f32).to_vec();
        self.transform.apply(&mut shown);
        (class, shown)
    }
}

impl Learned for Classifier {
    fn results(&self, _: DatumType) -> Vec<(DatumType, Option<usize>)> {
        vec![(self.labels.element(), None), (DatumType::F32, Some(self.labels.len()))]
    }

    fn compute(&self, features: &Tensor, count: usize, width: usize) -> TractResult<TVec<Tensor>> {
        let wide = features.datum_type() == DatumType::F64;
        let (mut classes, mut scores) = (Vec::with_capacity(count), Vec::new());
        for row in rows(features, width)? {
            let (class, shown) = self.row(&row, wide)?;
            classes.push(class);
            scores.extend(shown);
        }
        let scores = tensor1(&scores).into_shape(&[count, self.labels.len()])?;
        Ok(tvec![self.labels.named(&classes)?, scores])
    }
}
