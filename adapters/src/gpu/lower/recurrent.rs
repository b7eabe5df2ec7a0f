//! Recurrent networks: RNN, LSTM and GRU, a dispatch for each step of each direction.

mod activations;

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    movement::part,
    pointwise::convert,
};
use activations::Activation;
use burst_host::nouns::{Attribute, Element, Spec, Tensor};

/// Most steps of both directions.
const STEPS_MAX: usize = 4_096;

/// Which network: its number in `recurrent.wgsl`, gates, states of a step, and the activations it has by default.
struct Kind {
    number: u32,
    gates: usize,
    slots: usize,
    activations: &'static [&'static str],
}

pub fn rnn(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    network(planner, node, Kind { number: 0, gates: 1, slots: 1, activations: &["Tanh"] })
}

pub fn lstm(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    network(planner, node, Kind { number: 1, gates: 4, slots: 2, activations: &["Sigmoid", "Tanh", "Tanh"] })
}

pub fn gru(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    network(planner, node, Kind { number: 2, gates: 3, slots: 1, activations: &["Sigmoid", "Tanh"] })
}

fn network(planner: &mut Planner, node: &Node<'_>, kind: Kind) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let samples_first = node.int("layout", 0) == 1;
    let network = Network::of(planner, node, &kind, samples_first)?;
    let (mut outputs, mut last) = (Vec::new(), vec![Vec::new(); kind.slots]);
    for direction in 0..network.directions {
        let states = network.run(planner, node, direction)?;
        let hidden = part(planner, node, &states, 1, 0, 1)?;
        outputs.push(hidden.into());
        let state = network.last(planner, node, &states, direction)?;
        for (slot, last) in last.iter_mut().enumerate() {
            last.push(part(planner, node, &state, 0, slot, 1)?.into());
        }
    }
    let mut results = vec![joined(planner, outputs, 1)?];
    for slot in last {
        results.push(joined(planner, slot, 0)?);
    }
    let orders = [vec![2, 0, 1, 3], vec![1, 0, 2], vec![1, 0, 2]];
    let given = |(value, order): (Value, Vec<i64>)| {
        let value = if samples_first { turned(planner, value, order)? } else { value };
        let placed = planner.place(&value)?;
        Ok(convert(planner, node, &placed, element)?.into())
    };
    results.into_iter().zip(orders).map(given).collect()
}

fn turned(planner: &mut Planner, value: Value, order: Vec<i64>) -> Result<Value, Halt> {
    planner.apply("Transpose", vec![("perm".into(), Attribute::Ints(order))], vec![value])
}

fn joined(planner: &mut Planner, parts: Vec<Value>, axis: i64) -> Result<Value, Halt> {
    planner.apply("Concat", vec![("axis".into(), Attribute::Int(axis))], parts)
}

struct Network<'a> {
    kind: &'a Kind,
    /// Steps, samples, elements.
    inputs: Value,
    /// Directions, gates and units, elements of what they weigh.
    input_weights: Value,
    state_weights: Value,
    /// Directions, then biases of inputs and state, and peepholes.
    biases: Value,
    /// States, directions, samples, units.
    initial: Option<Value>,
    lengths: Option<Placed>,
    peepholes: bool,
    steps: usize,
    batches: usize,
    units: usize,
    directions: usize,
    reversed: bool,
    activations: Vec<Activation>,
}

impl<'a> Network<'a> {
    fn of(planner: &mut Planner, node: &Node<'_>, kind: &'a Kind, samples_first: bool) -> Result<Self, Halt> {
        let mut inputs = single(planner, node.input(0))?;
        if samples_first {
            inputs = turned(planner, inputs, vec![1, 0, 2])?;
        }
        let (input_weights, state_weights) = (single(planner, node.input(1))?, single(planner, node.input(2))?);
        let (Some(&[steps, batches, width]), Some(&[directions, rows, units])) =
            (extents(&inputs), extents(&state_weights))
        else {
            return Err(node.invalid("inputs and weights have three axes"));
        };
        let named = node.text("direction", "forward");
        let expected = if named == "bidirectional" { 2 } else { 1 };
        let fits = directions == expected
            && rows == kind.gates * units
            && node.int("hidden_size", units as i64) == units as i64;
        if !fits || extents(&input_weights) != Some(&[directions, rows, width]) {
            return Err(node.invalid("weights that do not fit"));
        }
        if steps == 0 || units == 0 || steps * directions > STEPS_MAX {
            return Err(node.unsupported(&format!("{steps} steps of {units} units")));
        }
        let peepholes = kind.number == 1 && node.has(7);
        let mut network = Self {
            kind,
            inputs,
            input_weights,
            state_weights,
            biases: Value::Absent,
            initial: None,
            lengths: None,
            peepholes,
            steps,
            batches,
            units,
            directions,
            reversed: named == "reverse",
            activations: activations::of(node, kind.activations, directions)?,
        };
        network.biases = network.biases(planner, node)?;
        network.initial = network.initial(planner, node, samples_first)?;
        network.lengths = network.lengths(planner, node)?;
        Ok(network)
    }

