// Sorts each block of a run by counting: a row's place is the number of rows before it. Keeps the first of each block.

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
    let run = at / parameters.length;
    let own = at % parameters.length;
    let block = own / parameters.block;
    let end = min((block + 1u) * parameters.block, parameters.length);
    var place = 0u;
    for (var other = block * parameters.block; other < end; other++) {
        place += select(0u, 1u, before(run, other, own));
    }
    if place < parameters.block_after {
        y[run * parameters.length_after + block * parameters.block_after + place] = own;
    }
}
