//! Writes operators that stand in for another one.

use super::{facts::Facts, tensor::data_type};
use burst_host::nouns::{Attribute, Element, Op, Tensor};
use half::{bf16, f16};

/// Whether an operator is replaced; why it can't be, in words behind its name.
pub(super) type Outcome = Result<bool, String>;

/// The operators so far.
pub(super) struct Builder<'a> {
    pub op: &'a Op,
    pub facts: &'a mut Facts,
    /// The operator set to write in.
    pub opset: i64,
    /// The one that the operator is from.
    pub source: i64,
    /// The version of `ai.onnx.ml`.
    pub learned: i64,
    pub ops: Vec<Op>,
    /// Constants too large for an operator.
    pub weights: Vec<(String, Tensor)>,
    count: usize,
}

impl<'a> Builder<'a> {
    pub(super) fn new(op: &'a Op, facts: &'a mut Facts, [source, opset, learned]: [i64; 3]) -> Self {
        Self { op, facts, opset, source, learned, ops: Vec::new(), weights: Vec::new(), count: 0 }
    }

    // What the operator says.

    pub(super) fn input(&self, index: usize) -> Option<String> {
        self.op.inputs.get(index).filter(|name| !name.is_empty()).cloned()
    }

    pub(super) fn needed(&self, index: usize) -> Result<String, String> {
        self.input(index).ok_or_else(|| format!("input {index} is missing"))
    }

    /// Fails where one of these inputs is there.
    pub(super) fn without(&self, inputs: &[(usize, &str)]) -> Result<(), String> {
        match inputs.iter().find(|(index, _)| self.input(*index).is_some()) {
            Some((_, what)) => Err((*what).to_owned()),
            None => Ok(()),
        }
    }

    pub(super) fn wants(&self, output: usize) -> bool {
        self.op.outputs.get(output).is_some_and(|name| !name.is_empty())
    }

    pub(super) fn int(&self, name: &str, default: i64) -> i64 {
        if let Some(Attribute::Int(value)) = self.op.attribute(name) { *value } else { default }
    }

    pub(super) fn float(&self, name: &str, default: f32) -> f32 {
        if let Some(Attribute::Float(value)) = self.op.attribute(name) { *value } else { default }
    }

