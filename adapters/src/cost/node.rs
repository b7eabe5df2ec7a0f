//! One operator with what is known of its inputs.

use super::value::Value;
use burst_host::nouns::{Attribute, Element, Op};

pub(super) struct Node<'a> {
    pub op: &'a Op,
    pub inputs: Vec<&'a Value>,
    /// The version of ONNX's operator set.
    pub opset: i64,
}

/// What an operator gives, and what that takes.
#[derive(Default)]
pub(super) struct Outcome {
    pub results: Vec<Value>,
    /// Multiplications with what is added to them, comparisons, or steps of a function.
    pub operations: u64,
    /// What is held beside inputs and results while it computes.
    pub scratch_bytes: u64,
}

impl Outcome {
    pub(super) fn new(results: Vec<Value>, operations: u64) -> Option<Self> {
        Some(Self { results, operations, scratch_bytes: 0 })
    }

    /// One result of which each element takes so many operations.
    pub(super) fn each(result: Value, operations: u64) -> Option<Self> {
        let elements = result.elements().unwrap_or(0);
        Self::new(vec![result], elements.saturating_mul(operations))
    }
}

impl Node<'_> {
    /// An input that is given.
    pub(super) fn input(&self, index: usize) -> Option<&Value> {
        let given = self.op.inputs.get(index).is_some_and(|name| !name.is_empty());
        self.inputs.get(index).copied().filter(|_| given)
    }

    pub(super) fn extents(&self, index: usize) -> Option<&[u64]> {
        self.input(index)?.extents.as_deref()
    }

    pub(super) fn element(&self, index: usize) -> Option<Element> {
        self.input(index)?.element
    }

    /// Elements of an input, 0 where they are not known.
    pub(super) fn elements(&self, index: usize) -> u64 {
        self.input(index).and_then(Value::elements).unwrap_or(0)
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        if let Some(Attribute::Int(value)) = self.op.attribute(name) { *value } else { default }
    }

    pub(super) fn ints(&self, name: &str) -> Option<&[i64]> {
        if let Some(Attribute::Ints(values)) = self.op.attribute(name) { Some(values) } else { None }
    }

    pub(super) fn text(&self, name: &str) -> &str {
        match self.op.attribute(name) {
            Some(Attribute::Text(text)) => str::from_utf8(text).unwrap_or(""),
            _ => "",
        }
    }

    /// The element that an attribute names by its number in ONNX.
    pub(super) fn element_in(&self, name: &str) -> Option<Element> {
        if let Some(Attribute::Int(number)) = self.op.attribute(name) {
            crate::onnx::element(*number).ok()
        } else {
            None
        }
    }

    /// Whole numbers that early operator sets have as an attribute and later ones as an input.
    pub(super) fn numbers(&self, attribute: &str, input: usize) -> Option<Vec<i64>> {
        match self.op.attribute(attribute) {
            Some(Attribute::Ints(values)) => Some(values.clone()),
            Some(Attribute::Int(value)) => Some(vec![*value]),
            _ => self.input(input)?.integers(),
        }
    }

    /// Whether such numbers are given at all.
    pub(super) fn gives(&self, attribute: &str, input: usize) -> bool {
        self.op.attribute(attribute).is_some() || self.input(input).is_some()
    }

    /// An axis, counted from either end.
    pub(super) fn axis(&self, default: i64, rank: usize) -> Option<usize> {
        place(self.int("axis", default), rank)
    }

    pub(super) fn outputs(&self) -> usize {
        self.op.outputs.len()
    }
}

/// Where an axis is that may be counted from the end.
pub(super) fn place(axis: i64, rank: usize) -> Option<usize> {
    let from_start = if axis < 0 { axis.checked_add(rank as i64)? } else { axis };
    usize::try_from(from_start).ok().filter(|&axis| axis < rank)
}

/// A length out of numbers that may be anything: what is negative or no number is nothing.
pub(super) fn length(number: f64) -> u64 {
    number as u64
}
