//! Attention: one pass over the keys, and the matrix of scores for who asks to see it.

mod bounds;
mod cut;
mod sequence;

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    movement::{part, permute},
    pointwise::{Link, chain, code, convert, widened},
};
use bounds::Bounds;
use burst_host::nouns::{Attribute, Element, Op, Spec};
use cut::Cut;
use sequence::{Sequence, split, steps};

/// ONNX's numbers for FP64, and for scores that became weights.
const DOUBLE: i64 = 11;
const WEIGHTS: i64 = 3;

pub fn attention(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    attend(planner, node, false)
}

/// Attention as its operators would compute it one by one: queries, keys, values, and what is added to scores.
pub fn written_out(planner: &mut Planner, inputs: Vec<Value>, heads: [usize; 2], scale: f32) -> Result<Placed, Halt> {
    let [q_heads, kv_heads] = heads.map(|heads| Attribute::Int(heads as i64));
    let op = Op {
        kind: "Attention".into(),
        attributes: vec![
            ("q_num_heads".into(), q_heads),
            ("kv_num_heads".into(), kv_heads),
            ("scale".into(), Attribute::Float(scale)),
        ],
        ..Op::identity(String::new(), "y".into())
    };
    let node = Node { op: &op, opset: planner.opset(), inputs };
    let results = attend(planner, &node, true)?;
    planner.place(results.first().unwrap_or(&Value::Absent))
}

/// A row that sees no key is zero; written out it is no number.
fn attend(planner: &mut Planner, node: &Node<'_>, written_out: bool) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let double = node.int("softmax_precision", 1) == DOUBLE;
    if double && !planner.target.doubles {
        return Err(node.lacks("a softmax in FP64, which its driver lacks"));
    }
    let heads = heads(node, "kv_num_heads")?;
    let (key, value) = (present(planner, node, 1, 4, heads)?, present(planner, node, 2, 5, heads)?);
    let attention = Attention {
        query: Sequence::of(planner, node, node.input(0), self::heads(node, "q_num_heads")?)?,
        key: Sequence::of(planner, node, if node.has(4) { &key } else { node.input(1) }, heads)?,
        value: Sequence::of(planner, node, if node.has(5) { &value } else { node.input(2) }, heads)?,
        written_out,
        past: if node.has(4) { node.spec(4)?.shape.extents().get(2).copied().unwrap_or(0) } else { 0 },
    };
    attention.check(node)?;
    let bounds = Bounds::of(planner, node, &attention)?;
    let y = match double {
        true => attention.in_doubles(planner, node, &bounds, &value)?,
        false => attention.passes(planner, node, &bounds)?,
    };
    let mut results = vec![convert(planner, node, &y, element)?.into(), key, value];
    if node.op.outputs.get(3).is_some_and(|name| !name.is_empty()) {
        let scores = attention.scores(planner, node, &bounds, node.int("qk_matmul_output_mode", 0))?;
        results.push(convert(planner, node, &scores, element)?.into());
    }
    Ok(results)
}

/// Heads of inputs of three axes; 0 where they have an axis of their own.
fn heads(node: &Node<'_>, name: &str) -> Result<usize, Halt> {
    usize::try_from(node.int(name, 0)).map_err(|_| node.invalid(&format!("{name} is negative")))
}

/// Keys or values, heads first, after those of the past.
fn present(planner: &mut Planner, node: &Node<'_>, index: usize, past: usize, heads: usize) -> Result<Value, Halt> {
    let x = planner.place(node.input(index))?;
    let given = split(node, &x, heads)?;
    let given = if x.extents().len() == 3 { permute(planner, node, &given, &[0, 2, 1, 3])? } else { given };
    if !node.has(past) {
        return Ok(given.into());
    }
    if node.spec(past)?.shape.extents().len() != 4 {
        return Err(node.invalid("the past has four axes"));
    }
    let inputs = vec![node.input(past).clone(), given.into()];
    planner.apply("Concat", vec![("axis".into(), Attribute::Int(2))], inputs)
}

/// Queries, keys and values that fit together.
struct Attention {
    query: Sequence,
    key: Sequence,
    value: Sequence,
    /// Keys before the first query.
    past: usize,
    /// Whether a row that sees no key is no number.
    written_out: bool,
}

