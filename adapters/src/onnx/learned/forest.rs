//! Decision trees, as operators of `ai.onnx.ml` write them down.

use std::collections::HashMap;

/// More than any model predicts: each row of a result has as many numbers, whatever the trees say.
const TARGETS_MAX: usize = 1 << 16;

/// Attributes of an operator, whoever decoded it. What is not there is empty.
pub trait Attributes {
    fn ints(&self, name: &str) -> &[i64];
    fn texts(&self, name: &str) -> Vec<String>;
    /// Numbers of a list, or of a tensor under the same name and `_as_tensor`.
    fn numbers(&self, name: &str) -> Result<Vec<f64>, String>;
    /// Numbers of a tensor.
    fn tensor(&self, name: &str) -> Result<Vec<f64>, String>;
}

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

/// Two ways to go on, by one feature.
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

/// A place in a tree.
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

/// What becomes of the weights that the trees of a forest give to one target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aggregate {
    Sum,
    Average,
    Min,
    Max,
}

impl Aggregate {
    /// By its name, of which an empty one is the default.
    pub fn named(name: &str) -> Result<Self, String> {
        Ok(match name {
            "" | "SUM" => Self::Sum,
            "AVERAGE" => Self::Average,
            "MIN" => Self::Min,
            "MAX" => Self::Max,
            other => return Err(format!("`aggregate_function` {other}")),
        })
    }

    /// Of `TreeEnsemble`, which has numbers for them.
    pub fn numbered(number: i64) -> Result<Self, String> {
        Ok(match number {
            0 => Self::Average,
            1 => Self::Sum,
            2 => Self::Min,
            3 => Self::Max,
            other => return Err(format!("`aggregate_function` {other}")),
        })
    }
}

impl Mode {
    /// `None` for a leaf.
    fn named(name: &str) -> Result<Option<Self>, String> {
        Ok(Some(match name {
            "BRANCH_LEQ" => Self::AtMost,
            "BRANCH_LT" => Self::Below,
            "BRANCH_GTE" => Self::AtLeast,
            "BRANCH_GT" => Self::Above,
            "BRANCH_EQ" => Self::Equal,
            "BRANCH_NEQ" => Self::Differs,
            "LEAF" => return Ok(None),
            other => return Err(format!("`nodes_modes` {other}")),
        }))
    }

    fn numbered(number: f64) -> Result<Self, String> {
        Ok(match number as u8 {
            0 => Self::AtMost,
            1 => Self::Below,
            2 => Self::AtLeast,
            3 => Self::Above,
            4 => Self::Equal,
            5 => Self::Differs,
            6 => Self::Member,
            other => return Err(format!("`nodes_modes` {other}")),
        })
    }
}

impl Forest {
    /// Trees whose nodes and weights name their tree and their node: `TreeEnsembleClassifier` and `TreeEnsembleRegressor`,
    /// whose `leaves` are of a `class` or a `target`.
    pub fn listed(op: &impl Attributes, leaves: &str, targets: usize) -> Result<Self, String> {
        let modes: Vec<_> = op.texts("nodes_modes").iter().map(|name| Mode::named(name)).collect::<Result<_, _>>()?;
        let count = modes.len();
        let places = ["nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids", "nodes_featureids"];
        let [trees, ids, yes, no, features] = places.map(|name| indices(op, name, count));
        let (trees, ids, yes, no, features) = (trees?, ids?, yes?, no?, features?);
        let splits = op.numbers("nodes_values")?;
        same_length("nodes_values", splits.len(), count)?;
        let missing = op.ints("nodes_missing_value_tracks_true");
        let mut weights = weights(op, leaves)?;
        let places: HashMap<(usize, usize), usize> = (0..count).map(|at| ((trees[at], ids[at]), at)).collect();
        if places.len() != count {
            return Err("two nodes of one tree with the same number".into());
        }
        let mut children = vec![false; count];
        let mut nodes = Vec::with_capacity(count);
        for at in 0..count {
            nodes.push(match modes[at] {
                None => Node::Leaf(weights.remove(&(trees[at], ids[at])).unwrap_or_default()),
                Some(mode) => {
                    let child = |id: usize| places.get(&(trees[at], id)).copied().ok_or("a branch to no node");
                    let (yes, no) = (child(yes[at])?, child(no[at])?);
                    children[yes] = true;
                    children[no] = true;
                    let missing = missing.get(at).is_some_and(|&missing| missing != 0);
                    let (feature, split) = (features[at], splits[at]);
                    Node::Branch(Branch { feature, mode, split, members: Vec::new(), missing, yes, no })
                }
            });
        }
        if !weights.is_empty() {
            return Err("weights of what is no leaf".into());
        }
        let roots = (0..count).filter(|&at| !children[at]).collect();
        Self { nodes, roots, targets }.checked()
    }

