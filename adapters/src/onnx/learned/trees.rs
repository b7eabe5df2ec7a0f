//! Ensembles of trees, as ONNX Runtime has them: scores of the leaves that rows come to, and what is made of them.

use super::{
    super::build::{Builder, Outcome},
    forest::{Aggregate, Attributes, Forest, Node},
    post::transformed_as,
    walk::{Plain, leaves, numbers},
};
use burst_host::nouns::{Attribute, Element};

/// `post_transform` of `TreeEnsemble`, which has numbers for them.
const TRANSFORMS: [&str; 5] = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"];

/// Numbers in the table of what nodes give to targets.
const WEIGHTS_MAX: usize = 1 << 24;

impl Attributes for Builder<'_> {
    fn ints(&self, name: &str) -> &[i64] {
        self.ints(name)
    }

    fn texts(&self, name: &str) -> Vec<String> {
        let Some(Attribute::Texts(texts)) = self.op.attribute(name) else { return Vec::new() };
        texts.iter().map(|text| String::from_utf8_lossy(text).into_owned()).collect()
    }

    fn numbers(&self, name: &str) -> Result<Vec<f64>, String> {
        match self.floats(name) {
            [] => Attributes::tensor(self, &format!("{name}_as_tensor")),
            list => Ok(list.iter().map(|&number| number.into()).collect()),
        }
    }

    fn tensor(&self, name: &str) -> Result<Vec<f64>, String> {
        let Some(Attribute::Tensor(tensor)) = self.op.attribute(name) else { return Ok(Vec::new()) };
        let numbers = match tensor.spec().element {
            Element::Fp64 => tensor.to_vec::<f64>(),
            Element::Fp32 => tensor.to_vec::<f32>().map(|all| all.into_iter().map(f64::from).collect()),
            Element::U8 => tensor.to_vec::<u8>().map(|all| all.into_iter().map(f64::from).collect()),
            _ => None,
        };
        numbers.ok_or_else(|| format!("`{name}` of {}", tensor.spec().element))
    }
}

pub fn regress(builder: &mut Builder<'_>) -> Outcome {
    let targets = usize::try_from(builder.int("n_targets", 1)).map_err(|_| "negative `n_targets`")?;
    let aggregate = Aggregate::named(&builder.text("aggregate_function", ""))?;
    let forest = Forest::listed(builder, "target", targets)?;
    let base = builder.numbers("base_values")?;
    let transform = builder.text("post_transform", "NONE");
    let x = features(builder)?;
    let y = targeted(builder, &x, &forest, &base, aggregate)?;
    let y = builder.cast(&y, Element::Fp32);
    let y = transformed_as(builder, &transform, &y, targets == 1)?;
    builder.done(&y)
}

/// The same with nodes and leaves in lists of their own, and results of the element that features have.
pub fn ensemble(builder: &mut Builder<'_>) -> Outcome {
    let targets = usize::try_from(builder.int("n_targets", 1)).map_err(|_| "negative `n_targets`")?;
    let aggregate = Aggregate::numbered(builder.int("aggregate_function", 1))?;
    let forest = Forest::split(builder, targets)?;
    let number = builder.int("post_transform", 0);
    let transform = usize::try_from(number).ok().and_then(|number| TRANSFORMS.get(number));
    let transform = transform.ok_or_else(|| format!("`post_transform` {number}"))?;
    let x = features(builder)?;
    let mut y = targeted(builder, &x, &forest, &[], aggregate)?;
    if *transform != "NONE" {
        let narrow = builder.cast(&y, Element::Fp32);
        let narrow = transformed_as(builder, transform, &narrow, targets == 1)?;
        y = builder.cast_like(&narrow, &x);
    }
    builder.done(&y)
}

/// The class with the largest score, and the scores.
pub fn classify(builder: &mut Builder<'_>) -> Outcome {
    let labels = builder.ints("classlabels_int64s");
    // Texts are left to accelerators that have them.
    if labels.is_empty() {
        return Ok(false);
    }
    let forest = Forest::listed(builder, "class", labels.len())?;
    let base = builder.numbers("base_values")?;
    let x = features(builder)?;
    let scores = scores(builder, &x, &forest, Aggregate::Sum)?;
    let (label, shown) = match labels {
        [_] => one(builder, &scores, &base)?,
        [_, _] => two(builder, &scores, &forest, &base, labels)?,
        _ => several(builder, &scores, &base, labels)?,
    };
    builder.result(0, &label);
    builder.result(1, &shown);
    Ok(true)
}