    fn biases(&self, planner: &mut Planner, node: &Node<'_>) -> Result<Value, Halt> {
        let wide = 2 * self.kind.gates * self.units;
        let biases = match node.has(3) {
            true => single(planner, node.input(3))?,
            false => zeros(node, vec![self.directions, wide])?,
        };
        if extents(&biases) != Some(&[self.directions, wide]) {
            return Err(node.invalid("biases that do not fit"));
        }
        if !self.peepholes {
            return Ok(biases);
        }
        let peepholes = single(planner, node.input(7))?;
        if extents(&peepholes) != Some(&[self.directions, 3 * self.units]) {
            return Err(node.invalid("peepholes that do not fit"));
        }
        joined(planner, vec![biases, peepholes], 1)
    }

    fn initial(&self, planner: &mut Planner, node: &Node<'_>, samples_first: bool) -> Result<Option<Value>, Halt> {
        let slots = 5..5 + self.kind.slots;
        if slots.clone().all(|index| !node.has(index)) {
            return Ok(None);
        }
        let mut states = Vec::new();
        for index in slots {
            let mut state = match node.has(index) {
                true => single(planner, node.input(index))?,
                false => zeros(node, vec![self.directions, self.batches, self.units])?,
            };
            if samples_first && node.has(index) {
                state = turned(planner, state, vec![1, 0, 2])?;
            }
            if extents(&state) != Some(&[self.directions, self.batches, self.units]) {
                return Err(node.invalid("first states that do not fit"));
            }
            states.push(state);
        }
        joined(planner, states, 0).map(Some)
    }

    fn lengths(&self, planner: &mut Planner, node: &Node<'_>) -> Result<Option<Placed>, Halt> {
        if !node.has(4) {
            return Ok(None);
        }
        let lengths = planner.place(node.input(4))?;
        if lengths.spec.element != Element::I32 || lengths.extents() != [self.batches] {
            return Err(node.invalid("a length for each sample is needed"));
        }
        planner.check_below(node, 4, self.steps + 1)?;
        Ok(Some(lengths))
    }

    fn reversed(&self, direction: usize) -> bool {
        self.reversed || direction == 1
    }

    /// The states of all steps: steps, states, samples, units.
    fn run(&self, planner: &mut Planner, node: &Node<'_>, direction: usize) -> Result<Placed, Halt> {
        let Self { kind, steps, batches, units, .. } = self;
        let weights = of_direction(planner, node, &self.input_weights, direction, self.directions)?;
        let weights = turned(planner, weights, vec![1, 0])?;
        let inputs = planner.place(&self.inputs)?;
        let width = inputs.extents().last().copied().unwrap_or(0);
        let inputs = inputs.reshaped(node.shape(vec![steps * batches, width])?);
        let products = planner.apply("MatMul", Vec::new(), vec![inputs.into(), weights])?;
        let weights = of_direction(planner, node, &self.state_weights, direction, self.directions)?;
        let weights = turned(planner, weights, vec![1, 0])?;
        let biases = of_direction(planner, node, &self.biases, direction, self.directions)?;
        let initial = self.initial_of(planner, node, direction)?;
        let [x, weights, biases] = [products, weights, biases].map(|value| planner.place(&value));
        let (x, weights, biases) = (x?, weights?, biases?);
        let initial = initial.as_ref().unwrap_or(&x);
        let spec = |extents| Ok::<_, Halt>(Spec { element: Element::Fp32, shape: node.shape(extents)? });
        let states = planner.cleared(spec(vec![*steps, kind.slots, *batches, *units])?)?;
        let resets = kind.number == 2 && node.int("linear_before_reset", 0) == 0;
        let reset = planner.temporary(spec(vec![*batches, *units])?)?;
        let groups = grid(batches * units);
        let lengths = self.lengths.as_ref().unwrap_or(&x);
        for step in 0..*steps {
            let parameters = self.parameters(node, step, direction);
            let mut constants = self.constants(node, direction);
            if resets {
                let mut before = constants.clone();
                before.push(("RESETS", 1));
                let reads = [&x, &weights, &biases, initial, lengths, &states];
                planner.dispatch_into(
                    Kernel::new(Shader::Recurrent, before),
                    parameters.clone(),
                    &reads,
                    &reset,
                    groups,
                );
            }
            constants.push(("RESET_AFTER", u32::from(!resets)));
            let reads = [&x, &weights, &biases, initial, lengths, if resets { &reset } else { &x }];
            planner.dispatch_into(Kernel::new(Shader::Recurrent, constants), parameters, &reads, &states, groups);
        }
        Ok(states)
    }

