//! Fragments one after the other, as one program.

use super::{
    mixed::{Mix, Values},
    paging::{Loaded, Rest},
};
use crate::{
    nouns::{Account, Fault, Plan, PlanError, Port, Signature, Tensor},
    ports::{Device, Part, Program},
};
use futures::future::BoxFuture;
use std::{collections::HashMap, sync::Arc, time::Instant};
use tokio::time::timeout_at;

/// A cut model. What crosses a cut stays where the fragments compute; between two accelerators it is moved.
pub struct Pipeline {
    signature: Signature,
    device: Device,
    /// Of the fragments that are in memory: all of them, or the first.
    programs: Vec<Arc<dyn Program>>,
    /// The others.
    rest: Option<Arc<Rest>>,
    /// Where the fragments are computed, if not all on one accelerator.
    mix: Option<Mix>,
    /// Who has what the rest yields; the programs know it of their own.
    account: Option<Account>,
    stages: Arc<[Stage]>,
    /// Which value is which output.
    outputs: Vec<usize>,
    /// Values that exist: the inputs of the model, then what the stages yield.
    values: usize,
}

struct Stage {
    /// The fragment's.
    name: String,
    signature: Signature,
    /// Values, in the order of the program.
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// Values that nobody needs after this stage: they leave the memory before the next one computes.
    spent: Vec<usize>,
}

impl Pipeline {
    /// Joins loaded fragments as the plan says.
    pub fn new(plan: &Plan, programs: Vec<Arc<dyn Program>>, device: Device) -> Result<Self, PlanError> {
        let signatures = programs.iter().map(|program| program.signature().clone()).collect();
        Self::paged(plan, signatures, programs, None, device)
    }

    /// The same where only the first fragments are loaded and the rest is read for each run.
    pub fn paged(
        plan: &Plan,
        signatures: Vec<Signature>,
        programs: Vec<Arc<dyn Program>>,
        rest: Option<Rest>,
        device: Device,
    ) -> Result<Self, PlanError> {
        if signatures.len() != plan.fragments.len() {
            return Err(PlanError::Fragments(signatures.len()));
        }
        let mut names: HashMap<&str, usize> = HashMap::new();
        for input in &plan.inputs {
            number(&mut names, input);
        }
        let mut stages = Vec::new();
        for (fragment, signature) in plan.fragments.iter().zip(signatures) {
            let values = || PlanError::Values(fragment.name.clone());
            let same = same(&signature.inputs, &fragment.inputs) && same(&signature.outputs, &fragment.outputs);
            if !same {
                return Err(values());
            }
            let find = |port: &Port| names.get(port.name.as_str()).copied().ok_or_else(values);
            let inputs = signature.inputs.iter().map(find).collect::<Result<_, _>>()?;
            let named = |port: &Port| fragment.outputs.iter().find(|name| **name == port.name).ok_or_else(values);
            let yielded: Vec<_> = signature.outputs.iter().map(named).collect::<Result<_, _>>()?;
            let outputs = yielded.into_iter().map(|name| number(&mut names, name)).collect();
            stages.push(Stage { name: fragment.name.clone(), signature, inputs, outputs, spent: Vec::new() });
        }
        let output = |name: &String| {
            let undefined = || PlanError::Undefined { value: name.clone(), user: "the outputs".into() };
            names.get(name.as_str()).copied().ok_or_else(undefined)
        };
        let outputs: Vec<usize> = plan.outputs.iter().map(output).collect::<Result<_, _>>()?;
        spend(&mut stages, &outputs, names.len());
        let signatures: Vec<_> = stages.iter().map(|stage| stage.signature.clone()).collect();
        let (signature, values) = (Self::signature(plan, &signatures), names.len());
        let (rest, stages) = (rest.map(Arc::new), stages.into());
        Ok(Self { signature, device, programs, rest, mix: None, account: None, stages, outputs, values })
    }

    /// The same with fragments on several accelerators. Outputs that the first one did not yield are in host memory.
    pub fn over(self, mix: Mix) -> Self {
        let devices: Vec<_> = self.programs.iter().map(|program| program.device().clone()).collect();
        Self { device: Device::joined(&devices).unwrap_or(self.device), mix: Some(mix), ..self }
    }

    /// The ports of a whole model, as its fragments have them. An input that no fragment reads takes anything.
    pub fn signature(plan: &Plan, fragments: &[Signature]) -> Signature {
        let port = |name: &String| {
            let any = || Port { name: name.clone(), element: None, shape: None, optional: false };
            let taken = fragments.iter().flat_map(|fragment| &fragment.inputs);
            let yielded = fragments.iter().flat_map(|fragment| &fragment.outputs);
            taken.chain(yielded).find(|port| port.name == *name).cloned().unwrap_or_else(any)
        };
        Signature { inputs: plan.inputs.iter().map(port).collect(), outputs: plan.outputs.iter().map(port).collect() }
    }
}

