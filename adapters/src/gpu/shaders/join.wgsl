// Copies runs of words into a larger tensor: what Concat is made of.

// Whether everything is counted in quads of words instead of words.
override QUADS: bool = false;

struct Parameters {
    count: u32,
    run: u32,
    // From the beginning of a run to that of the next, in the result.
    step: u32,
    offset: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4<u32>>;

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
    let to = parameters.offset + at / parameters.run * parameters.step + at % parameters.run;
    if QUADS {
        y[to] = x[at];
    } else {
        y[to / 4u][to % 4u] = x[at / 4u][at % 4u];
    }
}
