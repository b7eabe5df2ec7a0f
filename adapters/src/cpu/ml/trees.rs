//! Ensembles of trees. What the standard leaves open is as ONNX Runtime has it.

use super::{
    attributes::{given, indices, int, ints, numbers, tensor, text, texts},
    forest::{Aggregate, Branch, Forest, Mode, Node, Score},
    labels::{Class, Labels},
    rows::{Learned, Rows},
    scores::Transform,
};
use std::collections::HashMap;
use tract_onnx::{model::ParsingContext, pb::NodeProto, tract_hir::internal::*};

type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

pub fn classifier(_: &ParsingContext, node: &NodeProto) -> Built {
    let labels = Labels::of(node, "classlabels_int64s")?;
    let forest = listed(node, "class", labels.len())?;
    let weights =
        || forest.nodes.iter().flat_map(|node| if let Node::Leaf(weights) = node { &weights[..] } else { &[] });
    let single = weights().all(|(class, _)| weights().next().is_some_and(|(first, _)| first == class));
    let shares = weights().all(|(_, weight)| *weight >= 0.0);
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
    let aggregate = Aggregate::named(&text(node, "aggregate_function", "SUM"))?;
    let transform = Transform::named(&text(node, "post_transform", "NONE"))?;
    let regressor = Regressor {
        forest: listed(node, "target", targets)?,
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
        forest: split(node, targets)?,
        base: Vec::new(),
        aggregate: Aggregate::numbered(int(node, "aggregate_function", 1))?,
        transform: Transform::numbered(int(node, "post_transform", 0))?,
        same: true,
    };
    Ok(Rows::boxed("TreeEnsemble", regressor))
}

fn mode(name: &str) -> TractResult<Option<Mode>> {
    Ok(Some(match name {
        "BRANCH_LEQ" => Mode::AtMost,
        "BRANCH_LT" => Mode::Below,
        "BRANCH_GTE" => Mode::AtLeast,
        "BRANCH_GT" => Mode::Above,
        "BRANCH_EQ" => Mode::Equal,
        "BRANCH_NEQ" => Mode::Differs,
        "LEAF" => return Ok(None),
        other => bail!("`nodes_modes` {other}"),
    }))
}

/// Trees whose nodes and weights name their tree and their node.
fn listed(node: &NodeProto, leaves: &str, targets: usize) -> TractResult<Forest> {
    let modes = texts(node, "nodes_modes").iter().map(|name| mode(name)).collect::<TractResult<Vec<_>>>()?;
    let count = modes.len();
    let places = ["nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_featureids"];
    let [trees, ids, yes, no, features] = places.map(|name| indices(node, name, count));
    let (trees, ids, yes, no, features) = (trees?, ids?, yes?, no?, features?);
    let splits = numbers(node, "nodes_values")?;
    ensure!(splits.len() == count, "`nodes_values` has {} numbers instead of {count}", splits.len());
    let missing = ints(node, "nodes_missing_value_tracks_true");
    let mut weights = weights(node, leaves)?;
    let places: HashMap<(usize, usize), usize> = (0..count).map(|at| ((trees[at], ids[at]), at)).collect();
    ensure!(places.len() == count, "two nodes of one tree with the same number");
    let mut children = vec![false; count];
    let mut nodes = Vec::with_capacity(count);
    for at in 0..count {
        nodes.push(match modes[at] {
            None => Node::Leaf(weights.remove(&(trees[at], ids[at])).unwrap_or_default()),
            Some(mode) => {
                let child = |id: usize| places.get(&(trees[at], id)).copied().context("a branch to no node");
                let (yes, no) = (child(yes[at])?, child(no[at])?);
                children[yes] = true;
                children[no] = true;
                let missing = missing.get(at).is_some_and(|&missing| missing != 0);
                let (feature, split) = (features[at], splits[at]);
                Node::Branch(Branch { feature, mode, split, members: Vec::new(), missing, yes, no })
            }
        });
    }
    ensure!(weights.is_empty(), "weights of what is no leaf");
    let roots = (0..count).filter(|&at| !children[at]).collect();
    let forest = Forest { nodes, roots, targets };
    forest.check()?;
    Ok(forest)
}

type Weights = HashMap<(usize, usize), Vec<(usize, f64)>>;

/// The weights of each leaf, by its tree and node.
fn weights(node: &NodeProto, leaves: &str) -> TractResult<Weights> {
    let weights = numbers(node, &format!("{leaves}_weights"))?;
    let list = |name: &str| indices(node, &format!("{leaves}_{name}"), weights.len());
    let (trees, nodes, targets) = (list("treeids")?, list("nodeids")?, list("ids")?);
    let mut found = Weights::new();
    for (at, &weight) in weights.iter().enumerate() {
        found.entry((trees[at], nodes[at])).or_default().push((targets[at], weight));
    }
    Ok(found)
}

/// Trees of branches, and leaves beside them.
fn split(node: &NodeProto, targets: usize) -> TractResult<Forest> {
    let modes = tensor(node, "nodes_modes")?;
    let (count, splits) = (modes.len(), tensor(node, "nodes_splits")?);
    let places = ["nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs", "nodes_featureids"];
    let [yes, yes_leaf, no, no_leaf, features] = places.map(|name| indices(node, name, count));
    let (yes, yes_leaf, no, no_leaf, features) = (yes?, yes_leaf?, no?, no_leaf?, features?);
    let weights = tensor(node, "leaf_weights")?;
    let owners = indices(node, "leaf_targetids", weights.len())?;
    ensure!(splits.len() == count, "`nodes_splits` has {} numbers instead of {count}", splits.len());
    let missing = ints(node, "nodes_missing_value_tracks_true");
    let members = tensor(node, "membership_values")?;
    let mut sets = members.split(|member| member.is_nan());
    let mut nodes: Vec<Node> = Vec::new();
    let mut ends = Vec::new();
    for at in 0..count {
        let mode = match modes[at] as u8 {
            0 => Mode::AtMost,
            1 => Mode::Below,
            2 => Mode::AtLeast,
            3 => Mode::Above,
            4 => Mode::Equal,
            5 => Mode::Differs,
            6 => Mode::Member,
            other => bail!("`nodes_modes` {other}"),
        };
        let set = if mode == Mode::Member { sets.next().context("too few `membership_values`")? } else { &[] };
        // A leaf of its own for each branch that ends in one.
        let mut child = |id: usize, leaf: usize| -> TractResult<usize> {
            if leaf == 0 {
                ensure!(id < count, "a branch to no node");
                return Ok(id);
            }
            let weight = *weights.get(id).context("a branch to no leaf")?;
            ends.push(Node::Leaf(vec![(owners[id], weight)]));
            Ok(count + ends.len() - 1)
        };
        let (yes, no) = (child(yes[at], yes_leaf[at])?, child(no[at], no_leaf[at])?);
        let missing = missing.get(at).is_some_and(|&missing| missing != 0);
        let (feature, split, members) = (features[at], splits[at], set.to_vec());
        nodes.push(Node::Branch(Branch { feature, mode, split, members, missing, yes, no }));
    }
    nodes.append(&mut ends);
    let roots = indices(node, "tree_roots", ints(node, "tree_roots").len())?;
    let forest = Forest { nodes, roots, targets };
    forest.check()?;
    ensure!(given(node, "nodes_hitrates").is_none_or(|_| count > 0), "no nodes");
    Ok(forest)
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
