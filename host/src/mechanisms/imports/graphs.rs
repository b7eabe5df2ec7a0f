//! `burst:edge/graphs`.

use super::{BuilderHandle, GraphHandle, GuestFault, GuestState, TensorHandle};
use crate::{
    mechanisms::{
        bindings::graphs::{
            Attribute as WitAttribute, Device as WitDevice, DeviceKind as WitDeviceKind, Host, HostBuilder, HostGraph,
            Operand, Port as WitPort,
        },
        sequences::Sessions,
    },
    nouns::{Attribute, Extent, Fault, Graph, Op, Opset, Port, Signature, Tensor},
    ports::{Device, DeviceKind, Program},
};
use std::sync::Arc;
use wasmtime::component::Resource;

/// Operators that one builder takes.
const BUILDER_OPS_MAX: usize = 4096;
/// Outputs that one operator may have.
const OUTPUTS_MAX: u32 = 64;
/// What builders write.
const BUILDER_OPSET: i64 = 17;
const BUILDER_IR_VERSION: i64 = 8;

impl Host for GuestState {
    fn devices(&mut self) -> wasmtime::Result<Vec<WitDevice>> {
        Ok(vec![self.grants.accelerator.describe().into()])
    }
}

impl HostGraph for GuestState {
    fn open(&mut self, name: String) -> Result<Resource<GraphHandle>, GuestFault> {
        let program = self.grants.models.get(&name).cloned().ok_or_else(|| Fault::NotFound(name.clone()))?;
        Ok(self.table.push(GraphHandle { program, name: Some(name) })?)
    }

    fn inputs(&mut self, graph: Resource<GraphHandle>) -> wasmtime::Result<Vec<WitPort>> {
        let signature = self.table.get(&graph)?.program.signature();
        signature.inputs.iter().map(WitPort::try_from).collect()
    }

    fn outputs(&mut self, graph: Resource<GraphHandle>) -> wasmtime::Result<Vec<WitPort>> {
        let signature = self.table.get(&graph)?.program.signature();
        signature.outputs.iter().map(WitPort::try_from).collect()
    }

    async fn run(
        &mut self,
        graph: Resource<GraphHandle>,
        inputs: Vec<(String, Resource<TensorHandle>)>,
    ) -> Result<Vec<(String, Resource<TensorHandle>)>, GuestFault> {
        let GraphHandle { program, name } = self.table.get(&graph)?;
        let (program, name) = (program.clone(), name.clone());
        let (outputs, device) = match self.session(&program, name, &inputs) {
            Some((sessions, name)) => {
                let ports = program.signature().step_inputs();
                let given = self.in_order(&ports, inputs)?;
                let named = ports.into_iter().map(|port| port.name).zip(given).collect();
                sessions.step(&name, &program, named, self.deadline).await?
            }
            None => {
                let signature = program.signature();
                let ordered = self.in_order(&signature.inputs, inputs)?;
                let (outputs, device) = program.run_told(ordered, self.deadline).await?;
                (signature.outputs.iter().map(|port| port.name.clone()).zip(outputs).collect(), device)
            }
        };
        self.device = Some(device);
        outputs.into_iter().map(|(name, tensor)| Ok((name, self.push_tensor(tensor)?))).collect()
    }

    fn drop(&mut self, graph: Resource<GraphHandle>) -> wasmtime::Result<()> {
        self.table.delete(graph)?;
        Ok(())
    }
}

impl GuestState {
    /// What keeps the states of a graph: in a sequence, where it has some and the guest gives none of them.
    fn session(
        &self,
        program: &Arc<dyn Program>,
        name: Option<String>,
        inputs: &[(String, Resource<TensorHandle>)],
    ) -> Option<(Arc<Sessions>, String)> {
        let found = self.sessions.clone().zip(name)?;
        let given = |state: &Port| inputs.iter().any(|(name, _)| *name == state.name);
        let mut states = program.signature().states().map(|(state, _)| state).peekable();
        states.peek()?;
        if states.any(given) { None } else { Some(found) }
    }

