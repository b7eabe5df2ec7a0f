//! Walks a graph at fixed shapes and drafts a plan: folds what is known, lowers the rest to dispatches.

pub use super::node::{Halt, Node, Placed, Value, axes, axis};
use super::{
    draft::{Dispatch, Draft, Step, Storage, StorageId},
    family::Target,
    fold::{self, Folds},
    inside::{Inside, Path},
    kernels::Kernel,
    lower, memory,
    product::Product,
    task::Task,
    tiling::GROUPS_MAX,
};
use burst_host::nouns::{Attribute, Element, Fault, Op, Shape, Spec, Tensor};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// The most operators that branches and loops are spelled out to between two stops.
pub const SPELLED_MAX: usize = 20_000;

/// The state of a walk.
pub struct Planner {
    pub draft: Draft,
    pub values: HashMap<String, Value>,
    /// What was read back of values that are computed.
    pub overrides: BTreeMap<String, Tensor>,
    pub inside: Inside,
    pub target: Target,
    /// Bytes of the largest tensor that kernels can be given.
    pub binding_max: usize,
    folds: Arc<Folds>,
    opset: i64,
    /// Nothing is computed.
    dry: bool,
    /// Operators that control flow came to.
    spelled: usize,
}

impl Planner {
    pub fn new(opset: i64, target: Target, folds: Arc<Folds>) -> Self {
        Self {
            draft: Draft::default(),
            values: HashMap::new(),
            overrides: BTreeMap::new(),
            inside: Inside::default(),
            target,
            binding_max: folds.binding_max,
            folds,
            opset,
            dry: false,
            spelled: 0,
        }
    }

    /// Memory that is given to each run.
    pub fn input(&mut self, spec: Spec) -> StorageId {
        let storage = self.storage(Storage::Input(self.draft.inputs.len()));
        self.draft.inputs.push(spec);
        storage
    }

    /// A name for what is in memory.
    pub fn give(&mut self, name: &str, spec: Spec, storage: StorageId) {
        self.values.insert(name.into(), Value::Placed(Placed { spec, storage }));
    }

    /// A value whose numbers are known.
    pub fn known(&mut self, name: &str, tensor: Tensor) {
        self.values.insert(name.into(), Value::Known(tensor));
    }

    /// The value of this name; `Absent` of none.
    pub fn value(&self, name: &str) -> Result<Value, Halt> {
        match self.values.get(name) {
            Some(value) => Ok(value.clone()),
            None if name.is_empty() => Ok(Value::Absent),
            None => Err(Fault::Invalid(format!("nothing computes `{name}`")).into()),
        }
    }

    /// Gives a value its name, unless it was read back: an output without a name is asked for by nobody, and would be
    /// taken for an input that was left out.
    pub fn bind(&mut self, name: &str, value: Value) {
        if !name.is_empty() {
            let read = self.overrides.get(name).cloned().map(Value::Known);
            self.values.insert(name.into(), read.unwrap_or(value));
        }
    }

    pub fn opset(&self) -> i64 {
        self.opset
    }

    /// Lowers one op, or says what is to be done in its place.
    pub fn step(&mut self, task: &Task) -> Result<Vec<Task>, Halt> {
        let tasks = match task {
            Task::Op(op) => self.op(op)?,
            Task::Round(round) => round.next(self)?,
            Task::Pattern(pattern) => pattern.next(self)?,
        };
        self.spelled += tasks.len();
        if self.spelled > SPELLED_MAX {
            let what = format!("control flow that comes to more than {SPELLED_MAX} operators, on the GPU");
            return Err(Fault::Unsupported(what).into());
        }
        Ok(tasks)
    }

