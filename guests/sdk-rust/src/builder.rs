//! Graphs out of ONNX operators, without a model file.

use crate::{Attribute, Element, Fault, Graph, Operand, Port, Tensor, bindings::imports::burst::edge::graphs};

/// Builds a graph out of ONNX operators of opset 17.
///
/// ```no_run
/// # fn build() -> Result<(), burst_guest::Fault> {
/// use burst_guest::{Attribute, Builder, Element};
///
/// let builder = Builder::new();
/// let x = builder.input("x", Element::Fp32, [None, Some(10)])?;
/// let [y] = builder.apply("Softmax", &[x], &[("axis", Attribute::Integer(-1))])?;
/// let softmax = builder.finish(&[("y", y)])?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Builder(graphs::Builder);

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self(graphs::Builder::new())
    }

    /// Declares an input. `None` extents are fixed by the tensor given to [`Graph::run`].
    pub fn input(&self, name: &str, element: Element, shape: impl Into<Vec<Option<u32>>>) -> Result<Operand, Fault> {
        self.0.input(&Port { name: name.into(), element, shape: shape.into() })
    }

    /// Adds a constant. The builder keeps its own share of the tensor.
    pub fn constant(&self, value: &Tensor) -> Result<Operand, Fault> {
        self.0.constant(value)
    }

    /// Applies an ONNX operator and returns its first `OUTPUTS` outputs. An input is an operand, or an `Option` of one
    /// where the operator allows to leave it out.
    ///
    /// Fails with `invalid` for an operand of another builder.
    pub fn apply<const OUTPUTS: usize>(
        &self,
        op: &str,
        inputs: &[impl Into<Option<Operand>> + Copy],
        attributes: &[(&str, Attribute)],
    ) -> Result<[Operand; OUTPUTS], Fault> {
        let inputs: Vec<_> = inputs.iter().map(|&input| input.into()).collect();
        let outputs = self.0.apply(op, &inputs, attributes, OUTPUTS as u32)?;
        let found = outputs.len();
        outputs.try_into().map_err(|_| Fault::Invalid(format!("{op} has {found} outputs, {OUTPUTS} were asked for")))
    }

    /// Compiles the graph for the device, with these outputs.
    ///
    /// Fails with `unsupported` and the operator's name where the device lacks it.
    pub fn finish(self, outputs: &[(&str, Operand)]) -> Result<Graph, Fault> {
        Graph::finish(&self.0, outputs)
    }
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}
