// One step of a recurrent network: an invocation makes one unit of the state of one sample. The states of all steps lie
// in one tensor, which a step reads where the last one wrote.

// 0 a plain network, 1 an LSTM (gates i, o, f, c), 2 a GRU (gates z, r, h).
override KIND: u32;
override REVERSE: bool = false;
override LENGTHS: bool = false;
override INITIAL: bool = false;
override PEEPHOLES: bool = false;
override CLIPPED: bool = false;
// Whether the forget gate is what the input gate leaves; whether a GRU resets after the product.
override COUPLED: bool = false;
override RESET_AFTER: bool = false;
// Whether only the state that a GRU resets before its product is made; then `other` holds the states.
override RESETS: bool = false;
// Activations by the numbers of lane_f32.wgsl, and two more.
override F: u32;
override G: u32 = 0u;
override H: u32 = 0u;

const AFFINE = 100u;
const SCALED_TANH = 101u;

struct Parameters {
    count: u32,
    units: u32,
    batches: u32,
    steps: u32,
    step: u32,
    clip: f32,
    // Two numbers of each activation.
    attributes: array<f32, 6>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
// Inputs times their weights: steps, batches, gates, units.
@group(0) @binding(1) var<storage, read> x: array<f32>;
// Weights of the state: units before, gates, units.
@group(0) @binding(2) var<storage, read> weights: array<f32>;
// Of the inputs, of the state, then the peepholes (i, o, f).
@group(0) @binding(3) var<storage, read> biases: array<f32>;
@group(0) @binding(4) var<storage, read> initial: array<f32>;
@group(0) @binding(5) var<storage, read> lengths: array<i32>;
@group(0) @binding(6) var<storage, read> other: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

fn gates() -> u32 {
    return select(select(1u, 4u, KIND == 1u), 3u, KIND == 2u);
}

fn place_of(slot: u32, time: u32, batch: u32, unit: u32) -> u32 {
    let slots = select(1u, 2u, KIND == 1u);
    return ((time * slots + slot) * parameters.batches + batch) * parameters.units + unit;
}

// A unit of the state before this step.
fn before(slot: u32, time: u32, batch: u32, unit: u32) -> f32 {
    if parameters.step == 0u {
        if INITIAL {
            return initial[place_of(slot, 0u, batch, unit)];
        }
        return 0.0;
    }
    let at = place_of(slot, select(time - 1u, time + 1u, REVERSE), batch, unit);
    if RESETS {
        return other[at];
    }
    return y[at];
}

fn activate(op: u32, index: u32, x: f32) -> f32 {
    let p = parameters.attributes[2u * index];
    let q = parameters.attributes[2u * index + 1u];
    switch op {
        case AFFINE: { return p * x + q; }
        case SCALED_TANH: { return p * tanh_of(q * x); }
        default: { return apply(op, x, 0.0, p, q); }
    }
}

fn clipped(x: f32) -> f32 {
    if CLIPPED {
        return clamp(x, -parameters.clip, parameters.clip);
    }
    return x;
}

// What the inputs give to a gate, with their bias and, where it goes with them, the state's.
fn given(gate: u32, time: u32, batch: u32, unit: u32) -> f32 {
    let row = gate * parameters.units + unit;
    return x[(time * parameters.batches + batch) * gates() * parameters.units + row] + biases[row];
}

fn state_bias(gate: u32, unit: u32) -> f32 {
    return biases[(gates() + gate) * parameters.units + unit];
}

fn peephole(gate: u32, unit: u32, cell: f32) -> f32 {
    if PEEPHOLES {
        return cell * biases[(2u * gates() + gate) * parameters.units + unit];
    }
    return 0.0;
}

// The state before times the weights of each gate.
fn multiply(time: u32, batch: u32, unit: u32) -> vec4<f32> {
    var sums = vec4(0.0);
    for (var k = 0u; k < parameters.units; k++) {
        let state = before(0u, time, batch, k);
        for (var gate = 0u; gate < gates(); gate++) {
            var value = state;
            if KIND == 2u && gate == 2u && !RESET_AFTER && !RESETS {
                value = other[batch * parameters.units + k];
            }
            sums[gate] += value * weights[(k * gates() + gate) * parameters.units + unit];
        }
    }
    return sums;
}

fn long_short(sums: vec4<f32>, time: u32, batch: u32, unit: u32) {
    let cell = before(1u, time, batch, unit);
    var inputs: array<f32, 4>;
    for (var gate = 0u; gate < 4u; gate++) {
        inputs[gate] = given(gate, time, batch, unit) + sums[gate] + state_bias(gate, unit);
    }
    let entry = activate(F, 0u, clipped(inputs[0] + peephole(0u, unit, cell)));
    var forget = 1.0 - entry;
    if !COUPLED {
        forget = activate(F, 0u, clipped(inputs[2] + peephole(2u, unit, cell)));
    }
    let next = forget * cell + entry * activate(G, 1u, clipped(inputs[3]));
    let exit = activate(F, 0u, clipped(inputs[1] + peephole(1u, unit, next)));
    y[place_of(0u, time, batch, unit)] = exit * activate(H, 2u, next);
    y[place_of(1u, time, batch, unit)] = next;
}

fn gated(sums: vec4<f32>, time: u32, batch: u32, unit: u32) {
    let state = before(0u, time, batch, unit);
    let reset = activate(F, 0u, clipped(given(1u, time, batch, unit) + sums.y + state_bias(1u, unit)));
    if RESETS {
        y[batch * parameters.units + unit] = reset * state;
        return;
    }
    var product = sums.z + state_bias(2u, unit);
    if RESET_AFTER {
        product *= reset;
    }
    let update = activate(F, 0u, clipped(given(0u, time, batch, unit) + sums.x + state_bias(0u, unit)));
    let hidden = activate(G, 1u, clipped(given(2u, time, batch, unit) + product));
    y[place_of(0u, time, batch, unit)] = (1.0 - update) * hidden + update * state;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = place_in_grid(group, groups, local);
    if at >= parameters.count {
        return;
    }
    let unit = at % parameters.units;
    let batch = at / parameters.units;
    var length = parameters.steps;
    if LENGTHS {
        length = u32(clamp(lengths[batch], 0, i32(parameters.steps)));
    }
    // Past the end of a sample its states stay zero.
    if parameters.step >= length {
        return;
    }
    let time = select(parameters.step, length - 1u - parameters.step, REVERSE);
    let sums = multiply(time, batch, unit);
    switch KIND {
        case 1u: { long_short(sums, time, batch, unit); }
        case 2u: { gated(sums, time, batch, unit); }
        default: {
            let sum = given(0u, time, batch, unit) + sums.x + state_bias(0u, unit);
            y[place_of(0u, time, batch, unit)] = activate(F, 0u, clipped(sum));
        }
    }
}
