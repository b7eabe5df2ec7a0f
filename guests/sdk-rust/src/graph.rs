//! Models that the manifest grants.

use crate::{
    Fault, Outputs, Port, Tensor,
    bindings::imports::burst::edge::graphs::{self, Operand},
};

/// A loaded model. Its weights are in memory once, whatever the number of guests and handles.
#[derive(Debug)]
pub struct Graph(graphs::Graph);

impl Graph {
    /// The model that the manifest lists under this name for this guest. Never waits. Fails with `not-found`.
    pub fn open(name: &str) -> Result<Self, Fault> {
        graphs::Graph::open(name).map(Self)
    }

    /// Computes every output from named inputs, each input of the model exactly once, in any order.
    ///
    /// In a sequence of requests, states (inputs `past…` that come back as outputs `present…`) may all be left out: the
    /// run goes on from where the sequence is, and yields the other outputs.
    ///
    /// Outputs stay on the device until they are downloaded. Fails with `invalid` for a missing, unknown or misshapen
    /// input.
    pub fn run(&self, inputs: &[(&str, &Tensor)]) -> Result<Outputs, Fault> {
        self.0.run(inputs).map(Outputs::from)
    }

    /// Inputs in the order of the model.
    pub fn inputs(&self) -> Vec<Port> {
        self.0.inputs()
    }

    /// Outputs in the order of the model.
    pub fn outputs(&self) -> Vec<Port> {
        self.0.outputs()
    }

    pub(crate) fn finish(builder: &graphs::Builder, outputs: &[(&str, Operand)]) -> Result<Self, Fault> {
        builder.finish(outputs).map(Self)
    }
}
