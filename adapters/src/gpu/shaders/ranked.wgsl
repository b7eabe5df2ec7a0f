// Where ranked elements are: their places along the axis as INT64, or counted from the first element of all.

override INDICES: bool;

struct Parameters {
    count: u32,
    run: u32,
    inner: u32,
    kept: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> order: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

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
    let inner = at % parameters.inner;
    let place = at / parameters.inner % parameters.kept;
    let outer = at / parameters.inner / parameters.kept;
    let step = order[(outer * parameters.inner + inner) * parameters.kept + place];
    if INDICES {
        y[2u * at] = step;
        y[2u * at + 1u] = 0u;
    } else {
        y[at] = (outer * parameters.run + step) * parameters.inner + inner;
    }
}
