// Running sums or products along one axis.

override PRODUCT: bool = false;
override EXCLUSIVE: bool = false;
override REVERSE: bool = false;

@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read_write> y: array<Lane>;

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
    let first = first_of_run(at);
    var sum = truth(PRODUCT);
    for (var step = 0u; step < parameters.run; step++) {
        let place = select(step, parameters.run - 1u - step, REVERSE);
        let index = first + place * parameters.inner;
        let next = apply(select(1u, 4u, PRODUCT), sum, x[index], 0.0, 0.0);
        y[index] = next;
        if EXCLUSIVE {
            y[index] = sum;
        }
        sum = next;
    }
}