    /// Trees of branches, and leaves beside them: `TreeEnsemble`.
    pub fn split(op: &impl Attributes, targets: usize) -> Result<Self, String> {
        let modes = op.tensor("nodes_modes")?;
        let (count, splits) = (modes.len(), op.tensor("nodes_splits")?);
        let places =
            ["nodes_truenodeids", "nodes_trueleafs", "nodes_falsenodeids", "nodes_falseleafs", "nodes_featureids"];
        let [yes, yes_leaf, no, no_leaf, features] = places.map(|name| indices(op, name, count));
        let (yes, yes_leaf, no, no_leaf, features) = (yes?, yes_leaf?, no?, no_leaf?, features?);
        let weights = op.tensor("leaf_weights")?;
        let owners = indices(op, "leaf_targetids", weights.len())?;
        same_length("nodes_splits", splits.len(), count)?;
        let missing = op.ints("nodes_missing_value_tracks_true");
        let members = op.tensor("membership_values")?;
        let mut sets = members.split(|member| member.is_nan());
        let (mut nodes, mut ends) = (Vec::new(), Vec::new());
        for at in 0..count {
            let mode = Mode::numbered(modes[at])?;
            let set = if mode == Mode::Member { sets.next().ok_or("too few `membership_values`")? } else { &[] };
            // A leaf of its own for each branch that ends in one.
            let mut child = |id: usize, leaf: usize| -> Result<usize, String> {
                if leaf == 0 {
                    return if id < count { Ok(id) } else { Err("a branch to no node".into()) };
                }
                let weight = *weights.get(id).ok_or("a branch to no leaf")?;
                ends.push(Node::Leaf(vec![(owners[id], weight)]));
                Ok(count + ends.len() - 1)
            };
            let (yes, no) = (child(yes[at], yes_leaf[at])?, child(no[at], no_leaf[at])?);
            let missing = missing.get(at).is_some_and(|&missing| missing != 0);
            let (feature, split, members) = (features[at], splits[at], set.to_vec());
            nodes.push(Node::Branch(Branch { feature, mode, split, members, missing, yes, no }));
        }
        nodes.append(&mut ends);
        let roots = indices(op, "tree_roots", op.ints("tree_roots").len())?;
        Self { nodes, roots, targets }.checked()
    }

    /// What the leaves give, one after the other.
    pub fn weights(&self) -> impl Iterator<Item = &(usize, f64)> {
        self.nodes.iter().flat_map(|node| if let Node::Leaf(weights) = node { &weights[..] } else { &[] })
    }

    /// Comparisons on the longest way from a root to a leaf.
    pub fn depth(&self) -> usize {
        let mut deepest = 0;
        let mut open: Vec<(usize, usize)> = self.roots.iter().map(|&root| (root, 0)).collect();
        while let Some((at, depth)) = open.pop() {
            match &self.nodes[at] {
                Node::Branch(branch) => {
                    let next = depth + branch.members.len().max(1);
                    open.extend([(branch.yes, next), (branch.no, next)]);
                }
                Node::Leaf(_) => deepest = deepest.max(depth),
            }
        }
        deepest
    }

    /// Fails where a walk could leave the trees, or could have no end.
    fn checked(self) -> Result<Self, String> {
        if self.targets > TARGETS_MAX {
            return Err(format!("{} targets, at most {TARGETS_MAX}", self.targets));
        }
        let inside = |&at: &usize| at < self.nodes.len();
        if !self.roots.iter().all(inside) {
            return Err("a root that is no node".into());
        }
        // Each node has one way to it: then every walk ends.
        let mut reached = vec![false; self.nodes.len()];
        let mut open = self.roots.clone();
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut reached[at], true) {
                return Err("a node with two ways to it".into());
            }
            match &self.nodes[at] {
                Node::Branch(branch) if inside(&branch.yes) && inside(&branch.no) => {
                    open.extend([branch.yes, branch.no]);
                }
                Node::Branch(_) => return Err("a branch to no node".into()),
                Node::Leaf(weights) if weights.iter().all(|(target, _)| *target < self.targets) => {}
                Node::Leaf(_) => return Err("a leaf for a target that there is not".into()),
            }
        }
        // Branches that lead back to themselves have no root.
        let lost = |(node, reached): (&Node, &bool)| matches!(node, Node::Branch(_)) && !reached;
        if self.nodes.iter().zip(&reached).any(lost) {
            return Err("a branch that no tree leads to".into());
        }
        Ok(self)
    }
}

/// As many indices as `count`; fails where one is negative.
fn indices(op: &impl Attributes, name: &str, count: usize) -> Result<Vec<usize>, String> {
    let list = op.ints(name);
    same_length(name, list.len(), count)?;
    let index = |&index: &i64| usize::try_from(index).map_err(|_| format!("`{name}` has a negative number"));
    list.iter().map(index).collect()
}

fn same_length(name: &str, length: usize, count: usize) -> Result<(), String> {
    match length == count {
        true => Ok(()),
        false => Err(format!("`{name}` has {length} numbers instead of {count}")),
    }
}

type Weights = HashMap<(usize, usize), Vec<(usize, f64)>>;

/// The weights of each leaf, by its tree and node.
fn weights(op: &impl Attributes, leaves: &str) -> Result<Weights, String> {
    let weights = op.numbers(&format!("{leaves}_weights"))?;
    let list = |name: &str| indices(op, &format!("{leaves}_{name}"), weights.len());
    let (trees, nodes, targets) = (list("treeids")?, list("nodeids")?, list("ids")?);
    let mut found = Weights::new();
    for (at, &weight) in weights.iter().enumerate() {
        found.entry((trees[at], nodes[at])).or_default().push((targets[at], weight));
    }
    Ok(found)
}