    fn op(&mut self, op: &Op) -> Result<Vec<Task>, Halt> {
        let inputs = op.inputs.iter().map(|name| self.value(name)).collect::<Result<_, _>>()?;
        let (part, node) = (self.part(), Node { op, opset: self.opset, inputs });
        if let Some(spell) = lower::spelled(op) {
            return self.within(part, |planner| spell(planner, &node));
        }
        let outputs = self.within(part, |planner| planner.outputs(&node))?;
        for (name, value) in op.outputs.iter().zip(outputs) {
            self.bind(name, value);
        }
        Ok(Vec::new())
    }

    /// Lowers another operator of one output: what an operator can be made of. Where it needs the numbers of an input,
    /// the run stops to read them.
    pub fn apply(
        &mut self,
        kind: &str,
        attributes: Vec<(String, Attribute)>,
        inputs: Vec<Value>,
    ) -> Result<Value, Halt> {
        self.apply_in("", kind, attributes, inputs)
    }

    /// The same for an operator of a domain.
    pub fn apply_in(
        &mut self,
        domain: &str,
        kind: &str,
        attributes: Vec<(String, Attribute)>,
        mut inputs: Vec<Value>,
    ) -> Result<Value, Halt> {
        let part = self.part();
        for (index, input) in inputs.iter_mut().enumerate() {
            if let Some(numbers) = self.inside.numbers.get(&of_input(&part, index)) {
                *input = Value::Known(numbers.clone());
            }
        }
        let name = |(index, value): (usize, &Value)| match value {
            Value::Absent => String::new(),
            _ => format!("x{index}"),
        };
        let op = Op {
            name: String::new(),
            kind: kind.into(),
            domain: domain.into(),
            inputs: inputs.iter().enumerate().map(name).collect(),
            outputs: vec!["y".into()],
            attributes,
        };
        let node = Node { op: &op, opset: self.opset, inputs };
        let outputs = self.within(part.clone(), |planner| planner.outputs(&node));
        if let Err(Halt::Needs(storage)) = &outputs {
            self.ask(&part, &node, *storage);
        }
        outputs?.into_iter().next().ok_or_else(|| Fault::Invalid(format!("`{kind}` has no output")).into())
    }

    /// Notes which input of a part has to be read.
    fn ask(&mut self, part: &Path, node: &Node<'_>, storage: StorageId) {
        let asked = node.inputs.iter().enumerate().find_map(|(index, input)| match input {
            Value::Placed(placed) if placed.storage == storage => Some((index, placed.spec.clone())),
            _ => None,
        });
        if let (Some((index, spec)), None) = (asked, &self.inside.asked) {
            self.inside.asked = Some((of_input(part, index), spec));
        }
    }

    /// Axes as operators take them.
    pub fn axes(&mut self, axes: &[usize]) -> Result<Value, Halt> {
        let axes: Vec<i64> = axes.iter().map(|&at| at as i64).collect();
        let tensor = Tensor::from_slice(Element::I64, [axes.len()], &axes);
        tensor.map(Value::Known).map_err(|error| Fault::Invalid(error.to_string()).into())
    }

    fn outputs(&mut self, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
        if let Some(outputs) = fold::of_shapes(node) {
            return Ok(outputs);
        }
        match (!self.dry).then(|| fold::fold(node, &self.folds, || self.sound(node))).flatten() {
            Some(outputs) => Ok(outputs),
            None => lower::lower(self, node),
        }
    }

    /// Whether results are within limits, as far as lowering an op tells: what folds it would find out too late.
    fn sound(&self, node: &Node<'_>) -> bool {
        let mut dry = Self { dry: true, ..Self::new(self.opset, self.target, Arc::default()) };
        let elements = |value: &Value| value.spec().map_or(1, |spec| spec.shape.elements());
        match lower::lower(&mut dry, node) {
            // What has no lowering has no result larger than all pairs of its inputs.
            Err(Halt::Lacks(_) | Halt::Fault(Fault::Unsupported(_))) => {
                node.inputs.iter().map(elements).fold(1, usize::saturating_mul) <= Shape::ELEMENTS_MAX
            }
            lowered => !matches!(lowered, Err(Halt::Fault(_))),
        }
    }