/// Features in rows, as FP32 or FP64.
fn features(builder: &mut Builder<'_>) -> Result<String, String> {
    let x = builder.needed(0)?;
    let x = match builder.element(&x) {
        None => return Err("features of an element that is not told".into()),
        Some(Element::Fp64) => x,
        Some(_) => builder.cast(&x, Element::Fp32),
    };
    // A list is one row.
    if builder.facts.rank(&x) == Some(1) { builder.reshape(&x, &[1, -1]) } else { Ok(x) }
}

/// What a forest says of each row.
struct Scores {
    /// A row of targets; zero where no leaf gave one.
    sums: String,
    /// Whether a leaf gave a score, unless all leaves give all.
    given: Option<String>,
}

/// The scores of targets with what is added to each.
fn targeted(
    builder: &mut Builder<'_>,
    x: &str,
    forest: &Forest,
    base: &[f64],
    aggregate: Aggregate,
) -> Result<String, String> {
    let Scores { sums, given } = scores(builder, x, forest, aggregate)?;
    if base.len() != forest.targets {
        return Ok(sums);
    }
    let base = numbers(builder, &[base.len()], base, &sums)?;
    let y = builder.add("Add", &[&sums, &base], &[]);
    let Some(given) = given else { return Ok(y) };
    // Of several targets, those without a score are zero whatever their base is.
    let without = if forest.targets == 1 { base } else { builder.number(0.0, &sums)? };
    Ok(builder.add("Where", &[&given, &y, &without], &[]))
}

/// A score alone, and whether it is above zero.
fn one(builder: &mut Builder<'_>, scores: &Scores, base: &[f64]) -> Result<(String, String), String> {
    let score = raised(builder, &scores.sums, base.first().copied())?;
    let label = sign(builder, &score)?;
    let shown = builder.cast(&score, Element::Fp32);
    let transform = builder.text("post_transform", "NONE");
    Ok((label, transformed_as(builder, &transform, &shown, true)?))
}

/// Two classes, of which models mostly say one score.
fn two(
    builder: &mut Builder<'_>,
    scores: &Scores,
    forest: &Forest,
    base: &[f64],
    labels: &[i64],
) -> Result<(String, String), String> {
    let transform = builder.text("post_transform", "NONE");
    if transform == "PROBIT" {
        return Err("`post_transform` PROBIT of two classes".into());
    }
    let class = forest.weights().next().map_or(0, |(class, _)| *class);
    let single = forest.weights().all(|(other, _)| *other == class);
    let shares = forest.weights().all(|(_, weight)| *weight >= 0.0);
    let column =
        |builder: &mut Builder<'_>, class: usize| builder.slice(&scores.sums, 1, class as i64, class as i64 + 1);
    if scores.given.is_some() && !(single && covers(forest, class)) {
        return Err("leaves that say nothing of a class".into());
    }
    let (deciding, shown) = match (single, class, base) {
        (true, 0, [] | [_]) => {
            let score = column(builder, 0)?;
            let score = raised(builder, &score, base.first().copied())?;
            let shown = both(builder, &transform, &score, shares)?;
            (score, shown)
        }
        (false, _, []) | (true, 1, [] | [_]) => {
            let second = column(builder, 1)?;
            let shown = builder.cast(&scores.sums, Element::Fp32);
            (second, transformed_as(builder, &transform, &shown, false)?)
        }
        _ => return Err(format!("{} base values of two classes", base.len())),
    };
    if !single {
        return Ok((sign(builder, &deciding)?, shown));
    }
    let bound = builder.number(if shares { 0.5 } else { 0.0 }, &deciding)?;
    let above = builder.add("Greater", &[&deciding, &bound], &[]);
    let above = builder.reshape(&above, &[-1])?;
    let (negative, positive) = (builder.long(labels[0])?, builder.long(labels[1])?);
    Ok((builder.add("Where", &[&above, &positive, &negative], &[]), shown))
}

/// What one score says of both classes; weights that are all positive are shares.
fn both(builder: &mut Builder<'_>, transform: &str, score: &str, shares: bool) -> Result<String, String> {
    let score = builder.cast(score, Element::Fp32);
    let negative = builder.add("Neg", &[&score], &[]);
    let parts = match transform {
        "LOGISTIC" => [negative, score].map(|score| builder.add("Sigmoid", &[&score], &[])),
        _ if shares => {
            let one = builder.number(1.0, &score)?;
            [builder.add("Sub", &[&one, &score], &[]), score]
        }
        _ => [negative, score],
    };
    Ok(builder.concat(&[&parts[0], &parts[1]], 1))
}