    /// The first states of a direction, one after the other.
    fn initial_of(&self, planner: &mut Planner, node: &Node<'_>, direction: usize) -> Result<Option<Placed>, Halt> {
        let Some(initial) = &self.initial else { return Ok(None) };
        let initial = planner.place(initial)?;
        let split = vec![self.kind.slots, self.directions, self.batches, self.units];
        let states = initial.reshaped(node.shape(split)?);
        part(planner, node, &states, 1, direction, 1).map(Some)
    }

    fn constants(&self, node: &Node<'_>, direction: usize) -> Vec<(&'static str, u32)> {
        let mut constants = vec![
            ("KIND", self.kind.number),
            ("REVERSE", u32::from(self.reversed(direction))),
            ("LENGTHS", u32::from(self.lengths.is_some())),
            ("INITIAL", u32::from(self.initial.is_some())),
            ("PEEPHOLES", u32::from(self.peepholes)),
            ("CLIPPED", u32::from(node.op.attribute("clip").is_some())),
            ("COUPLED", u32::from(node.int("input_forget", 0) == 1)),
        ];
        constants.extend(
            ["F", "G", "H"].into_iter().zip(self.activations(direction).iter().map(|activation| activation.code)),
        );
        constants
    }

    fn activations(&self, direction: usize) -> &[Activation] {
        let each = self.kind.activations.len();
        self.activations.get(direction * each..(direction + 1) * each).unwrap_or_default()
    }

    /// In the order of `recurrent.wgsl`.
    fn parameters(&self, node: &Node<'_>, step: usize, direction: usize) -> Vec<u32> {
        let counts = [self.batches * self.units, self.units, self.batches, self.steps, step];
        let mut parameters = counts.map(|count| count as u32).to_vec();
        parameters.push(node.float("clip", 0.0).to_bits());
        let mut attributes = [0.0f32; 6];
        let given = self.activations(direction).iter().flat_map(|activation| activation.attributes);
        attributes.iter_mut().zip(given).for_each(|(to, from)| *to = from);
        parameters.extend(attributes.map(f32::to_bits));
        parameters
    }

    /// The states of the last step of each sample.
    fn last(&self, planner: &mut Planner, node: &Node<'_>, states: &Placed, direction: usize) -> Result<Placed, Halt> {
        let shape = node.shape(states.extents()[1..].to_vec())?;
        let reversed = self.reversed(direction);
        let Some(lengths) = self.lengths.as_ref().filter(|_| !reversed) else {
            let at = if reversed { 0 } else { self.steps - 1 };
            return Ok(part(planner, node, states, 0, at, 1)?.reshaped(shape));
        };
        let count = shape.elements();
        let counts = [count, self.units, self.batches, self.kind.slots, self.steps];
        let parameters = counts.map(|count| count as u32).to_vec();
        let spec = Spec { element: Element::Fp32, shape };
        planner.dispatch(Kernel::new(Shader::RecurrentLast, []), parameters, &[states, lengths], spec, grid(count))
    }
}

/// In f32; known still where it is known.
fn single(planner: &mut Planner, value: &Value) -> Result<Value, Halt> {
    match value.spec().map(|spec| spec.element) {
        Some(Element::Fp32) => Ok(value.clone()),
        _ => planner.apply("Cast", vec![("to".into(), Attribute::Int(1))], vec![value.clone()]),
    }
}

fn extents(value: &Value) -> Option<&[usize]> {
    value.spec().map(|spec| spec.shape.extents())
}

fn zeros(node: &Node<'_>, extents: Vec<usize>) -> Result<Value, Halt> {
    let shape = node.table(extents)?;
    let zeros = vec![0.0f32; shape.elements()];
    let tensor = Tensor::from_slice(Element::Fp32, shape.extents(), &zeros);
    tensor.map(Value::Known).map_err(|error| node.invalid(&error.to_string()))
}

/// What belongs to one direction, without their axis.
fn of_direction(
    planner: &mut Planner,
    node: &Node<'_>,
    value: &Value,
    direction: usize,
    directions: usize,
) -> Result<Value, Halt> {
    let extents = extents(value).ok_or_else(|| node.invalid("weights are missing"))?;
    let index = Tensor::from_slice(Element::I64, [], &[direction as i64]);
    if let (Value::Known(_), Ok(index)) = (value, index) {
        let inputs = vec![value.clone(), Value::Known(index)];
        return planner.apply("Gather", vec![("axis".into(), Attribute::Int(0))], inputs);
    }
    let shape = node.shape(extents.get(1..).unwrap_or_default().to_vec())?;
    let placed = planner.place(value)?;
    let placed = if directions == 1 { placed } else { part(planner, node, &placed, 0, direction, 1)? };
    Ok(placed.reshaped(shape).into())
}
