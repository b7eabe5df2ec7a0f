//! Runs the graph `slow` on its input `x` for ever: almost all of its time passes inside the host.

use burst_guest::{Graph, Inputs, Outputs, responder};

responder!(respond);

fn respond(inputs: Inputs) -> Result<Outputs, String> {
    let (slow, x) = (Graph::open("slow")?, inputs.get("x")?);
    loop {
        slow.run(&[("x", x)])?;
    }
}
