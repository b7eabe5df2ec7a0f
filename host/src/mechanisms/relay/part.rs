//! A stage that is loaded: values in, values out.

use super::wire::Values;
use crate::{
    nouns::{Fault, Plan},
    ports::{Accelerator, Program},
};
use std::{collections::HashSet, sync::Arc, time::Instant};

/// A stage that is loaded.
pub struct Part {
    pub program: Arc<dyn Program>,
    pub accelerator: Arc<dyn Accelerator>,
    /// What the stages after it take, and outputs of the model.
    pub needed: HashSet<String>,
}

impl Part {
    /// The states of a model that are in this part: inputs, and the outputs that they come back as.
    pub fn states(&self, plan: &Plan) -> Result<Vec<(String, String)>, Fault> {
        let signature = self.program.signature();
        let takes = |name: &str| signature.inputs.iter().any(|port| port.name == name);
        let yields = |name: &str| signature.outputs.iter().any(|port| port.name == name);
        let mine = plan.states().filter(|(input, output)| takes(input) || yields(output));
        mine.map(|(input, output)| {
            let whole = takes(input) && yields(output);
            let cut = || Fault::Unsupported(format!("a session: `{input}` and `{output}` are in two fragments"));
            if whole { Ok((input.to_owned(), output.to_owned())) } else { Err(cut()) }
        })
        .collect()
    }

    /// Picks what the program takes, and brings what it yields back to host memory; but for the states, which come back
    /// as the inputs that they are in the next step.
    pub async fn run(
        &self,
        values: &Values,
        states: &[(String, String)],
        deadline: Instant,
    ) -> Result<(Values, Values), Fault> {
        let mut inputs = Vec::new();
        for port in &self.program.signature().inputs {
            let value = values.iter().find(|(name, _)| *name == port.name);
            let (_, tensor) = value.ok_or_else(|| Fault::Invalid(format!("`{}` is missing", port.name)))?;
            inputs.push(self.accelerator.upload(tensor.clone()).await?);
        }
        let outputs = self.program.run(inputs, deadline).await?;
        let (mut made, mut kept) = (Values::new(), Values::new());
        for (port, output) in self.program.signature().outputs.iter().zip(outputs) {
            match states.iter().find(|(_, state)| *state == port.name) {
                Some((input, _)) => kept.push((input.clone(), output)),
                None => made.push((port.name.clone(), self.accelerator.download(&output).await?)),
            }
        }
        Ok((made, kept))
    }
}