    /// The tensors of named inputs, in the order of the ports: each port exactly once.
    fn in_order(
        &self,
        ports: &[Port],
        inputs: Vec<(String, Resource<TensorHandle>)>,
    ) -> Result<Vec<Tensor>, GuestFault> {
        let invalid = |why: String| GuestFault::from(Fault::Invalid(why));
        if let Some((name, _)) = inputs.iter().find(|(name, _)| !ports.iter().any(|port| port.name == *name)) {
            return Err(invalid(format!("the graph has no input `{name}`")));
        }
        if inputs.len() > ports.len() {
            return Err(invalid("an input is given twice".into()));
        }
        let find = |port: &Port| {
            let input = inputs.iter().find(|(name, _)| *name == port.name);
            let (_, handle) = input.ok_or_else(|| invalid(missing(port)))?;
            let tensor = self.tensor(handle)?;
            if port.admits(tensor.spec()) {
                Ok(tensor.clone())
            } else {
                Err(invalid(format!("the input is {port}, a tensor {} was given", tensor.spec())))
            }
        };
        ports.iter().map(find).collect()
    }
}

impl HostBuilder for GuestState {
    fn new(&mut self) -> wasmtime::Result<Resource<BuilderHandle>> {
        Ok(self.table.push(BuilderHandle::new())?)
    }

    fn input(&mut self, builder: Resource<BuilderHandle>, port: WitPort) -> Result<Operand, GuestFault> {
        let builder = self.table.get_mut(&builder)?;
        let name = builder.name(&port.name)?;
        builder.graph.inputs.push(Port { name: name.clone(), ..Port::from(port) });
        Ok(builder.operand(name))
    }

    fn constant(
        &mut self,
        builder: Resource<BuilderHandle>,
        value: Resource<TensorHandle>,
    ) -> Result<Operand, GuestFault> {
        let tensor = self.tensor(&value)?.clone();
        let charge = self.ledger.charge_tensor(&tensor)?;
        let builder = self.table.get_mut(&builder)?;
        let name = builder.fresh();
        builder.graph.constants.push((name.clone(), tensor));
        builder.charges.push(charge);
        Ok(builder.operand(name))
    }

    fn apply(
        &mut self,
        builder: Resource<BuilderHandle>,
        op: String,
        inputs: Vec<Option<Operand>>,
        attributes: Vec<(String, WitAttribute)>,
        outputs: u32,
    ) -> Result<Vec<Operand>, GuestFault> {
        let builder = self.table.get_mut(&builder)?;
        if builder.graph.ops.len() >= BUILDER_OPS_MAX || outputs > OUTPUTS_MAX {
            let why = format!("a builder takes {BUILDER_OPS_MAX} operators of {OUTPUTS_MAX} outputs");
            return Err(Fault::TooLarge(why).into());
        }
        let inputs = inputs.into_iter().map(|input| builder.input_name(input)).collect::<Result<_, _>>()?;
        let first = builder.operands.len() as u32;
        let names: Vec<_> = (0..outputs).map(|_| builder.fresh_operand()).collect();
        builder.graph.ops.push(Op {
            name: String::new(),
            kind: op,
            domain: String::new(),
            inputs,
            outputs: names,
            attributes: attributes.into_iter().map(|(name, value)| (name, value.into())).collect(),
        });
        Ok((first..first + outputs).collect())
    }

    async fn finish(
        &mut self,
        builder: Resource<BuilderHandle>,
        outputs: Vec<(String, Operand)>,
    ) -> Result<Resource<GraphHandle>, GuestFault> {
        let BuilderHandle { mut graph, operands, charges } =
            std::mem::replace(self.table.get_mut(&builder)?, BuilderHandle::new());
        for (name, operand) in outputs {
            let value = operands.get(operand as usize).ok_or_else(|| unknown_operand(operand))?;
            graph.outputs.push(Port { name: name.clone(), element: None, shape: None, optional: false });
            graph.ops.push(Op::identity(value.clone(), name));
        }
        // Guests' tensors are on the device; what a graph is made of is on the host, as if it came from a file.
        for (_, constant) in &mut graph.constants {
            *constant = self.grants.accelerator.download(constant).await?;
        }
        let program = self.grants.accelerator.load(&graph).await?;
        program.signature().held_by_guests()?;
        drop(charges);
        Ok(self.table.push(GraphHandle { program, name: None })?)
    }

