//! An LSTM whose weights are small whole numbers; what they are multiplied with is made such anew at each step.

use super::{
    super::build::{Builder, Outcome},
    products::integer,
};
use burst_host::nouns::{Attribute, Element, Graph, Op, Port};

/// Weights of one direction: four gates beside each other.
struct Weights {
    numbers: String,
    scale: String,
    zero: String,
}

pub fn lstm(builder: &mut Builder<'_>) -> Outcome {
    builder.without(&[(4, "`sequence_lens`")])?;
    if let Some(name) =
        ["clip", "activation_alpha", "activation_beta"].iter().find(|name| builder.op.attribute(name).is_some())
    {
        return Err(format!("`{name}`"));
    }
    builder.only("input_forget", 0)?;
    usual(builder)?;
    let hidden = builder.int("hidden_size", 0);
    let backwards: &[bool] = match builder.text("direction", "forward").as_str() {
        "forward" => &[false],
        "reverse" => &[true],
        "bidirectional" => &[false, true],
        other => return Err(format!("`direction` {other}")),
    };
    let x = builder.needed(0)?;
    let parts = builder.add_many("DynamicQuantizeLinear", &[&x], &[], 3);
    let mut results: [Vec<String>; 3] = Default::default();
    for (at, &backwards) in backwards.iter().enumerate() {
        let given = from_inputs(builder, &parts, at as i64, hidden)?;
        let states = [state(builder, &x, 5, at as i64, hidden)?, state(builder, &x, 6, at as i64, hidden)?];
        let [h, c, all] = direction(builder, &given, &states, at as i64, hidden, backwards)?;
        results[0].push(builder.unsqueeze(&all, &[1])?);
        results[1].push(builder.unsqueeze(&h, &[0])?);
        results[2].push(builder.unsqueeze(&c, &[0])?);
    }
    for (index, parts) in results.iter().enumerate() {
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let whole = match parts.as_slice() {
            [one] => (*one).to_owned(),
            several => builder.concat(several, i64::from(index == 0)),
        };
        builder.result(index, &whole);
    }
    Ok(true)
}

/// Fails for other activations than those that are the default.
fn usual(builder: &Builder<'_>) -> Result<(), String> {
    let Some(Attribute::Texts(names)) = builder.op.attribute("activations") else { return Ok(()) };
    let usual = ["sigmoid", "tanh", "tanh"].iter().cycle();
    let same = names.iter().zip(usual).all(|(name, usual)| name.eq_ignore_ascii_case(usual.as_bytes()));
    if same { Ok(()) } else { Err("other `activations`".into()) }
}

/// What inputs at `from`, `scale` and `zero` say of one direction.
fn weights(builder: &mut Builder<'_>, [from, scale, zero]: [usize; 3], at: i64) -> Result<Weights, String> {
    let at = builder.long(at)?;
    let names = [builder.needed(from)?, builder.needed(scale)?, builder.needed(zero)?];
    let [numbers, scale, zero] = names.map(|name| builder.gather(&name, &at, 0));
    Ok(Weights { numbers, scale, zero })
}

/// A product with weights, as floats.
fn product(builder: &mut Builder<'_>, [x, scale, zero]: [&str; 3], weights: &Weights) -> String {
    let y = integer(builder, [x, &weights.numbers], [Some(zero.to_owned()), Some(weights.zero.clone())]);
    let y = builder.cast(&y, Element::Fp32);
    let scale = builder.add("Mul", &[scale, &weights.scale], &[]);
    builder.add("Mul", &[&y, &scale], &[])
}

/// What the inputs of all steps come to, biased.
fn from_inputs(builder: &mut Builder<'_>, parts: &[String], at: i64, hidden: i64) -> Result<String, String> {
    let [x, scale, zero] = parts else { return Err("no inputs".into()) };
    let weights = weights(builder, [1, 8, 9], at)?;
    let y = product(builder, [x, scale, zero], &weights);
    let Some(bias) = builder.input(3) else { return Ok(y) };
    let at = builder.long(at)?;
    let bias = builder.gather(&bias, &at, 0);
    let (a, b) = (builder.slice(&bias, 0, 0, 4 * hidden)?, builder.slice(&bias, 0, 4 * hidden, 8 * hidden)?);
    let bias = builder.add("Add", &[&a, &b], &[]);
    Ok(builder.add("Add", &[&y, &bias], &[]))
}