    pub fn storage(&mut self, storage: Storage) -> StorageId {
        self.draft.storages.push(storage);
        self.draft.storages.len() - 1
    }

    /// Memory for a result.
    pub fn temporary(&mut self, spec: Spec) -> Result<Placed, Halt> {
        let storage = self.storage(Storage::Temporary { bytes: memory::bytes(&spec)? });
        Ok(Placed { spec, storage })
    }

    /// The value on the device.
    pub fn place(&mut self, value: &Value) -> Result<Placed, Halt> {
        match value {
            Value::Absent => Err(Fault::Invalid("an input that is needed was left out".into()).into()),
            Value::Placed(placed) => Ok(placed.clone()),
            Value::Known(tensor) => {
                let spec = tensor.spec().clone();
                memory::bytes(&spec)?;
                Ok(Placed { spec, storage: self.storage(Storage::Constant(tensor.clone())) })
            }
        }
    }

    /// Runs a kernel that writes one tensor, or clears what no invocation would write.
    pub fn dispatch(
        &mut self,
        kernel: Kernel,
        parameters: Vec<u32>,
        reads: &[&Placed],
        spec: Spec,
        groups: [u32; 3],
    ) -> Result<Placed, Halt> {
        let unwritten = groups.contains(&0) && spec.shape.elements() > 0;
        let result = if unwritten { self.cleared(spec)? } else { self.temporary(spec)? };
        self.dispatch_into(kernel, parameters, reads, &result, groups);
        Ok(result)
    }

    /// Runs a kernel that writes into a tensor that is there already.
    pub fn dispatch_into(
        &mut self,
        kernel: Kernel,
        parameters: Vec<u32>,
        reads: &[&Placed],
        result: &Placed,
        groups: [u32; 3],
    ) {
        if result.spec.shape.elements() > 0 && !groups.contains(&0) {
            let reads = reads.iter().map(|placed| placed.storage).collect();
            let write = result.storage;
            self.draft.steps.push(Step::Dispatch(Dispatch { kernel, parameters, reads, write, groups }));
        }
    }

    /// Whether a value is a constant of the graph, which is brought into another layout only once.
    pub fn is_weight(&self, value: &Placed) -> bool {
        matches!(self.draft.storages[value.storage], Storage::Constant(_))
    }

    /// Runs a product whose steps are shared out in so many parts.
    pub fn multiply(&mut self, product: Product, parts: usize) -> Result<Placed, Halt> {
        let y = product.y.clone();
        if y.spec.shape.elements() == 0 {
            return Ok(y);
        }
        if parts == 1 {
            self.draft.steps.push(Step::Product(Box::new(product)));
            return Ok(y);
        }
        let shape = Shape::new([parts, y.spec.shape.elements()]).map_err(|error| Fault::TooLarge(error.to_string()))?;
        let partial = self.temporary(Spec { element: Element::Fp32, shape })?;
        let steps = product.in_parts(&partial, parts).map(|product| Step::Product(Box::new(product)));
        self.draft.steps.extend(steps);
        Ok(y)
    }

    /// A result of zeros, to be written in parts.
    pub fn cleared(&mut self, spec: Spec) -> Result<Placed, Halt> {
        let result = self.temporary(spec)?;
        self.draft.steps.push(Step::Clear(result.storage));
        Ok(result)
    }
}

/// The name of an input of a part, beside those of its own parts.
fn of_input(part: &Path, index: usize) -> Path {
    part.iter().copied().chain([usize::MAX, index]).collect()
}

/// Workgroups of 64 for so many invocations, folded where an axis ends.
pub fn grid(invocations: usize) -> [u32; 3] {
    let groups = invocations.div_ceil(64);
    let x = groups.min(GROUPS_MAX);
    [x as u32, groups.div_ceil(x.max(1)) as u32, 1]
}