    fn drop(&mut self, builder: Resource<BuilderHandle>) -> wasmtime::Result<()> {
        self.table.delete(builder)?;
        Ok(())
    }
}

impl BuilderHandle {
    fn new() -> Self {
        let graph = Graph {
            name: "built".into(),
            ir_version: BUILDER_IR_VERSION,
            opsets: vec![Opset { domain: String::new(), version: BUILDER_OPSET }],
            ..Graph::default()
        };
        Self { graph, operands: Vec::new(), charges: Vec::new() }
    }

    /// Checks that an input's name is not taken and is none of ours.
    fn name(&self, name: &str) -> Result<String, Fault> {
        let taken = self.graph.inputs.iter().any(|port| port.name == name);
        if name.is_empty() || name.starts_with('%') || taken {
            return Err(Fault::Invalid(format!("`{name}` is taken or not a name for an input")));
        }
        Ok(name.to_owned())
    }

    fn fresh(&self) -> String {
        format!("%{}", self.operands.len())
    }

    fn fresh_operand(&mut self) -> String {
        let name = self.fresh();
        self.operands.push(name.clone());
        name
    }

    fn operand(&mut self, name: String) -> Operand {
        self.operands.push(name);
        self.operands.len() as u32 - 1
    }

    fn input_name(&self, operand: Option<Operand>) -> Result<String, Fault> {
        let Some(operand) = operand else { return Ok(String::new()) };
        self.operands.get(operand as usize).cloned().ok_or_else(|| unknown_operand(operand))
    }
}

fn missing(port: &Port) -> String {
    let kept = Signature::state_output(&port.name).map_or("", |_| "; the requests of a sequence may leave it out");
    format!("the input `{}` is missing{kept}", port.name)
}

fn unknown_operand(operand: Operand) -> Fault {
    Fault::Invalid(format!("operand {operand} is not of this builder"))
}

impl From<&Device> for WitDevice {
    fn from(device: &Device) -> Self {
        let kind = match device.kind {
            DeviceKind::Cpu => WitDeviceKind::Cpu,
            DeviceKind::Gpu => WitDeviceKind::Gpu,
            DeviceKind::Npu => WitDeviceKind::Npu,
        };
        Self { kind, name: device.name.clone(), memory_bytes: device.memory_bytes.unwrap_or(0) }
    }
}

impl TryFrom<&Port> for WitPort {
    type Error = wasmtime::Error;

    fn try_from(port: &Port) -> wasmtime::Result<Self> {
        let extent = |extent: &Extent| match extent {
            Extent::Fixed(extent) => u32::try_from(*extent).ok(),
            Extent::Named(_) | Extent::Any => None,
        };
        let element = port.element.unwrap_or(crate::nouns::Element::Fp32).try_into()?;
        Ok(Self { name: port.name.clone(), element, shape: port.shape.iter().flatten().map(extent).collect() })
    }
}

impl From<WitPort> for Port {
    fn from(port: WitPort) -> Self {
        let extent = |extent: Option<u32>| extent.map_or(Extent::Any, |extent| Extent::Fixed(extent as usize));
        let shape = port.shape.into_iter().map(extent).collect();
        Self { name: port.name, element: Some(port.element.into()), shape: Some(shape), optional: false }
    }
}

impl From<WitAttribute> for Attribute {
    fn from(attribute: WitAttribute) -> Self {
        match attribute {
            WitAttribute::Integer(value) => Self::Int(value),
            WitAttribute::Number(value) => Self::Float(value),
            WitAttribute::Text(value) => Self::Text(value.into_bytes()),
            WitAttribute::Integers(values) => Self::Ints(values),
            WitAttribute::Numbers(values) => Self::Floats(values),
        }
    }
}