/// The first state, zeros where none is given.
fn state(builder: &mut Builder<'_>, x: &str, index: usize, at: i64, hidden: i64) -> Result<String, String> {
    match builder.input(index) {
        Some(states) => {
            let at = builder.long(at)?;
            Ok(builder.gather(&states, &at, 0))
        }
        None => {
            let (batch, hidden) = (builder.extent(x, 1)?, builder.longs(&[hidden])?);
            let shape = builder.concat(&[&batch, &hidden], 0);
            Ok(builder.add("ConstantOfShape", &[&shape], &[]))
        }
    }
}

/// The last states of one direction, and what all its steps gave.
fn direction(
    builder: &mut Builder<'_>,
    given: &str,
    states: &[String; 2],
    at: i64,
    hidden: i64,
    backwards: bool,
) -> Result<[String; 3], String> {
    let weights = weights(builder, [2, 10, 11], at)?;
    let peepholes = match builder.input(7) {
        Some(all) => {
            let at = builder.long(at)?;
            let all = builder.gather(&all, &at, 0);
            let part = |builder: &mut Builder<'_>, at: i64| builder.slice(&all, 0, at * hidden, (at + 1) * hidden);
            Some([part(builder, 0)?, part(builder, 1)?, part(builder, 2)?])
        }
        None => None,
    };
    let own = builder.ops.len();
    let formal = [builder.add("Identity", &[&states[0]], &[]), builder.add("Identity", &[&states[1]], &[])];
    let [h, c] = step(builder, &formal, given, &weights, peepholes.as_ref(), hidden)?;
    let again = builder.add("Identity", &[&h], &[]);
    let body = builder.ops.split_off(own);
    let body = rounds(body, &formal, given, [h, c, again]);
    let directions = Attribute::Ints(vec![i64::from(backwards)]);
    let attributes = [
        ("body", Attribute::Graph(Box::new(body))),
        ("num_scan_inputs", Attribute::Int(1)),
        ("scan_input_directions", directions.clone()),
        ("scan_output_directions", directions),
    ];
    let results = builder.add_many("Scan", &[&states[0], &states[1], given], &attributes, 3);
    results.try_into().map_err(|_| "no results".to_owned())
}

/// The operators of one step, as the body of a loop over what the inputs came to.
fn rounds(ops: Vec<Op>, formal: &[String; 2], given: &str, results: [String; 3]) -> Graph {
    let row = format!("{}~row", formal[0]);
    let port = |name: &str| Port { name: name.to_owned(), element: Some(Element::Fp32), shape: None, optional: false };
    let mut ops: Vec<Op> = ops.into_iter().skip(2).collect();
    for op in &mut ops {
        op.inputs.iter_mut().filter(|name| *name == given).for_each(|name| name.clone_from(&row));
    }
    Graph {
        name: "step".into(),
        inputs: vec![port(&formal[0]), port(&formal[1]), port(&row)],
        outputs: results.iter().map(|name| port(name)).collect(),
        ops,
        ..Graph::default()
    }
}

/// Gates: input, output, forget, cell.
fn step(
    builder: &mut Builder<'_>,
    [h, c]: &[String; 2],
    given: &str,
    weights: &Weights,
    peepholes: Option<&[String; 3]>,
    hidden: i64,
) -> Result<[String; 2], String> {
    let parts = builder.add_many("DynamicQuantizeLinear", &[h], &[], 3);
    let [numbers, scale, zero] = parts.as_slice() else { return Err("no state".into()) };
    let old = product(builder, [numbers, scale, zero], weights);
    let all = builder.add("Add", &[given, &old], &[]);
    let gate = |builder: &mut Builder<'_>, at: i64| builder.slice(&all, 1, at * hidden, (at + 1) * hidden);
    let (i, o, f, new) = (gate(builder, 0)?, gate(builder, 1)?, gate(builder, 2)?, gate(builder, 3)?);
    let open = |builder: &mut Builder<'_>, gate: &str, peephole: usize, cell: &str| {
        let mut gate = gate.to_owned();
        if let Some(peepholes) = peepholes {
            let part = builder.add("Mul", &[cell, &peepholes[peephole]], &[]);
            gate = builder.add("Add", &[&gate, &part], &[]);
        }
        builder.add("Sigmoid", &[&gate], &[])
    };
    let (i, f) = (open(builder, &i, 0, c), open(builder, &f, 2, c));
    let new = builder.add("Tanh", &[&new], &[]);
    let (kept, added) = (builder.add("Mul", &[&f, c], &[]), builder.add("Mul", &[&i, &new], &[]));
    let cell = builder.add("Add", &[&kept, &added], &[]);
    let o = open(builder, &o, 1, &cell);
    let shown = builder.add("Tanh", &[&cell], &[]);
    Ok([builder.add("Mul", &[&o, &shown], &[]), cell])
}