impl Attention {
    fn check(&self, node: &Node<'_>) -> Result<(), Halt> {
        let Self { query, key, value, .. } = self;
        let batches = query.batches == key.batches && key.batches == value.batches;
        let shared = key.heads == value.heads && key.heads > 0 && query.heads.is_multiple_of(key.heads);
        if !batches || !shared || query.width != key.width || key.places != value.places {
            return Err(node.invalid("queries, keys and values do not fit"));
        }
        Ok(())
    }

    /// Queries whose heads share keys.
    fn rows(&self) -> usize {
        self.query.heads / self.key.heads * self.query.places
    }

    fn lists(&self) -> usize {
        self.key.batches * self.key.heads
    }

    fn cut(&self, planner: &Planner, node: &Node<'_>) -> Result<Cut, Halt> {
        let cut = Cut::of(planner.target.choice.family, self);
        cut.ok_or_else(|| node.unsupported("heads, queries or values of that size"))
    }

    fn constants(&self, node: &Node<'_>, bounds: &Bounds) -> Vec<(&'static str, u32)> {
        let mut constants = vec![("WIDTH", self.key.vectors() as u32)];
        constants.push(("WRITTEN_OUT", u32::from(self.written_out)));
        constants.push(("CAPPED", u32::from(node.float("softcap", 0.0) > 0.0)));
        constants.extend(bounds.constants());
        constants
    }

    /// In the order of `scores.wgsl`.
    fn parameters(&self, node: &Node<'_>, bounds: &Bounds, cut: &Cut) -> Vec<u32> {
        let Self { query, key, value, past, .. } = self;
        let scale = node.float("scale", 1.0 / (query.width as f32).sqrt());
        let mut parameters = [self.rows(), query.places, key.places, key.heads].map(|count| count as u32).to_vec();
        parameters.extend([scale, node.float("softcap", 0.0)].map(f32::to_bits));
        parameters.extend([*past as i32, bounds.left, bounds.right].map(|value| value as u32));
        parameters.extend([query, key, value].map(Sequence::wide_steps).concat());
        parameters.extend(self.result_steps(4 * value.vectors()).map(|step| step / 4));
        parameters.extend(bounds.mask_steps);
        parameters.extend([bounds.mask_keys, self.lists(), cut.part].map(|count| count as u32));
        parameters
    }

    fn result_steps(&self, width: usize) -> [u32; 3] {
        let query = &self.query;
        steps(query.together, query.heads, query.places, width).map(|step| step as u32)
    }

    /// Four axes, in the order of the queries.
    fn result(&self, node: &Node<'_>, width: usize) -> Result<Spec, Halt> {
        let Sequence { batches, heads, places, together, .. } = self.query;
        let (outer, inner) = if together { (places, heads) } else { (heads, places) };
        Ok(Spec { element: Element::Fp32, shape: node.shape(vec![batches, outer, inner, width])? })
    }

    /// The values as they are attended to.
    fn passes(&self, planner: &mut Planner, node: &Node<'_>, bounds: &Bounds) -> Result<Placed, Halt> {
        let (query, key, value) = (&self.query.data, &self.key.data, &self.value.data);
        let cut = self.cut(planner, node)?;
        let parts = cut.parts;
        let mut constants = self.constants(node, bounds);
        constants.extend([("COLUMNS", self.value.vectors() as u32), ("PARTS", u32::from(parts > 1))]);
        let (mask, lengths) = (bounds.mask.as_ref().unwrap_or(query), bounds.lengths.as_ref().unwrap_or(query));
        let reads = [query, key, mask, lengths, value];
        let (parameters, groups) = (self.parameters(node, bounds, &cut), cut.groups());
        let kernel = Kernel::new(Shader::Attention, constants);
        let width = self.value.width;
        let y = if parts == 1 {
            let padded = self.result(node, 4 * self.value.vectors())?;
            let padded = planner.dispatch(kernel, parameters, &reads, padded, groups)?;
            part(planner, node, &padded, 3, 0, width)?
        } else {
            let shape = node.shape(vec![parts, self.lists(), self.rows(), 4 * self.value.vectors() + 4])?;
            let sums = planner.dispatch(kernel, parameters, &reads, Spec { element: Element::Fp32, shape }, groups)?;
            self.join(planner, node, &sums)?
        };
        match (self.query.together, y.extents()) {
            (true, &[batches, places, heads, _]) => Ok(y.reshaped(node.shape(vec![batches, places, heads * width])?)),
            _ => Ok(y),
        }
    }

