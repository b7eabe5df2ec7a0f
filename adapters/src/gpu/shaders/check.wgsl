// Whether each index lies on its axis, or is a number that is allowed besides. Where one does not, the number of the check is left in
// the word that is read with the results.

// Words of an index: 1 or 2.
override INDEX_WORDS: u32;
// Whether indices may count from the end.
override FROM_END: bool;
override BESIDES: bool;

struct Parameters {
    count: u32,
    // Indices of a tuple, each of an axis of its own.
    depth: u32,
    number: u32,
    besides: i32,
    extents: array<u32, 8>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read_write> found: array<atomic<u32>>;

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
    let extent = parameters.extents[RANK - parameters.depth + at % parameters.depth];
    let low = indices[at * INDEX_WORDS];
    var high = select(0u, 0xffffffffu, bitcast<i32>(low) < 0);
    if INDEX_WORDS == 2u {
        high = indices[at * 2u + 1u];
    }
    let from_start = high == 0u && low < extent;
    let from_end = FROM_END && high == 0xffffffffu && bitcast<i32>(low) < 0 && 0u - low <= extent;
    let sign = select(0u, 0xffffffffu, parameters.besides < 0);
    let besides = BESIDES && high == sign && low == bitcast<u32>(parameters.besides);
    if !from_start && !from_end && !besides {
        atomicMax(&found[0], parameters.number);
    }
}
