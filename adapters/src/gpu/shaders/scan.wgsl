// Running sums, a block an invocation: each starts from the sum up to the block before it. Or only the sum of each block.

override SUMS: bool;
override BLOCK: u32;

struct Parameters {
    // Blocks and elements.
    count: u32,
    length: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> before: array<u32>;
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
    let end = min((at + 1u) * BLOCK, parameters.length);
    var sum = 0u;
    if !SUMS && at > 0u {
        sum = before[at - 1u];
    }
    for (var index = at * BLOCK; index < end; index++) {
        sum += x[index];
        if !SUMS {
            y[index] = sum;
        }
    }
    if SUMS {
        y[at] = sum;
    }
}
