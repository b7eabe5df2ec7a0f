// Copies a tensor into a part of a larger one: what Concat is made of. The part is a box; `offset` is its first element.
// Narrow elements share words with their neighbours, so their bits are set one by one in a result that was cleared.

override SIZE: u32;

struct Parameters {
    count: u32,
    offset: u32,
    shape: array<u32, 8>,
    strides: array<u32, 8>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<atomic<u32>>;

fn target_of(at: u32) -> u32 {
    var left = at;
    var index = parameters.offset;
    for (var step = 0u; step < RANK; step++) {
        let axis = RANK - 1u - step;
        let extent = parameters.shape[axis];
        index += (left % extent) * parameters.strides[axis];
        left /= extent;
    }
    return index;
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
    let index = target_of(at);
    switch SIZE {
        case 1u: { atomicOr(&y[index / 4u], extractBits(x[at / 4u], 8u * (at % 4u), 8u) << (8u * (index % 4u))); }
        case 2u: { atomicOr(&y[index / 2u], extractBits(x[at / 2u], 16u * (at % 2u), 16u) << (16u * (index % 2u))); }
        case 8u: {
            atomicStore(&y[2u * index], x[2u * at]);
            atomicStore(&y[2u * index + 1u], x[2u * at + 1u]);
        }
        default: { atomicStore(&y[index], x[at]); }
    }
}
