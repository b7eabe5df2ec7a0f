//! Fragments one after the other, as one program.

use crate::{
    nouns::{Account, Fault, Plan, PlanError, Port, Signature, Tensor},
    ports::{Device, Program},
};
use async_trait::async_trait;
use std::{collections::HashMap, sync::Arc, time::Instant};

/// A cut model. What crosses a cut stays where the fragments compute.
pub struct Pipeline {
    signature: Signature,
    device: Device,
    stages: Vec<Stage>,
    /// Which value is which output.
    outputs: Vec<usize>,
    /// Values that exist: the inputs of the model, then what the stages yield.
    values: usize,
}

struct Stage {
    program: Arc<dyn Program>,
    /// Values, in the order of the program.
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// Values that nobody needs after this stage: they leave the memory before the next one computes.
    spent: Vec<usize>,
}

impl Pipeline {
    /// Joins loaded fragments as the plan says.
    pub fn new(plan: &Plan, programs: Vec<Arc<dyn Program>>, device: Device) -> Result<Self, PlanError> {
        if programs.len() != plan.fragments.len() {
            return Err(PlanError::Fragments(programs.len()));
        }
        let mut names: HashMap<&str, usize> = HashMap::new();
        for input in &plan.inputs {
            number(&mut names, input);
        }
        let mut stages = Vec::new();
        for (fragment, program) in plan.fragments.iter().zip(programs) {
            let values = || PlanError::Values(fragment.name.clone());
            let signature = program.signature();
            let same = same(&signature.inputs, &fragment.inputs) && same(&signature.outputs, &fragment.outputs);
            if !same {
                return Err(values());
            }
            let find = |port: &Port| names.get(port.name.as_str()).copied().ok_or_else(values);
            let inputs = signature.inputs.iter().map(find).collect::<Result<_, _>>()?;
            let named = |port: &Port| fragment.outputs.iter().find(|name| **name == port.name).ok_or_else(values);
            let yielded: Vec<_> = signature.outputs.iter().map(named).collect::<Result<_, _>>()?;
            let outputs = yielded.into_iter().map(|name| number(&mut names, name)).collect();
            stages.push(Stage { program, inputs, outputs, spent: Vec::new() });
        }
        let output = |name: &String| {
            let undefined = || PlanError::Undefined { value: name.clone(), user: "the outputs".into() };
            names.get(name.as_str()).copied().ok_or_else(undefined)
        };
        let outputs: Vec<usize> = plan.outputs.iter().map(output).collect::<Result<_, _>>()?;
        spend(&mut stages, &outputs, names.len());
        Ok(Self { signature: signature(plan, &stages), device, outputs, values: names.len(), stages })
    }
}

#[async_trait]
impl Program for Pipeline {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn for_account(self: Arc<Self>, account: &Account) -> Arc<dyn Program> {
        let stages = self.stages.iter().map(|stage| Stage {
            program: stage.program.clone().for_account(account),
            inputs: stage.inputs.clone(),
            outputs: stage.outputs.clone(),
            spent: stage.spent.clone(),
        });
        Arc::new(Self {
            signature: self.signature.clone(),
            device: self.device.clone(),
            stages: stages.collect(),
            outputs: self.outputs.clone(),
            values: self.values,
        })
    }

    fn held_bytes(&self) -> u64 {
        self.stages.iter().map(|stage| stage.program.held_bytes()).sum()
    }

    async fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> Result<Vec<Tensor>, Fault> {
        self.signature.fits(&inputs)?;
        let mut values: Vec<Option<Tensor>> = inputs.into_iter().map(Some).collect();
        values.resize(self.values, None);
        for stage in &self.stages {
            let given = stage.inputs.iter().map(|&value| taken(&values, value)).collect::<Result<_, _>>()?;
            let yielded = stage.program.run(given, deadline).await?;
            for (&value, tensor) in stage.outputs.iter().zip(yielded) {
                values[value] = Some(tensor);
            }
            stage.spent.iter().for_each(|&value| values[value] = None);
        }
        self.outputs.iter().map(|&value| taken(&values, value)).collect()
    }
}

/// The number of a value, a new one where it has none. The plan was held to names that are unique.
fn number<'a>(names: &mut HashMap<&'a str, usize>, name: &'a str) -> usize {
    let next = names.len();
    *names.entry(name).or_insert(next)
}

fn same(ports: &[Port], names: &[String]) -> bool {
    ports.len() == names.len() && ports.iter().all(|port| names.contains(&port.name))
}

fn taken(values: &[Option<Tensor>], value: usize) -> Result<Tensor, Fault> {
    let missing = || Fault::Invalid("a fragment yields fewer values than it says".into());
    values.get(value).cloned().flatten().ok_or_else(missing)
}

/// Tells each stage which values it is the last to use.
fn spend(stages: &mut [Stage], outputs: &[usize], values: usize) {
    let mut needed = vec![false; values];
    outputs.iter().for_each(|&value| needed[value] = true);
    for stage in stages.iter_mut().rev() {
        for &value in stage.inputs.iter().chain(&stage.outputs) {
            if !std::mem::replace(&mut needed[value], true) {
                stage.spent.push(value);
            }
        }
    }
}

/// The ports of the whole model, as its fragments have them. An input that no fragment reads takes anything.
fn signature(plan: &Plan, stages: &[Stage]) -> Signature {
    let inputs = |stage: &Stage| stage.program.signature().inputs.clone();
    let outputs = |stage: &Stage| stage.program.signature().outputs.clone();
    let taken: Vec<Port> = stages.iter().flat_map(inputs).collect();
    let yielded: Vec<Port> = stages.iter().flat_map(outputs).collect();
    let port = |name: &String| {
        let any = || Port { name: name.clone(), element: None, shape: None, optional: false };
        taken.iter().chain(&yielded).find(|port| port.name == *name).cloned().unwrap_or_else(any)
    };
    Signature { inputs: plan.inputs.iter().map(port).collect(), outputs: plan.outputs.iter().map(port).collect() }
}
