// Marks the rows of an order that differ from the row before them.

@group(0) @binding(2) var<storage, read> order: array<u32>;
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
    var differs = true;
    if at > 0u {
        differs = compare(0u, order[at - 1u], order[at]) != 0;
    }
    y[at] = select(0u, 1u, differs);
}
