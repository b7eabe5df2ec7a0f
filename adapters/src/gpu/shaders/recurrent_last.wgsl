// The last state of each sample of a recurrent network, whose samples end at steps of their own.

struct Parameters {
    count: u32,
    // Units of a state, samples, states of a step (hidden, cell), steps.
    units: u32,
    batches: u32,
    slots: u32,
    steps: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> states: array<f32>;
@group(0) @binding(2) var<storage, read> lengths: array<i32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

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
    let length = clamp(lengths[at / parameters.units % parameters.batches], 0, i32(parameters.steps));
    let step = u32(max(length - 1, 0));
    y[at] = states[step * parameters.slots * parameters.batches * parameters.units + at];
}