impl Program for Pipeline {
    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn device(&self) -> &Device {
        &self.device
    }

    fn for_account(self: Arc<Self>, account: &Account) -> Arc<dyn Program> {
        let programs = self.programs.iter().map(|program| program.clone().for_account(account));
        Arc::new(Self {
            signature: self.signature.clone(),
            device: self.device.clone(),
            programs: programs.collect(),
            rest: self.rest.clone(),
            mix: self.mix.as_ref().map(|mix| mix.for_account(account)),
            account: Some(account.clone()),
            stages: self.stages.clone(),
            outputs: self.outputs.clone(),
            values: self.values,
        })
    }

    fn held_bytes(&self) -> u64 {
        self.programs.iter().map(|program| program.held_bytes()).sum()
    }

    fn parts(&self) -> &[Part] {
        self.mix.as_ref().map_or(&[], Mix::parts)
    }

    fn run(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<Vec<Tensor>, Fault>> {
        Box::pin(async move { Ok(self.run_told(inputs, deadline).await?.0) })
    }

    fn run_told(&self, inputs: Vec<Tensor>, deadline: Instant) -> BoxFuture<'_, Result<(Vec<Tensor>, Device), Fault>> {
        Box::pin(async move {
            self.signature.fits(&inputs)?;
            let mut values = Values::new(self.mix.as_ref(), inputs, self.values);
            let mut devices = Vec::new();
            // It reads while the first ones compute.
            let mut belt = match &self.rest {
                Some(rest) => Some(rest.begin(deadline).await?),
                None => None,
            };
            for (index, stage) in self.stages.iter().enumerate() {
                let accelerator = self.mix.as_ref().map_or(0, |mix| mix.chosen(index));
                let mut given = Vec::with_capacity(stage.inputs.len());
                for &value in &stage.inputs {
                    let moved = in_time(deadline, values.on(value, accelerator)).await;
                    given.push(moved.map_err(|fault| self.about(value, fault))?);
                }
                let computed = match (self.programs.get(index), &mut belt) {
                    (Some(program), _) => program.run_told(given, deadline).await,
                    (None, Some(belt)) => match belt.next(deadline).await {
                        Ok(loaded) => self.pass(loaded, given, deadline).await,
                        Err(fault) => Err(fault),
                    },
                    (None, None) => return Err(Fault::Invalid("a fragment of the model is missing".into())),
                };
                let (yielded, device) = computed.map_err(|fault| stage.named(fault))?;
                if !devices.contains(&device) {
                    devices.push(device);
                }
                for (&value, tensor) in stage.outputs.iter().zip(yielded) {
                    values.put(value, tensor, accelerator);
                }
                stage.spent.iter().for_each(|&value| values.drop(value));
            }
            let mut outputs = Vec::with_capacity(self.outputs.len());
            for &value in &self.outputs {
                let moved = in_time(deadline, values.given_back(value)).await;
                outputs.push(moved.map_err(|fault| self.about(value, fault))?);
            }
            Ok((outputs, Device::joined(&devices).unwrap_or_else(|| self.device.clone())))
        })
    }
}

impl Pipeline {
    /// Runs a fragment that is gone afterwards.
    async fn pass(
        &self,
        loaded: Loaded,
        inputs: Vec<Tensor>,
        deadline: Instant,
    ) -> Result<(Vec<Tensor>, Device), Fault> {
        let program = match &self.account {
            Some(account) => loaded.program.clone().for_account(account),
            None => loaded.program.clone(),
        };
        program.run_told(inputs, deadline).await
    }

    /// Names the fragment that yielded a value: what it found wrong is known when the value is read.
    fn about(&self, value: usize, fault: Fault) -> Fault {
        match self.stages.iter().find(|stage| stage.outputs.contains(&value)) {
            Some(stage) => stage.named(fault),
            None => fault,
        }
    }
}

impl Stage {
    fn named(&self, fault: Fault) -> Fault {
        fault.within(&format!("fragment `{}`", self.name))
    }
}

/// Moving a value waits for whatever computes it.
async fn in_time<T>(deadline: Instant, moved: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    timeout_at(deadline.into(), moved).await.unwrap_or(Err(Fault::TimedOut))
}

/// The number of a value, a new one where it has none. The plan was held to names that are unique.
fn number<'a>(names: &mut HashMap<&'a str, usize>, name: &'a str) -> usize {
    let next = names.len();
    *names.entry(name).or_insert(next)
}

fn same(ports: &[Port], names: &[String]) -> bool {
    ports.len() == names.len() && ports.iter().all(|port| names.contains(&port.name))
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
