//! Holds a graph to ONNX's rules of names: each defined once, and before its use.

use super::{Limits, OnnxError};
use burst_host::nouns::{Attribute, Function, Graph, Op};
use std::collections::{HashMap, HashSet};

/// Checks a whole model: names, attributes, and the calls of its functions.
pub(super) fn model(graph: &Graph, limits: &Limits) -> Result<(), OnnxError> {
    if graph.opsets.is_empty() && !graph.ops.is_empty() {
        return Err(OnnxError::Malformed("it does not say which operator set it means".into()));
    }
    for body in &graph.functions {
        function(body)?;
    }
    Calls::new(&graph.functions, limits)?.check(graph)?;
    subgraph(graph, None, None)
}

/// The values that can be seen at one place.
struct Scope<'a> {
    own: HashSet<&'a str>,
    outer: Option<&'a Scope<'a>>,
}

impl<'a> Scope<'a> {
    fn new(outer: Option<&'a Scope<'a>>) -> Self {
        Self { own: HashSet::new(), outer }
    }

    fn define(&mut self, name: &'a str) -> Result<(), OnnxError> {
        match name {
            "" => Err(OnnxError::Malformed("an input, an output or a constant has no name".into())),
            name if self.own.insert(name) => Ok(()),
            name => Err(OnnxError::Duplicate(name.into())),
        }
    }

    fn sees(&self, name: &str) -> bool {
        self.own.contains(name) || self.outer.is_some_and(|outer| outer.sees(name))
    }
}

fn subgraph<'a>(
    graph: &'a Graph,
    outer: Option<&'a Scope<'a>>,
    function: Option<&'a Function>,
) -> Result<(), OnnxError> {
    let mut scope = Scope::new(outer);
    for input in &graph.inputs {
        scope.define(&input.name)?;
    }
    for (name, _) in &graph.constants {
        scope.define(name)?;
    }
    ops(&graph.ops, &mut scope, function)?;
    let mut outputs = HashSet::new();
    for output in &graph.outputs {
        if !scope.sees(&output.name) {
            return Err(OnnxError::Undefined { value: output.name.clone(), user: "the outputs".into() });
        }
        if !outputs.insert(&output.name) {
            return Err(OnnxError::Duplicate(output.name.clone()));
        }
    }
    Ok(())
}

fn function(body: &Function) -> Result<(), OnnxError> {
    let mut scope = Scope::new(None);
    for input in &body.inputs {
        scope.define(input)?;
    }
    ops(&body.ops, &mut scope, Some(body))?;
    match body.outputs.iter().find(|output| !scope.sees(output)) {
        Some(output) => Err(OnnxError::Undefined { value: output.clone(), user: format!("function `{}`", body.name) }),
        None => Ok(()),
    }
}

fn ops<'a>(ops: &'a [Op], scope: &mut Scope<'a>, function: Option<&Function>) -> Result<(), OnnxError> {
    for op in ops {
        for value in op.inputs.iter().filter(|value| !value.is_empty()) {
            if !scope.sees(value) {
                return Err(unseen(value, op, ops));
            }
        }
        attributes(op, scope, function)?;
        for output in op.outputs.iter().filter(|output| !output.is_empty()) {
            scope.define(output)?;
        }
    }
    Ok(())
}

fn unseen(value: &str, op: &Op, ops: &[Op]) -> OnnxError {
    let (value, user) = (value.to_owned(), user(op));
    if ops.iter().any(|op| op.outputs.contains(&value)) {
        OnnxError::Order { value, user }
    } else {
        OnnxError::Undefined { value, user }
    }
}

/// What messages call an op.
fn user(op: &Op) -> String {
    if op.name.is_empty() { op.kind.clone() } else { format!("{} {}", op.kind, op.name) }
}

fn attributes(op: &Op, scope: &Scope<'_>, function: Option<&Function>) -> Result<(), OnnxError> {
    let mut names = HashSet::new();
    for (name, value) in &op.attributes {
        if !names.insert(name) {
            return Err(OnnxError::Duplicate(format!("{name} of {}", user(op))));
        }
        if let Attribute::Reference { name, .. } = value
            && !function.is_some_and(|function| takes(function, name))
        {
            return Err(OnnxError::Undefined { value: name.clone(), user: user(op) });
        }
        value.graphs().iter().try_for_each(|graph| subgraph(graph, Some(scope), function))?;
    }
    Ok(())
}

fn takes(function: &Function, attribute: &str) -> bool {
    function.attributes.iter().chain(function.defaults.iter().map(|(name, _)| name)).any(|name| name == attribute)
}

/// Which function calls which, and how many ops each comes to when all calls are spelled out.
struct Calls<'a> {
    functions: HashMap<(&'a str, &'a str), &'a Function>,
    /// Height of the call tree and ops; `None` while being counted.
    counted: HashMap<(&'a str, &'a str), Option<(usize, usize)>>,
    limits: &'a Limits,
}

impl<'a> Calls<'a> {
    fn new(functions: &'a [Function], limits: &'a Limits) -> Result<Self, OnnxError> {
        let mut named = HashMap::new();
        for function in functions {
            if named.insert((&*function.domain, &*function.name), function).is_some() {
                return Err(OnnxError::Duplicate(format!("function {}", function.name)));
            }
        }
        Ok(Self { functions: named, counted: HashMap::new(), limits })
    }

    fn check(mut self, graph: &'a Graph) -> Result<(), OnnxError> {
        // All of them, called or not: later stages may walk them too.
        for key in self.functions.keys().copied().collect::<Vec<_>>() {
            self.count(key, 1)?;
        }
        let (_, total) = self.body(&graph.ops, 0)?;
        OnnxError::limit("operators with functions inlined", total, self.limits.ops_max)
    }

    /// `level` bounds the recursion before the height is known.
    fn count(&mut self, key: (&'a str, &'a str), level: usize) -> Result<(usize, usize), OnnxError> {
        OnnxError::limit("depth of functions", level, self.limits.function_depth_max)?;
        match (self.counted.get(&key), self.functions.get(&key).copied()) {
            (Some(Some(counted)), _) => Ok(*counted),
            (Some(None), _) => Err(OnnxError::Recursion(key.1.into())),
            (None, None) => Ok((0, 1)),
            (None, Some(function)) => {
                self.counted.insert(key, None);
                let (height, ops) = self.body(&function.ops, level)?;
                let counted = (height + 1, ops);
                OnnxError::limit("depth of functions", counted.0, self.limits.function_depth_max)?;
                self.counted.insert(key, Some(counted));
                Ok(counted)
            }
        }
    }

    fn body(&mut self, ops: &'a [Op], level: usize) -> Result<(usize, usize), OnnxError> {
        let mut total = (0, 0usize);
        let mut add = |(height, ops): (usize, usize)| {
            total = (total.0.max(height), total.1.saturating_add(ops));
        };
        for op in ops {
            let key = (&*op.domain, &*op.kind);
            add(if self.functions.contains_key(&key) { self.count(key, level + 1)? } else { (0, 1) });
            for graph in op.graphs() {
                add(self.body(&graph.ops, level)?);
            }
        }
        Ok(total)
    }
}
