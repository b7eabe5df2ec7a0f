// y = a·b in any lane, batched: an invocation for each element.

struct Parameters {
    count: u32,
    m: u32,
    n: u32,
    k: u32,
    // Elements between the matrices of two batches, by axis of the batch.
    shape: array<u32, 8>,
    a_strides: array<u32, 8>,
    b_strides: array<u32, 8>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<Lane>;
@group(0) @binding(2) var<storage, read> b: array<Lane>;
@group(0) @binding(3) var<storage, read_write> y: array<Lane>;

fn batch_offsets(batch: u32) -> vec2<u32> {
    var left = batch;
    var offsets = vec2(0u);
    for (var step = 0u; step < RANK; step++) {
        let axis = RANK - 1u - step;
        let extent = parameters.shape[axis];
        offsets += (left % extent) * vec2(parameters.a_strides[axis], parameters.b_strides[axis]);
        left /= extent;
    }
    return offsets;
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
    let column = at % parameters.n;
    let row = at / parameters.n % parameters.m;
    let starts = batch_offsets(at / parameters.n / parameters.m);
    var sum = truth(false);
    for (var k = 0u; k < parameters.k; k++) {
        let x = a[starts.x + row * parameters.k + k];
        sum = apply(1u, sum, apply(4u, x, b[starts.y + k * parameters.n + column], 0.0, 0.0), 0.0, 0.0);
    }
    y[at] = sum;
}