/// The class with the largest score, the first of several.
fn several(
    builder: &mut Builder<'_>,
    scores: &Scores,
    base: &[f64],
    labels: &[i64],
) -> Result<(String, String), String> {
    let (mut sums, mut deciding) = (scores.sums.clone(), scores.sums.clone());
    if base.len() == labels.len() {
        let base = numbers(builder, &[base.len()], base, &sums)?;
        sums = builder.add("Add", &[&sums, &base], &[]);
        deciding.clone_from(&sums);
    } else if !base.is_empty() {
        return Err(format!("{} base values of {} classes", base.len(), labels.len()));
    } else if let Some(given) = &scores.given {
        // What no leaf gave a score is no candidate.
        let least = builder.number(f32::NEG_INFINITY, &sums)?;
        deciding = builder.add("Where", &[given, &sums, &least], &[]);
    }
    let at = builder.add("ArgMax", &[&deciding], &[("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))]);
    let labels = builder.longs(labels)?;
    let label = builder.gather(&labels, &at, 0);
    let shown = builder.cast(&sums, Element::Fp32);
    let transform = builder.text("post_transform", "NONE");
    Ok((label, transformed_as(builder, &transform, &shown, false)?))
}

/// 1 where a column is above zero, else 0: no label is looked up.
fn sign(builder: &mut Builder<'_>, score: &str) -> Result<String, String> {
    let zero = builder.number(0.0, score)?;
    let above = builder.add("Greater", &[score, &zero], &[]);
    let above = builder.reshape(&above, &[-1])?;
    Ok(builder.cast(&above, Element::I64))
}

fn raised(builder: &mut Builder<'_>, score: &str, by: Option<f64>) -> Result<String, String> {
    let Some(by) = by else { return Ok(score.to_owned()) };
    let by = numbers(builder, &[1], &[by], score)?;
    Ok(builder.add("Add", &[score, &by], &[]))
}

/// Whether each leaf gives a score to a target.
fn covers(forest: &Forest, target: usize) -> bool {
    let given = |node: &Node| match node {
        Node::Leaf(weights) => weights.iter().any(|(other, _)| *other == target),
        Node::Branch(_) => true,
    };
    forest.nodes.iter().all(given)
}

/// A row of scores for each row of features.
fn scores(builder: &mut Builder<'_>, x: &str, forest: &Forest, aggregate: Aggregate) -> Result<Scores, String> {
    if forest.roots.is_empty() || forest.targets == 0 {
        return Err("no trees or no targets".into());
    }
    let plain = Plain::of(forest);
    let (targets, rows) = (forest.targets, plain.yes.len());
    if rows.saturating_mul(targets) > WEIGHTS_MAX {
        return Err(format!("{rows} nodes for {targets} targets, at most {WEIGHTS_MAX} weights"));
    }
    let node = leaves(builder, x, forest, &plain)?;
    let empty = match aggregate {
        Aggregate::Sum | Aggregate::Average => 0.0,
        Aggregate::Min => f64::INFINITY,
        Aggregate::Max => f64::NEG_INFINITY,
    };
    let (mut weights, mut said) = (vec![empty; rows * targets], vec![0.0; rows * targets]);
    for (at, node) in forest.nodes.iter().enumerate() {
        let Node::Leaf(own) = node else { continue };
        for &(target, weight) in own {
            let place = at * targets + target;
            weights[place] = if said[place] == 0.0 { weight } else { joined(aggregate, weights[place], weight) };
            said[place] = 1.0;
        }
    }
    let kind = match aggregate {
        Aggregate::Sum | Aggregate::Average => "ReduceSum",
        Aggregate::Min => "ReduceMin",
        Aggregate::Max => "ReduceMax",
    };
    let folded = |builder: &mut Builder<'_>, kind: &str, values: &[f64]| {
        let values = numbers(builder, &[rows, targets], values, x)?;
        let each = builder.gather(&values, &node, 0);
        let all = builder.reduce(kind, &each, &[1])?;
        builder.squeeze(&all, &[1])
    };
    let mut sums = folded(builder, kind, &weights)?;
    if aggregate == Aggregate::Average {
        let count = builder.number(forest.roots.len() as f32, x)?;
        sums = builder.add("Div", &[&sums, &count], &[]);
    }
    if (0..targets).all(|target| covers(forest, target)) {
        return Ok(Scores { sums, given: None });
    }
    let any = folded(builder, "ReduceMax", &said)?;
    let zero = builder.number(0.0, x)?;
    let given = builder.add("Greater", &[&any, &zero], &[]);
    let sums = builder.add("Where", &[&given, &sums, &zero], &[]);
    Ok(Scores { sums, given: Some(given) })
}

/// What two weights of one leaf for one target come to.
fn joined(aggregate: Aggregate, a: f64, b: f64) -> f64 {
    match aggregate {
        Aggregate::Sum | Aggregate::Average => a + b,
        Aggregate::Min => a.min(b),
        Aggregate::Max => a.max(b),
    }
}
