//! Attention that a graph bends: its scores before they become weights, or the weights.

use super::{
    super::{
        planner::{Halt, Node, Placed, Planner, Value},
        task::Task,
    },
    body::Body,
    control::{graph, prefix},
    pointwise::{Link, chain, code, widened},
};
use burst_host::nouns::{Attribute, Element, Op, Tensor};

/// ONNX's numbers for FP32 and FP64.
const SINGLE: i64 = 1;
const DOUBLE: i64 = 11;

/// Scores, the one graph, a softmax, the other graph, and a product with the values; without a graph, attention.
pub fn flex(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Task>, Halt> {
    let wide = if node.spec(0)?.element == Element::Fp64 { DOUBLE } else { SINGLE };
    let precision = node.int("softmax_precision", wide);
    if wide.max(precision) == DOUBLE && !planner.target.doubles {
        return Err(node.lacks("FP64, which its driver lacks"));
    }
    let output = node.op.outputs.first().cloned().unwrap_or_default();
    let bare = ["score_mod", "prob_mod"].iter().all(|name| node.op.attribute(name).is_none());
    if bare && precision != DOUBLE {
        let scale = node.op.attribute("scale").map(|scale| ("scale".to_owned(), scale.clone()));
        let y = planner.apply("Attention", scale.into_iter().collect(), node.inputs.clone())?;
        planner.bind(&output, y);
        return Ok(Vec::new());
    }
    let name = |part: &str| format!("{}{part}", prefix(node.op, "flex"));
    let (scores, values, whole) = scores(planner, node)?;
    let scores = planner.apply("Cast", vec![("to".into(), Attribute::Int(precision))], vec![scores])?;
    planner.bind(&name("scores"), scores);
    planner.bind(&name("values"), values);
    for (name, extents) in [(name("groups"), &whole[..5]), (name("heads"), &whole[5..])] {
        let extents: Vec<i64> = extents.iter().map(|&extent| extent as i64).collect();
        let tensor = Tensor::from_slice(Element::I64, [extents.len()], &extents);
        planner.known(&name, tensor.map_err(|error| node.invalid(&error.to_string()))?);
    }
    let op = |kind: &str, inputs: Vec<String>, output: String, attributes: Vec<(String, Attribute)>| {
        Task::Op(Op { kind: kind.into(), inputs, attributes, ..Op::identity(String::new(), output) })
    };
    let mut tasks = Vec::new();
    let scores = bent(planner, node, "score_mod", name("scores"), &mut tasks)?;
    tasks.push(op("Softmax", vec![scores], name("weights"), vec![("axis".into(), Attribute::Int(-1))]));
    let weights = bent(planner, node, "prob_mod", name("weights"), &mut tasks)?;
    let wide = vec![("to".into(), Attribute::Int(wide))];
    tasks.push(op("Cast", vec![weights], name("wide"), wide));
    tasks.push(op("Reshape", vec![name("wide"), name("groups")], name("grouped"), Vec::new()));
    tasks.push(op("MatMul", vec![name("grouped"), name("values")], name("product"), Vec::new()));
    tasks.push(op("Reshape", vec![name("product"), name("heads")], name("result"), Vec::new()));
    let like = node.op.inputs.first().cloned().unwrap_or_default();
    tasks.push(op("CastLike", vec![name("result"), like], output, Vec::new()));
    Ok(tasks)
}

/// A graph on one value, if there is one: the name of what comes out.
fn bent(
    planner: &mut Planner,
    node: &Node<'_>,
    attribute: &str,
    value: String,
    tasks: &mut Vec<Task>,
) -> Result<String, Halt> {
    if node.op.attribute(attribute).is_none() {
        return Ok(value);
    }
    let graph = graph(node, attribute)?;
    let ([input], [output]) = (graph.inputs.as_slice(), graph.outputs.as_slice()) else {
        return Err(node.invalid(&format!("{attribute} takes one tensor and gives one")));
    };
    let mut body = Body::new(prefix(node.op, attribute), graph);
    body.bind(&input.name, &value);
    tasks.extend(body.tasks(planner, graph));
    Ok(body.name(&output.name))
}

/// Scaled products of queries and keys; the values, ready for heads that share them; the extents of grouped weights
/// (five) and of the result (four).
fn scores(planner: &mut Planner, node: &Node<'_>) -> Result<(Value, Value, Vec<usize>), Halt> {
    let doubles = node.spec(0)?.element == Element::Fp64;
    let mut given = |index| match doubles {
        true => planner.place(node.input(index)),
        false => widened(planner, node, node.input(index)),
    };
    let (query, key, value) = (given(0)?, given(1)?, given(2)?);
    let (&[batches, heads, queries, width], &[_, shared, keys, _], &[_, _, _, columns]) =
        (query.extents(), key.extents(), value.extents())
    else {
        return Err(node.invalid("it takes four axes"));
    };
    let fits = key.extents() == [batches, shared, keys, width] && value.extents() == [batches, shared, keys, columns];
    if !fits || shared == 0 || heads % shared != 0 {
        return Err(node.invalid("queries, keys and values do not fit"));
    }
    let groups = heads / shared;
    let query = scaled(planner, node, &query, width)?;
    let query = query.reshaped(node.shape(vec![batches, shared, groups, queries, width])?);
    let key = key.reshaped(node.shape(vec![batches, shared, 1, keys, width])?);
    let order = vec![("perm".into(), Attribute::Ints(vec![0, 1, 2, 4, 3]))];
    let turned = planner.apply("Transpose", order, vec![key.into()])?;
    let scores = planner.apply("MatMul", Vec::new(), vec![query.into(), turned])?;
    let scores = planner.place(&scores)?.reshaped(node.shape(vec![batches, heads, queries, keys])?);
    let values = value.reshaped(node.shape(vec![batches, shared, 1, keys, columns])?);
    let grouped = [batches, shared, groups, queries, keys, batches, heads, queries, columns];
    Ok((scores.into(), values.into(), grouped.to_vec()))
}

/// Queries times the scale, which follows from the width of a head where nobody says.
fn scaled(planner: &mut Planner, node: &Node<'_>, query: &Placed, width: usize) -> Result<Placed, Halt> {
    if query.spec.element != Element::Fp64 {
        let scale = Link::number(code::MULTIPLY, node.float("scale", 1.0 / (width as f32).sqrt()));
        return chain(planner, node, query, &[scale], Element::Fp32);
    }
    let given = node.op.attribute("scale").map(|_| f64::from(node.float("scale", 1.0)));
    let scale = Tensor::from_slice(Element::Fp64, [], &[given.unwrap_or(1.0 / (width as f64).sqrt())]);
    let scale = Value::Known(scale.map_err(|error| node.invalid(&error.to_string()))?);
    let scaled = planner.apply("Mul", Vec::new(), vec![query.clone().into(), scale])?;
    planner.place(&scaled)
}
