// Sums along one axis at given places with given weights: y[o, i, n] = bias[i] + Σ weights[i, t] · x[o, places[i, t], n].
// Resizing is this, one axis after the other.

struct Parameters {
    count: u32,
    inner: u32,
    // Extents of the axis before and after.
    before: u32,
    after: u32,
    taps: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> places: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

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
    let along = at / parameters.inner % parameters.after;
    let outer = at / parameters.inner / parameters.after;
    let first = outer * parameters.before * parameters.inner + at % parameters.inner;
    var sum = bias[along];
    for (var tap = along * parameters.taps; tap < (along + 1u) * parameters.taps; tap++) {
        sum += weights[tap] * x[first + places[tap] * parameters.inner];
    }
    y[at] = sum;
}
