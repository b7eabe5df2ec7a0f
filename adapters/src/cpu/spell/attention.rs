//! Attention: queries, keys and values with heads on an axis of their own, and five axes where heads share keys.

use super::Spelling;
use burst_host::nouns::{Attribute, Element, Tensor};

/// ONNX's numbers of element types.
const INT64: i64 = 7;
const PRECISIONS: [i64; 3] = [1, 10, 11];

pub fn attention(spelling: &mut Spelling<'_>) -> Option<()> {
    let precision = spelling.op.attribute("softmax_precision").map(|_| spelling.int("softmax_precision", 1));
    attend(spelling, precision)
}

/// Attention whose weights are wide, unless graphs bend it.
pub fn flex(spelling: &mut Spelling<'_>) -> Option<()> {
    if ["score_mod", "prob_mod"].iter().any(|name| spelling.op.attribute(name).is_some()) {
        return None;
    }
    let double = spelling.element(&spelling.input(0)?)? == Element::Fp64;
    let wide = PRECISIONS[if double { 2 } else { 0 }];
    attend(spelling, Some(spelling.int("softmax_precision", wide)))
}

fn attend(spelling: &mut Spelling<'_>, precision: Option<i64>) -> Option<()> {
    if precision.is_some_and(|precision| !PRECISIONS.contains(&precision)) {
        return None;
    }
    let heads = ["q_num_heads", "kv_num_heads"].map(|name| spelling.int(name, 0));
    let given = spelling.input(0)?;
    let q = apart(spelling, given.clone(), heads[0])?;
    let (k, v) = (present(spelling, 1, 4, heads[1])?, present(spelling, 2, 5, heads[1])?);
    spelling.result(1, &k);
    spelling.result(2, &v);
    let [q, k, v] = [q, k, v].map(|x| wide(spelling, x, &given));
    let shapes = Shapes { q: spelling.add("Shape", &[&q], &[]), k: spelling.add("Shape", &[&k], &[]) };
    let products = products(spelling, &shapes, &q, &k)?;
    let capped = capped(spelling, &products)?;
    let masked = masked(spelling, &shapes, &capped)?;
    let weights = weights(spelling, &masked, &q, precision)?;
    let mode = usize::try_from(spelling.int("qk_matmul_output_mode", 0)).ok()?;
    let asked = [&products, &capped, &masked, &weights].get(mode).copied()?.clone();
    let asked = spelling.add("CastLike", &[&asked, &given], &[]);
    spelling.result(3, &asked);

    let grouped = shapes.of(spelling, &[Part::Q(0, 1), Part::K(1, 2), Part::Rest, Part::Q(2, 3), Part::K(2, 3)])?;
    let grouped = spelling.add("Reshape", &[&weights, &grouped], &[]);
    let axis = spelling.longs(&[1], &[2])?;
    let values = spelling.add("Unsqueeze", &[&v, &axis], &[]);
    let y = spelling.add("MatMul", &[&grouped, &values], &[]);
    let whole = shapes.of(spelling, &[Part::Q(0, 3), Part::Rest])?;
    let mut y = spelling.add("Reshape", &[&y, &whole], &[]);
    if heads[0] > 0 {
        y = spelling.add("Transpose", &[&y], &[("perm", Attribute::Ints(vec![0, 2, 1, 3]))]);
        let flat = spelling.longs(&[3], &[0, 0, -1])?;
        y = spelling.add("Reshape", &[&y, &flat], &[]);
    }
    let y = spelling.add("CastLike", &[&y, &given], &[]);
    spelling.result(0, &y);
    Some(())
}

/// Halves as floats, so that they are rounded once, at the end.
fn wide(spelling: &mut Spelling<'_>, x: String, given: &str) -> String {
    match spelling.element(given) {
        Some(Element::Fp16) => spelling.add("Cast", &[&x], &[("to", Attribute::Int(PRECISIONS[0]))]),
        _ => x,
    }
}

/// Heads on an axis of their own, before places, as they are where nobody says how many there are.
fn apart(spelling: &mut Spelling<'_>, x: String, heads: i64) -> Option<String> {
    if heads <= 0 {
        return Some(x);
    }
    // Fails where there are four axes already.
    let x = spelling.add("Transpose", &[&x], &[("perm", Attribute::Ints(vec![0, 1, 2]))]);
    let shape = spelling.longs(&[4], &[0, 0, heads, -1])?;
    let x = spelling.add("Reshape", &[&x, &shape], &[]);
    Some(spelling.add("Transpose", &[&x], &[("perm", Attribute::Ints(vec![0, 2, 1, 3]))]))
}

