//! How large the 64-bit integers of a graph may become: an NPU computes them in 32 bits, and wraps what is beyond.

use super::values::Inferred;
use burst_host::nouns::{Attribute, Element, Fault, Graph, Op, Tensor};
use std::collections::HashMap;

/// What 32 bits hold, whatever the sign.
const MAX: u128 = i32::MAX as u128;

/// The magnitudes of a graph's 64-bit integers, from those of its inputs.
pub(super) struct Integers {
    /// A slot for each value: what is known of it before a run.
    magnitudes: Vec<u128>,
    /// Inputs of the graph, by their place, and their slots.
    inputs: Vec<(usize, usize)>,
    steps: Vec<Step>,
}

struct Step {
    operator: String,
    rule: Rule,
    operands: Vec<usize>,
    results: Vec<usize>,
}

/// How large a result may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// Whatever comes.
    Within(u128),
    /// As the first operand.
    First,
    /// As the largest operand.
    Largest,
    /// The same, and at least this.
    AtLeast(u128),
    /// As the sum of all operands.
    Sum,
    /// As the product of all operands, added up so many times.
    Products(u128),
}

/// Operators that give what they take, or less.
const FIRST: &[&str] = &[
    "Abs",
    "Compress",
    "DepthToSpace",
    "Div",
    "Expand",
    "Flatten",
    "Gather",
    "GatherElements",
    "GatherND",
    "Identity",
    "Neg",
    "ReduceMax",
    "ReduceMin",
    "Relu",
    "Reshape",
    "ReverseSequence",
    "Slice",
    "SpaceToDepth",
    "Split",
    "Squeeze",
    "Tile",
    "Transpose",
    "Trilu",
    "Unsqueeze",
];
/// Operators that give one of the numbers that they take, or one between them. A remainder has the sign of its divisor.
const LARGEST: &[&str] =
    &["Clip", "Concat", "Max", "Min", "Mod", "Pad", "Range", "ScatterElements", "ScatterND", "Where"];
/// Operators that count or point into what they take; some give of its numbers, too.
const INDICES: &[&str] = &["ArgMax", "ArgMin", "MaxPool", "NonZero", "Shape", "Size", "TopK"];

impl Integers {
    /// Fails with the operator that may go beyond 32 bits whatever comes, or of which it is not known.
    pub(super) fn of(graph: &Graph, values: &HashMap<String, Inferred>) -> Result<Self, Fault> {
        let mut integers = Self { magnitudes: Vec::new(), inputs: Vec::new(), steps: Vec::new() };
        let mut slots: HashMap<&str, usize> = HashMap::new();
        for (name, tensor) in graph.constants.iter().filter(|(_, tensor)| is_wide(tensor.spec().element)) {
            slots.insert(name, integers.slot(magnitude(tensor)));
        }
        for (place, port) in graph.inputs.iter().enumerate() {
            if port.element.is_some_and(is_wide) {
                let slot = integers.slot(MAX);
                slots.insert(&port.name, slot);
                integers.inputs.push((place, slot));
            }
        }
        for op in &graph.ops {
            let operands: Vec<usize> = op.inputs.iter().filter_map(|name| slots.get(name.as_str()).copied()).collect();
            // A bound that is beyond all numbers is a slice's way to say "to the end".
            if op.kind != "Slice" {
                operands.iter().try_for_each(|&slot| within(integers.magnitudes[slot], op))?;
            }
            let wide = |name: &&String| values.get(*name).is_some_and(|value| is_wide(value.element));
            let results: Vec<&String> = op.outputs.iter().filter(wide).collect();
            if results.is_empty() {
                continue;
            }
            let rule = rule(op, values)?;
            let first = integers.magnitudes.len();
            for name in &results {
                slots.insert(name, integers.slot(0));
            }
            let results = (first..integers.magnitudes.len()).collect();
            integers.steps.push(Step { operator: label(op), rule, results, operands });
        }
        Ok(integers)
    }

    fn slot(&mut self, magnitude: u128) -> usize {
        self.magnitudes.push(magnitude);
        self.magnitudes.len() - 1
    }

    /// Fails with the input or the operator that may go beyond 32 bits.
    pub(super) fn check(&self, inputs: &[Tensor]) -> Result<(), Fault> {
        let mut magnitudes = self.magnitudes.clone();
        for &(place, slot) in &self.inputs {
            magnitudes[slot] = magnitude(&inputs[place]);
            if magnitudes[slot] > MAX {
                return Err(beyond(&format!("input {place}")));
            }
        }
        for step in &self.steps {
            let largest = step.rule.apply(step.operands.iter().map(|&slot| magnitudes[slot]));
            if largest > MAX {
                return Err(beyond(&step.operator));
            }
            step.results.iter().for_each(|&slot| magnitudes[slot] = largest);
        }
        Ok(())
    }
}

impl Rule {
    fn apply(self, mut operands: impl Iterator<Item = u128>) -> u128 {
        match self {
            Self::Within(largest) => largest,
            Self::First => operands.next().unwrap_or(0),
            Self::Largest => operands.max().unwrap_or(0),
            Self::AtLeast(count) => operands.fold(count, u128::max),
            Self::Sum => operands.fold(0, u128::saturating_add),
            Self::Products(times) => operands.fold(times, u128::saturating_mul),
        }
    }
}

