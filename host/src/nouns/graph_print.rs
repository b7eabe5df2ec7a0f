//! How a graph prints: one operator a line, constants by their specs.

use super::{Attribute, Function, Graph, Op, Opset, Port};
use std::fmt;

/// Numbers and strings of one attribute that are printed; the rest is counted.
const LIST_MAX: usize = 16;

impl fmt::Display for Graph {
    /// ```text
    /// classify(%x: FP32[N, 4]) -> (%y: FP32[N, 2]) opset 17 {
    ///   %w = constant FP32[4, 2]
    ///   %y = MatMul(%x, %w)
    /// }
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.functions.iter().try_for_each(|function| writeln!(f, "{function}"))?;
        write!(f, "{}{} -> {}", plain(&self.name), Ports(&self.inputs), Ports(&self.outputs))?;
        write!(f, "{} {{", Opsets(&self.opsets))?;
        body(f, self, 1)?;
        f.write_str("\n}")
    }
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "function {}", qualified(&self.domain, &self.name))?;
        let attributes: Vec<&str> =
            self.attributes.iter().chain(self.defaults.iter().map(|(name, _)| name)).map(String::as_str).collect();
        if !attributes.is_empty() {
            write!(f, "<{}>", attributes.iter().map(|name| plain(name)).collect::<Vec<_>>().join(", "))?;
        }
        write!(f, "({}) -> ({}){} {{", values(&self.inputs), values(&self.outputs), Opsets(&self.opsets))?;
        self.ops.iter().try_for_each(|op| line(f, op, 1))?;
        f.write_str("\n}")
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_op(f, self, 0)
    }
}

fn body(f: &mut fmt::Formatter<'_>, graph: &Graph, depth: usize) -> fmt::Result {
    for (name, tensor) in &graph.constants {
        newline(f, depth)?;
        write!(f, "{} = constant {}", value(name), tensor.spec())?;
    }
    graph.ops.iter().try_for_each(|op| line(f, op, depth))
}

fn line(f: &mut fmt::Formatter<'_>, op: &Op, depth: usize) -> fmt::Result {
    newline(f, depth)?;
    write_op(f, op, depth)
}

fn newline(f: &mut fmt::Formatter<'_>, depth: usize) -> fmt::Result {
    write!(f, "\n{:width$}", "", width = 2 * depth)
}

fn write_op(f: &mut fmt::Formatter<'_>, op: &Op, depth: usize) -> fmt::Result {
    write!(f, "{} = {}({})", values(&op.outputs), qualified(&op.domain, &op.kind), values(&op.inputs))?;
    if op.attributes.is_empty() {
        return Ok(());
    }
    f.write_str(" {")?;
    for (index, (name, attribute)) in op.attributes.iter().enumerate() {
        write!(f, "{}{}: ", if index == 0 { "" } else { ", " }, plain(name))?;
        write_attribute(f, attribute, depth)?;
    }
    f.write_str("}")
}

fn write_attribute(f: &mut fmt::Formatter<'_>, attribute: &Attribute, depth: usize) -> fmt::Result {
    match attribute {
        Attribute::Int(int) => write!(f, "{int}"),
        Attribute::Float(float) => write!(f, "{float:?}"),
        Attribute::Text(text) => write!(f, "\"{}\"", text.escape_ascii()),
        Attribute::Tensor(tensor) => write!(f, "{}", tensor.spec()),
        Attribute::Graph(graph) => write_subgraph(f, graph, depth),
        Attribute::Ints(ints) => list(f, ints, |f, int| write!(f, "{int}")),
        Attribute::Floats(floats) => list(f, floats, |f, float| write!(f, "{float:?}")),
        Attribute::Texts(texts) => list(f, texts, |f, text| write!(f, "\"{}\"", text.escape_ascii())),
        Attribute::Tensors(tensors) => list(f, tensors, |f, tensor| write!(f, "{}", tensor.spec())),
        Attribute::Graphs(graphs) => list(f, graphs, |f, graph| write_subgraph(f, graph, depth)),
        Attribute::Reference { name, .. } => write!(f, "@{}", plain(name)),
    }
}

fn write_subgraph(f: &mut fmt::Formatter<'_>, graph: &Graph, depth: usize) -> fmt::Result {
    write!(f, "{} -> {} {{", Ports(&graph.inputs), Ports(&graph.outputs))?;
    body(f, graph, depth + 1)?;
    newline(f, depth)?;
    f.write_str("}")
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: &[T],
    write: impl Fn(&mut fmt::Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("[")?;
    for (index, item) in items.iter().take(LIST_MAX).enumerate() {
        f.write_str(if index == 0 { "" } else { ", " })?;
        write(f, item)?;
    }
    if items.len() > LIST_MAX {
        write!(f, ", … {} in all", items.len())?;
    }
    f.write_str("]")
}

struct Ports<'a>(&'a [Port]);

impl fmt::Display for Ports<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(")?;
        for (index, port) in self.0.iter().enumerate() {
            let unnamed = Port { name: String::new(), ..port.clone() };
            write!(f, "{}{}{unnamed}", if index == 0 { "" } else { ", " }, value(&port.name))?;
        }
        f.write_str(")")
    }
}

struct Opsets<'a>(&'a [Opset]);

