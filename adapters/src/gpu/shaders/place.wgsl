// Copies runs of narrow elements into a larger tensor. They share words with their neighbours, so their bits are set one
// by one in a result that was cleared.

// Bytes of an element: 1 or 2.
override SIZE: u32;

struct Parameters {
    count: u32,
    run: u32,
    // From the beginning of a run to that of the next, in the result.
    step: u32,
    offset: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<atomic<u32>>;

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
    let each = 4u / SIZE;
    let bits = extractBits(x[at / each], 8u * SIZE * (at % each), 8u * SIZE);
    atomicOr(&y[to / each], bits << (8u * SIZE * (to % each)));
}
