//! Runs the graph that `burst compile` put into this component. The host grants it under the name `graph`.

use burst_guest::{Graph, Inputs, Outputs, responder};

responder!(respond);

fn respond(inputs: Inputs) -> Result<Outputs, String> {
    let inputs: Vec<_> = inputs.iter().collect();
    Ok(Graph::open("graph")?.run(&inputs)?)
}
