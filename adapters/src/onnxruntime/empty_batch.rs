//! Recurrent operators of an empty batch, at which ONNX Runtime ends the whole process: the shape of their input is
//! divided by the batch first, which fails as a run does.

use burst_host::nouns::{Attribute, Element, Graph, Op, Tensor};

/// By domain and name.
const RECURRENT: [(&str, &str); 4] = [("", "GRU"), ("", "LSTM"), ("", "RNN"), ("com.microsoft", "DynamicQuantizeLSTM")];

/// What the name of the division begins with, to be found in the message of a run that failed.
pub(super) const NAME: &str = "an empty batch for";

/// Guards every recurrent operator of the graph and of its subgraphs.
pub(super) fn guard(graph: &mut Graph) {
    for mut op in std::mem::take(&mut graph.ops) {
        op.graphs_mut().for_each(guard);
        if RECURRENT.contains(&(op.domain.as_str(), op.kind.as_str())) {
            graph.ops.extend(checks(&mut op));
        }
        graph.ops.push(op);
    }
}

/// Operators that give the first input as it is, or fail where its second extent is 0. Reshaping copies nothing.
fn checks(op: &mut Op) -> Vec<Op> {
    let result = op.outputs.iter().find(|name| !name.is_empty());
    let (Some(result), Some(input)) = (result, op.inputs.first_mut()) else { return Vec::new() };
    let Ok(axis) = Tensor::from_slice(Element::I64, [1], &[1i64]) else { return Vec::new() };
    let name = |part: &str| format!("{result}@{part}");
    let [shape, index, batch, one, same, checked] = ["shape", "index", "batch", "one", "same", "checked"].map(name);
    let add = |kind: &str, inputs: &[&str], output: &str| Op {
        kind: kind.into(),
        inputs: inputs.iter().map(|&input| input.into()).collect(),
        ..Op::identity(String::new(), output.into())
    };
    let constant = Op { attributes: vec![("value".into(), Attribute::Tensor(axis))], ..add("Constant", &[], &index) };
    // ONNX Runtime wants no name twice.
    let division = Op { name: format!("{NAME} {} `{result}`", op.kind), ..add("Div", &[&batch, &batch], &one) };
    let checks = vec![
        add("Shape", &[input], &shape),
        constant,
        add("Gather", &[&shape, &index], &batch),
        division,
        add("Mul", &[&shape, &one], &same),
        add("Reshape", &[input, &same], &checked),
    ];
    *input = checked;
    checks
}
