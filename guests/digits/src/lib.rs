//! Reads handwritten digits: `image` FP32 `[N, 1, 8, 8]`, ink from 0 to 16, to `probabilities` FP32 `[N, 10]`.

use burst_guest::{Graph, Inputs, Outputs, responder};

responder!(respond, prepare);

/// A manifest without the model is refused at deploy.
fn prepare() -> Result<(), String> {
    Ok(Graph::open("digits").map(drop)?)
}

fn respond(inputs: Inputs) -> Result<Outputs, String> {
    Ok(Graph::open("digits")?.run(&[("image", inputs.get("image")?)])?)
}