/// Keys or values after those of the past.
fn present(spelling: &mut Spelling<'_>, index: usize, past: usize, heads: i64) -> Option<String> {
    let x = spelling.input(index)?;
    let x = apart(spelling, x, heads)?;
    Some(match spelling.input(past) {
        Some(past) => spelling.add("Concat", &[&past, &x], &[("axis", Attribute::Int(2))]),
        None => x,
    })
}

/// The values that hold the shapes of queries and of all keys.
struct Shapes {
    q: String,
    k: String,
}

/// Extents from one to another, or one that follows from the others.
enum Part {
    Q(i64, i64),
    K(i64, i64),
    Rest,
}

impl Shapes {
    fn of(&self, spelling: &mut Spelling<'_>, parts: &[Part]) -> Option<String> {
        let mut names = Vec::new();
        for part in parts {
            names.push(match part {
                Part::Q(from, to) => spelling.slice(&self.q, *from, *to)?,
                Part::K(from, to) => spelling.slice(&self.k, *from, *to)?,
                Part::Rest => spelling.longs(&[1], &[-1])?,
            });
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        Some(spelling.add("Concat", &names, &[("axis", Attribute::Int(0))]))
    }
}

/// Queries by keys: both are multiplied by the root of the scale, so that halves do not overflow.
fn products(spelling: &mut Spelling<'_>, shapes: &Shapes, q: &str, k: &str) -> Option<String> {
    let root = match spelling.op.attribute("scale") {
        Some(Attribute::Float(scale)) => spelling.number(scale.sqrt(), q)?,
        _ => {
            let width = spelling.slice(&shapes.q, 3, 4)?;
            let width = spelling.add("Cast", &[&width], &[("to", Attribute::Int(INT64))]);
            let width = spelling.add("Cast", &[&width], &[("to", Attribute::Int(PRECISIONS[2]))]);
            let root = spelling.add("Sqrt", &[&width], &[]);
            let root = spelling.add("Sqrt", &[&root], &[]);
            let root = spelling.add("Reciprocal", &[&root], &[]);
            spelling.add("CastLike", &[&root, q], &[])
        }
    };
    let (q, k) = (spelling.add("Mul", &[q, &root], &[]), spelling.add("Mul", &[k, &root], &[]));
    let grouped = shapes.of(spelling, &[Part::Q(0, 1), Part::K(1, 2), Part::Rest, Part::Q(2, 4)])?;
    let q = spelling.add("Reshape", &[&q, &grouped], &[]);
    let axis = spelling.longs(&[1], &[2])?;
    let k = spelling.add("Unsqueeze", &[&k, &axis], &[]);
    let k = spelling.add("Transpose", &[&k], &[("perm", Attribute::Ints(vec![0, 1, 2, 4, 3]))]);
    let products = spelling.add("MatMul", &[&q, &k], &[]);
    let whole = shapes.of(spelling, &[Part::Q(0, 3), Part::K(2, 3)])?;
    Some(spelling.add("Reshape", &[&products, &whole], &[]))
}

fn capped(spelling: &mut Spelling<'_>, scores: &str) -> Option<String> {
    let cap = spelling.float("softcap", 0.0);
    if cap <= 0.0 {
        return Some(scores.to_owned());
    }
    let cap = spelling.number(cap, scores)?;
    let part = spelling.add("Div", &[scores, &cap], &[]);
    let part = spelling.add("Tanh", &[&part], &[]);
    Some(spelling.add("Mul", &[&part, &cap], &[]))
}

/// -∞ where a query sees no key, and what is added elsewhere.
fn masked(spelling: &mut Spelling<'_>, shapes: &Shapes, scores: &str) -> Option<String> {
    let nothing = spelling.number(f32::NEG_INFINITY, scores)?;
    let mut scores = scores.to_owned();
    if let Some(mask) = spelling.input(3) {
        let truths = spelling.element(&mask)? == Element::Bool;
        let beyond = if truths { spelling.truth(false)? } else { nothing.clone() };
        let mask = if truths { mask } else { spelling.add("CastLike", &[&mask, &scores], &[]) };
        let mask = longer(spelling, shapes, &mask, &beyond)?;
        scores = match truths {
            true => spelling.add("Where", &[&mask, &scores, &nothing], &[]),
            false => spelling.add("Add", &[&scores, &mask], &[]),
        };
    }
    Some(match seen(spelling, shapes)? {
        Some(seen) => spelling.add("Where", &[&seen, &scores, &nothing], &[]),
        None => scores,
    })
}

/// A mask may have fewer keys than there are: what is beyond is not seen.
fn longer(spelling: &mut Spelling<'_>, shapes: &Shapes, mask: &str, beyond: &str) -> Option<String> {
    let own = spelling.add("Shape", &[mask], &[]);
    let (outer, last) = (spelling.slice(&own, i64::MIN, -1)?, spelling.slice(&own, -1, i64::MAX)?);
    let keys = spelling.slice(&shapes.k, 2, 3)?;
    let rest = spelling.add("Sub", &[&keys, &last], &[]);
    let shape = spelling.add("Concat", &[&outer, &rest], &[("axis", Attribute::Int(0))]);
    let rest = spelling.add("Expand", &[beyond, &shape], &[]);
    Some(spelling.add("Concat", &[mask, &rest], &[("axis", Attribute::Int(-1))]))
}

/// Which keys a query may see by its place; `None` where that is all of them.
fn seen(spelling: &mut Spelling<'_>, shapes: &Shapes) -> Option<Option<String>> {
    let causal = spelling.int("is_causal", 0) == 1;
    let (left, right) = (spelling.int("left_window_size", -1), spelling.int("right_window_size", -1));
    let right = if causal { 0 } else { right };
    let lengths = spelling.input(6);
    if left < 0 && right < 0 && lengths.is_none() {
        return Some(None);
    }
    let keys = counted(spelling, &shapes.k)?;
    let column = spelling.longs(&[2], &[-1, 1])?;
    let queries = counted(spelling, &shapes.q)?;
    let queries = spelling.add("Reshape", &[&queries, &column], &[]);
    let past = match (&lengths, spelling.input(4)) {
        (Some(lengths), _) => {
            let shape = spelling.longs(&[4], &[-1, 1, 1, 1])?;
            let lengths = spelling.add("Reshape", &[lengths, &shape], &[]);
            let own = extent(spelling, &shapes.q)?;
            Some((spelling.add("Sub", &[&lengths, &own], &[]), Some(lengths)))
        }
        (None, Some(past)) => {
            let shape = spelling.add("Shape", &[&past], &[]);
            Some((extent(spelling, &shape)?, None))
        }
        (None, None) => None,
    };
    let at = match &past {
        Some((past, _)) => spelling.add("Add", &[&queries, past], &[]),
        None => queries,
    };
    let mut all: Option<String> = None;
    let mut and = |spelling: &mut Spelling<'_>, truth: String| {
        all = Some(match all.take() {
            Some(before) => spelling.add("And", &[&before, &truth], &[]),
            None => truth,
        });
    };
    if right >= 0 {
        let right = spelling.longs(&[1], &[right])?;
        let last = spelling.add("Add", &[&at, &right], &[]);
        let truth = spelling.add("LessOrEqual", &[&keys, &last], &[]);
        and(spelling, truth);
    }
    if left >= 0 {
        let left = spelling.longs(&[1], &[left])?;
        let first = spelling.add("Sub", &[&at, &left], &[]);
        let truth = spelling.add("GreaterOrEqual", &[&keys, &first], &[]);
        and(spelling, truth);
    }
    if let Some((_, Some(lengths))) = &past {
        let truth = spelling.add("Less", &[&keys, lengths], &[]);
        and(spelling, truth);
    }
    Some(all)
}