impl fmt::Display for Opsets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, opset) in self.0.iter().enumerate() {
            f.write_str(if index == 0 { " opset " } else { ", " })?;
            if !opset.domain.is_empty() {
                write!(f, "{} ", plain(&opset.domain))?;
            }
            write!(f, "{}", opset.version)?;
        }
        Ok(())
    }
}

fn values(names: &[String]) -> String {
    names.iter().map(|name| value(name)).collect::<Vec<_>>().join(", ")
}

/// `_` stands for one that is left out.
fn value(name: &str) -> String {
    if name.is_empty() { "_".into() } else { format!("%{}", plain(name)) }
}

fn qualified(domain: &str, name: &str) -> String {
    if domain.is_empty() { plain(name) } else { format!("{}.{}", plain(domain), plain(name)) }
}

/// A name as it is, or quoted where it could be taken for something else: names are a stranger's.
fn plain(name: &str) -> String {
    let usual = |c: char| c.is_ascii_alphanumeric() || "_./:-#".contains(c);
    if !name.is_empty() && name.chars().all(usual) { name.into() } else { format!("{name:?}") }
}

#[cfg(test)]
mod tests {
    use super::super::{Element, Extent, Tensor};
    use super::*;

    fn port(name: &str, shape: &[Extent]) -> Port {
        Port { name: name.into(), element: Some(Element::Fp32), shape: Some(shape.into()), optional: false }
    }

    fn op(kind: &str, inputs: &[&str], outputs: &[&str], attributes: Vec<(&str, Attribute)>) -> Op {
        let names = |names: &[&str]| names.iter().map(|&name| name.into()).collect();
        Op {
            name: String::new(),
            kind: kind.into(),
            domain: String::new(),
            inputs: names(inputs),
            outputs: names(outputs),
            attributes: attributes.into_iter().map(|(name, value)| (name.into(), value)).collect(),
        }
    }

    fn floats(extents: &[usize]) -> Tensor {
        Tensor::from_slice(Element::Fp32, extents, &vec![0.0f32; extents.iter().product()]).unwrap()
    }

    #[test]
    fn operators_print_a_line_each() {
        let graph = Graph {
            name: "net".into(),
            opsets: vec![
                Opset { domain: String::new(), version: 17 },
                Opset { domain: "ai.onnx.ml".into(), version: 3 },
            ],
            inputs: vec![port("x", &[Extent::Named("N".into()), Extent::Fixed(3), Extent::Any])],
            outputs: vec![port("out", &[])],
            constants: vec![("w".into(), floats(&[8, 3])), ("a %name".into(), floats(&[]))],
            ops: vec![
                op("Conv", &["x", "w"], &["c"], vec![("strides", Attribute::Ints(vec![1, 1]))]),
                op(
                    "Clip",
                    &["c", "", "a %name"],
                    &["out", ""],
                    vec![
                        ("alpha", Attribute::Float(0.5)),
                        ("mode", Attribute::Text(b"a\"\n".to_vec())),
                        ("many", Attribute::Ints((0..20).collect())),
                    ],
                ),
            ],
            ..Graph::default()
        };
        insta::assert_snapshot!(graph, @r#"
        net(%x: FP32[N, 3, ?]) -> (%out: FP32[]) opset 17, ai.onnx.ml 3 {
          %w = constant FP32[8, 3]
          %"a %name" = constant FP32[]
          %c = Conv(%x, %w) {strides: [1, 1]}
          %out, _ = Clip(%c, _, %"a %name") {alpha: 0.5, mode: "a\"\n", many: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, … 20 in all]}
        }
        "#);
    }

    #[test]
    fn subgraphs_and_functions_are_indented() {
        let branch = |kind: &str| {
            let output = Port { name: "b".into(), element: None, shape: None, optional: false };
            let ops = vec![op(kind, &["x"], &["b"], vec![])];
            Attribute::Graph(Box::new(Graph { outputs: vec![output], ops, ..Graph::default() }))
        };
        let function = Function {
            name: "Scale".into(),
            domain: "local".into(),
            inputs: vec!["v".into()],
            outputs: vec!["r".into()],
            attributes: vec!["by".into()],
            defaults: Vec::new(),
            opsets: Vec::new(),
            ops: vec![op("Scaled", &["v"], &["r"], vec![("by", Attribute::Reference { name: "by".into(), kind: 1 })])],
        };
        let graph = Graph {
            name: "choice".into(),
            inputs: vec![port("x", &[Extent::Fixed(2)])],
            outputs: vec![port("y", &[Extent::Fixed(2)])],
            ops: vec![op("If", &["x"], &["y"], vec![("then_branch", branch("Relu")), ("else_branch", branch("Neg"))])],
            functions: vec![function],
            ..Graph::default()
        };
        insta::assert_snapshot!(graph, @r"
        function local.Scale<by>(%v) -> (%r) {
          %r = Scaled(%v) {by: @by}
        }
        choice(%x: FP32[2]) -> (%y: FP32[2]) {
          %y = If(%x) {then_branch: () -> (%b: ANY[..]) {
            %b = Relu(%x)
          }, else_branch: () -> (%b: ANY[..]) {
            %b = Neg(%x)
          }}
        }
        ");
    }
}