    fn join(&self, planner: &mut Planner, node: &Node<'_>, sums: &Placed) -> Result<Placed, Halt> {
        let width = self.value.width;
        let spec = self.result(node, width)?;
        let (count, parts, weight) = (spec.shape.elements(), sums.extents()[0], 4 * self.value.vectors());
        let counts = [count, parts, width, weight, self.rows(), self.query.places, self.key.heads];
        let mut parameters = counts.map(|count| count as u32).to_vec();
        parameters.extend(self.result_steps(width));
        planner.dispatch(
            Kernel::new(Shader::AttentionJoin, [("WRITTEN_OUT", u32::from(self.written_out))]),
            parameters,
            &[sums],
            spec,
            grid(count),
        )
    }

    /// The same with a softmax in FP64, which no kernel has in one pass; keys' heads are the second axis of `values`.
    fn in_doubles(
        &self,
        planner: &mut Planner,
        node: &Node<'_>,
        bounds: &Bounds,
        values: &Value,
    ) -> Result<Placed, Halt> {
        let Self { query, key, value, .. } = self;
        let weights = self.scores(planner, node, bounds, WEIGHTS)?;
        let weights = weights.reshaped(node.shape(vec![self.lists(), self.rows(), key.places])?);
        let values = widened(planner, node, values)?;
        let values = values.reshaped(node.shape(vec![self.lists(), key.places, value.width])?);
        let y = planner.apply("MatMul", Vec::new(), vec![weights.into(), values.into()])?;
        let [batches, heads, places] = [query.batches, query.heads, query.places];
        let y = planner.place(&y)?.reshaped(node.shape(vec![batches, heads, places, value.width])?);
        if !query.together {
            return Ok(y);
        }
        let y = permute(planner, node, &y, &[0, 2, 1, 3])?;
        Ok(y.reshaped(node.shape(vec![batches, places, heads * value.width])?))
    }

    /// The scores as far as they are asked for: multiplied, capped, masked, or what becomes of them.
    fn scores(&self, planner: &mut Planner, node: &Node<'_>, bounds: &Bounds, mode: i64) -> Result<Placed, Halt> {
        let Self { query, key, .. } = self;
        let shape = node.shape(vec![query.batches, query.heads, query.places, key.places])?;
        let count = shape.elements();
        let mut constants = self.constants(node, bounds);
        constants.push(("STAGE", mode.clamp(0, 2) as u32));
        let (mask, lengths) =
            (bounds.mask.as_ref().unwrap_or(&query.data), bounds.lengths.as_ref().unwrap_or(&query.data));
        let reads = [&query.data, &key.data, mask, lengths];
        let parameters = self.parameters(node, bounds, &self.cut(planner, node)?);
        let kernel = Kernel::new(Shader::AttentionScores, constants);
        let spec = Spec { element: Element::Fp32, shape };
        let scores = planner.dispatch(kernel, parameters, &reads, spec, grid(count))?;
        if mode != WEIGHTS {
            return Ok(scores);
        }
        let double = node.int("softmax_precision", 1) == DOUBLE;
        let precise = convert(planner, node, &scores, if double { Element::Fp64 } else { Element::Fp32 })?;
        let weights = probabilities(planner, node, precise)?;
        convert(planner, node, &weights, Element::Fp32)
    }
}

/// A softmax of rows that may see nothing, which are zero then.
fn probabilities(planner: &mut Planner, node: &Node<'_>, scores: Placed) -> Result<Placed, Halt> {
    const SUBTRACT: u32 = 2;
    const DIVIDE: u32 = 5;
    const EXP: u32 = 40;
    let largest = along(planner, node, "ReduceMax", &scores, f32::MIN)?;
    let links = [Link::tensor(SUBTRACT, largest), Link::alone(EXP)];
    let element = scores.spec.element;
    let weights = chain(planner, node, &scores, &links, element)?;
    let total = along(planner, node, "ReduceSum", &weights, f32::MIN_POSITIVE)?;
    chain(planner, node, &weights, &[Link::tensor(DIVIDE, total)], element)
}

/// A fold of each row that comes to no less than this.
fn along(planner: &mut Planner, node: &Node<'_>, kind: &str, x: &Placed, least: f32) -> Result<Placed, Halt> {
    let axes = ("axes".into(), Attribute::Ints(vec![-1]));
    let folded = planner.apply(kind, vec![axes], vec![x.clone().into()])?;
    let folded = planner.place(&folded)?;
    chain(planner, node, &folded, &[Link::number(code::MAX, least)], x.spec.element)
}