    pub(super) fn ints(&self, name: &str) -> &'a [i64] {
        if let Some(Attribute::Ints(values)) = self.op.attribute(name) { values } else { &[] }
    }

    pub(super) fn floats(&self, name: &str) -> &'a [f32] {
        if let Some(Attribute::Floats(values)) = self.op.attribute(name) { values } else { &[] }
    }

    pub(super) fn text(&self, name: &str, default: &str) -> String {
        match self.op.attribute(name) {
            Some(Attribute::Text(text)) => String::from_utf8_lossy(text).into_owned(),
            _ => default.to_owned(),
        }
    }

    /// Fails where an attribute is there with another value than this.
    pub(super) fn only(&self, name: &str, value: i64) -> Result<(), String> {
        match self.int(name, value) {
            found if found == value => Ok(()),
            found => Err(format!("`{name}` {found}")),
        }
    }

    pub(super) fn element(&self, name: &str) -> Option<Element> {
        self.facts.element(name)
    }

    /// The contents of an input that never changes.
    pub(super) fn known(&self, index: usize, what: &str) -> Result<Tensor, String> {
        let name = self.needed(index)?;
        self.facts.tensor(&name).cloned().ok_or_else(|| format!("{what} that are no constants"))
    }

    // What stands in for it.

    /// One more operator: the name of its result.
    pub(super) fn add(&mut self, kind: &str, inputs: &[&str], attributes: &[(&str, Attribute)]) -> String {
        self.add_in("", kind, inputs, attributes, 1).pop().unwrap_or_default()
    }

    /// The same with several results.
    pub(super) fn add_many(
        &mut self,
        kind: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
        results: usize,
    ) -> Vec<String> {
        self.add_in("", kind, inputs, attributes, results)
    }

    pub(super) fn add_in(
        &mut self,
        domain: &str,
        kind: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
        results: usize,
    ) -> Vec<String> {
        let outputs: Vec<String> = (0..results).map(|_| self.name()).collect();
        let op = Op {
            name: String::new(),
            kind: kind.to_owned(),
            domain: domain.to_owned(),
            inputs: inputs.iter().map(|&name| name.to_owned()).collect(),
            outputs: outputs.clone(),
            attributes: attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect(),
        };
        self.push(op);
        outputs
    }

    /// A name that nothing else has.
    fn name(&mut self) -> String {
        let result = self.op.outputs.iter().find(|name| !name.is_empty()).map_or("", String::as_str);
        self.count += 1;
        format!("{result}~{}", self.count)
    }

    pub(super) fn push(&mut self, op: Op) {
        self.facts.learn(&op);
        self.ops.push(op);
    }

    /// Gives a result of the operator its name, if it is asked for.
    pub(super) fn result(&mut self, index: usize, value: &str) {
        if let Some(name) = self.op.outputs.get(index).filter(|name| !name.is_empty()) {
            self.push(Op::identity(value.to_owned(), name.clone()));
        }
    }

    /// The only result.
    pub(super) fn done(&mut self, value: &str) -> Outcome {
        self.result(0, value);
        Ok(true)
    }

    /// Another operator in its place, with its results.
    pub(super) fn become_op(
        &mut self,
        kind: &str,
        inputs: Vec<String>,
        attributes: Vec<(String, Attribute)>,
    ) -> Outcome {
        self.push(Op {
            name: self.op.name.clone(),
            kind: kind.to_owned(),
            domain: String::new(),
            inputs,
            outputs: self.op.outputs.clone(),
            attributes,
        });
        Ok(true)
    }

    // Constants.

    pub(super) fn constant(&mut self, tensor: Tensor) -> String {
        self.add("Constant", &[], &[("value", Attribute::Tensor(tensor))])
    }

    /// A constant beside the operators, which may be large.
    pub(super) fn weight(&mut self, tensor: Tensor) -> String {
        let name = self.name();
        self.facts.constant(&name, &tensor);
        self.weights.push((name.clone(), tensor));
        name
    }

    pub(super) fn tensor<T: bytemuck::NoUninit>(
        &mut self,
        element: Element,
        extents: &[usize],
        values: &[T],
    ) -> Result<String, String> {
        let tensor = Tensor::from_slice(element, extents, values).map_err(|error| error.to_string())?;
        Ok(self.constant(tensor))
    }

    pub(super) fn longs(&mut self, values: &[i64]) -> Result<String, String> {
        self.tensor(Element::I64, &[values.len()], values)
    }

    pub(super) fn long(&mut self, value: i64) -> Result<String, String> {
        self.tensor(Element::I64, &[], &[value])
    }

    /// FP32 numbers as the type of another value.
    pub(super) fn floats_like(&mut self, extents: &[usize], values: &[f32], like: &str) -> Result<String, String> {
        match self.element(like) {
            Some(Element::Fp32) => self.tensor(Element::Fp32, extents, values),
            Some(Element::Fp64) => {
                self.tensor(Element::Fp64, extents, &values.iter().map(|&value| f64::from(value)).collect::<Vec<_>>())
            }
            Some(Element::Fp16) => {
                let bits: Vec<u16> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
                self.tensor(Element::Fp16, extents, &bits)
            }
            Some(Element::Bf16) => {
                let bits: Vec<u16> = values.iter().map(|&value| bf16::from_f32(value).to_bits()).collect();
                self.tensor(Element::Bf16, extents, &bits)
            }
            _ => {
                let constant = self.tensor(Element::Fp32, extents, values)?;
                Ok(self.add("CastLike", &[&constant, like], &[]))
            }
        }
    }

    /// A number of the type that another value has.
    pub(super) fn number(&mut self, value: f32, like: &str) -> Result<String, String> {
        self.floats_like(&[], &[value], like)
    }

    // Operators whose form depends on the operator set.

    pub(super) fn cast(&mut self, x: &str, to: Element) -> String {
        if self.element(x) == Some(to) {
            return x.to_owned();
        }
        self.add("Cast", &[x], &[("to", Attribute::Int(data_type(to).into()))])
    }

    /// As the type of another value.
    pub(super) fn cast_like(&mut self, x: &str, like: &str) -> String {
        match self.element(like) {
            Some(element) => self.cast(x, element),
            None => self.add("CastLike", &[x, like], &[]),
        }
    }

    /// Parts of axes, counted from either end.
    pub(super) fn slice(&mut self, x: &str, axis: i64, from: i64, to: i64) -> Result<String, String> {
        if self.opset < 10 {
            let one = |value| Attribute::Ints(vec![value]);
            return Ok(self.add("Slice", &[x], &[("axes", one(axis)), ("starts", one(from)), ("ends", one(to))]));
        }
        let (from, to, axis) = (self.longs(&[from])?, self.longs(&[to])?, self.longs(&[axis])?);
        Ok(self.add("Slice", &[x, &from, &to, &axis], &[]))
    }

    /// The same, where the bounds are lists of one number that other operators give.
    pub(super) fn slice_by(&mut self, x: &str, axis: i64, from: &str, to: &str) -> Result<String, String> {
        if self.opset < 10 {
            return Err("operator sets before 10".into());
        }
        let axis = self.longs(&[axis])?;
        Ok(self.add("Slice", &[x, from, to, &axis], &[]))
    }

    pub(super) fn unsqueeze(&mut self, x: &str, axes: &[i64]) -> Result<String, String> {
        self.axes("Unsqueeze", x, axes, 13, &[])
    }

    pub(super) fn squeeze(&mut self, x: &str, axes: &[i64]) -> Result<String, String> {
        self.axes("Squeeze", x, axes, 13, &[])
    }

    /// A reduction that keeps its axes.
    pub(super) fn reduce(&mut self, kind: &str, x: &str, axes: &[i64]) -> Result<String, String> {
        let since = if kind == "ReduceSum" { 13 } else { 18 };
        self.axes(kind, x, axes, since, &[("keepdims", Attribute::Int(1))])
    }

    fn axes(
        &mut self,
        kind: &str,
        x: &str,
        axes: &[i64],
        since: i64,
        more: &[(&str, Attribute)],
    ) -> Result<String, String> {
        if self.opset >= since {
            let axes = self.longs(axes)?;
            return Ok(self.add(kind, &[x, &axes], more));
        }
        let mut attributes = more.to_vec();
        attributes.push(("axes", Attribute::Ints(axes.to_vec())));
        Ok(self.add(kind, &[x], &attributes))
    }

    /// In a shape 0 keeps an extent and -1 is what is left.
    pub(super) fn reshape(&mut self, x: &str, shape: &[i64]) -> Result<String, String> {
        let shape = self.longs(shape)?;
        Ok(self.add("Reshape", &[x, &shape], &[]))
    }

    pub(super) fn transpose(&mut self, x: &str, axes: &[i64]) -> String {
        self.add("Transpose", &[x], &[("perm", Attribute::Ints(axes.to_vec()))])
    }

    pub(super) fn concat(&mut self, parts: &[&str], axis: i64) -> String {
        self.add("Concat", parts, &[("axis", Attribute::Int(axis))])
    }

    /// One extent of a value, as a list.
    pub(super) fn extent(&mut self, x: &str, axis: i64) -> Result<String, String> {
        let shape = self.add("Shape", &[x], &[]);
        let end = if axis == -1 { i64::MAX } else { axis + 1 };
        self.slice(&shape, 0, axis, end)
    }

    pub(super) fn gather(&mut self, x: &str, indices: &str, axis: i64) -> String {
        self.add("Gather", &[x, indices], &[("axis", Attribute::Int(axis))])
    }

    pub(super) fn softmax(&mut self, x: &str) -> String {
        self.add("Softmax", &[x], &[("axis", Attribute::Int(-1))])
    }

    /// 0, 1, 2 … below a list of one number.
    pub(super) fn counted(&mut self, count: &str) -> Result<String, String> {
        let (zero, one) = (self.long(0)?, self.long(1)?);
        let count = self.reshape(count, &[])?;
        Ok(self.add("Range", &[&zero, &count, &one], &[]))
    }
}