/// The places of a shape of four axes, as INT64.
fn extent(spelling: &mut Spelling<'_>, shape: &str) -> Option<String> {
    let places = spelling.slice(shape, 2, 3)?;
    Some(spelling.add("Cast", &[&places], &[("to", Attribute::Int(INT64))]))
}

/// 0, 1, 2 … for each place.
fn counted(spelling: &mut Spelling<'_>, shape: &str) -> Option<String> {
    let count = extent(spelling, shape)?;
    let ones = Tensor::from_slice(Element::I64, [1], &[1i64]).ok()?;
    let ones = spelling.add("ConstantOfShape", &[&count], &[("value", Attribute::Tensor(ones))]);
    let axis = spelling.longs(&[], &[0])?;
    Some(spelling.add("CumSum", &[&ones, &axis], &[("exclusive", Attribute::Int(1))]))
}

/// A softmax of each row; of one that sees nothing, zeros.
fn weights(spelling: &mut Spelling<'_>, scores: &str, q: &str, precision: Option<i64>) -> Option<String> {
    let scores = match precision {
        Some(precision) => spelling.add("Cast", &[scores], &[("to", Attribute::Int(precision))]),
        None => scores.to_owned(),
    };
    let last = spelling.longs(&[1], &[-1])?;
    let largest = spelling.add("ReduceMax", &[&scores, &last], &[("keepdims", Attribute::Int(1))]);
    let (nothing, zero) = (spelling.number(f32::NEG_INFINITY, &scores)?, spelling.number(0.0, &scores)?);
    let blind = spelling.add("Equal", &[&largest, &nothing], &[]);
    let weights = spelling.add("Softmax", &[&scores], &[("axis", Attribute::Int(-1))]);
    let weights = spelling.add("Where", &[&blind, &zero, &weights], &[]);
    Some(spelling.add("CastLike", &[&weights, q], &[]))
}
