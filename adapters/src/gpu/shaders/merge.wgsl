// Merges neighbouring sorted blocks of a run: a row's place is its own plus the number of rows before it in the other
// block, found by halving. Keeps the first of both.

@group(0) @binding(2) var<storage, read> sorted: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

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
    let first = run * parameters.length;
    let block = (at - first) / parameters.block;
    let own = sorted[at];
    let begin = min((block ^ 1u) * parameters.block, parameters.length);
    var low = begin;
    var high = min(begin + parameters.block, parameters.length);
    while low < high {
        let middle = (low + high) / 2u;
        if before(run, sorted[first + middle], own) {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    let place = (at - first) % parameters.block + low - begin;
    if place < parameters.block_after {
        y[run * parameters.length_after + block / 2u * parameters.block_after + place] = own;
    }
}
