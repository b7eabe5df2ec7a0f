// The places of elements that are marked, one after the other: running sums say how many are before each.

struct Parameters {
    count: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sums: array<u32>;
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
    var before = 0u;
    if at > 0u {
        before = sums[at - 1u];
    }
    if sums[at] != before {
        y[before] = at;
    }
}