fn rule(op: &Op, values: &HashMap<String, Inferred>) -> Result<Rule, Fault> {
    let value = |name: Option<&String>| name.and_then(|name| values.get(name));
    let (input, output) = (value(op.inputs.first()), value(op.outputs.first()));
    let elements = input.and_then(Inferred::elements);
    let known = |count: Option<u128>| count.ok_or_else(|| beyond(&label(op)));
    Ok(match op.kind.as_str() {
        _ if !op.domain.is_empty() => return Err(beyond(&label(op))),
        kind if FIRST.contains(&kind) => Rule::First,
        kind if LARGEST.contains(&kind) && op.attribute("reduction").is_none() => Rule::Largest,
        kind if INDICES.contains(&kind) => Rule::AtLeast(known(elements)?),
        "Add" | "Sub" | "Sum" => Rule::Sum,
        "Mul" => Rule::Products(1),
        "CumSum" => Rule::Products(known(elements)?),
        // A mean is a sum first.
        "ReduceMean" | "ReduceSum" => {
            let results = output.and_then(Inferred::elements).filter(|&count| count > 0);
            Rule::Products(known(elements)? / known(results)?)
        }
        "MatMul" => Rule::Products(known(input.and_then(|input| *input.extents.last()?).map(|extent| extent as u128))?),
        "Sign" => Rule::Within(1),
        "Cast" | "CastLike" => match input.map(|input| input.element) {
            Some(Element::I64 | Element::U64) => Rule::First,
            Some(Element::Bool) => Rule::Within(1),
            Some(Element::U8 | Element::I8) => Rule::Within(1 << 8),
            Some(Element::U16 | Element::I16) => Rule::Within(1 << 16),
            Some(Element::I32) => Rule::Within(MAX),
            // A float may be anything.
            _ => return Err(beyond(&label(op))),
        },
        "Constant" | "ConstantOfShape" => Rule::Within(attribute_magnitude(op).ok_or_else(|| beyond(&label(op)))?),
        _ => return Err(beyond(&label(op))),
    })
}

fn attribute_magnitude(op: &Op) -> Option<u128> {
    let of = |numbers: &[i64]| numbers.iter().map(|number| u128::from(number.unsigned_abs())).max().unwrap_or(0);
    match op.attributes.first().map(|(_, value)| value) {
        Some(Attribute::Tensor(tensor)) => Some(magnitude(tensor)),
        Some(Attribute::Int(number)) => Some(of(&[*number])),
        Some(Attribute::Ints(numbers)) => Some(of(numbers)),
        _ => None,
    }
}

fn is_wide(element: Element) -> bool {
    matches!(element, Element::I64 | Element::U64)
}

/// The largest number, whatever its sign.
fn magnitude(tensor: &Tensor) -> u128 {
    let signed = tensor.spec().element == Element::I64;
    let words = tensor.contents().map(|contents| contents.chunks_exact(8)).into_iter().flatten();
    let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().unwrap_or_default());
    let magnitude = |word: u64| if signed { word.cast_signed().unsigned_abs() } else { word };
    words.map(|bytes| u128::from(magnitude(number(bytes)))).max().unwrap_or(0)
}

fn within(magnitude: u128, op: &Op) -> Result<(), Fault> {
    if magnitude > MAX { Err(beyond(&label(op))) } else { Ok(()) }
}

fn label(op: &Op) -> String {
    format!("operator {}", op.kind)
}

fn beyond(what: &str) -> Fault {
    Fault::Unsupported(format!("{what} on an NPU: its INT64 may be beyond the 32 bits that are computed there"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::Sketch;

    /// The largest magnitudes of two inputs `a` and `b` of four numbers with which the sum of the result and itself is
    /// computed.
    fn doubles(kind: &str, inputs: &str, a: i64, b: i64) -> bool {
        let sketch = Sketch::new(kind).input("a", Element::I64, "4").input("b", Element::I64, "4");
        let graph = sketch.op(kind, inputs, "x").op("Add", "x x", "y").output("y").graph();
        let four = || Inferred { element: Element::I64, extents: vec![Some(4)] };
        let values = ["a", "b", "x", "y"].map(|name| (name.to_owned(), four())).into_iter().collect();
        let number = |value| Tensor::from_slice(Element::I64, [4], &[0, value, -1, 0]).unwrap();
        Integers::of(&graph, &values).unwrap().check(&[number(a), number(b)]).is_ok()
    }

    #[test]
    fn results_may_be_as_large_as_any_operand_that_they_are_of() {
        const HALF: i64 = 1 << 30;
        for (kind, inputs) in [("Mod", "a b"), ("Clip", "a b"), ("Max", "a b"), ("TopK", "b a")] {
            assert!(doubles(kind, inputs, 7, HALF - 1), "{kind}");
            assert!(!doubles(kind, inputs, 7, HALF), "{kind}");
        }
        // The sum of four, and twice that.
        assert!(doubles("ReduceMean", "a", HALF / 4 - 1, 0) && doubles("CumSum", "a", HALF / 4 - 1, 0));
        assert!(!doubles("CumSum", "a", HALF / 4, 0));
        assert!(doubles("Gather", "a b", 7, HALF), "indices are no results");
    }
}
