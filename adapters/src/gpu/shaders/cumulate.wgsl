// Running sums or products along one axis; a part of a run begins with what all parts before it come to. Or only what
// each part comes to.

override PRODUCT: bool = false;
override EXCLUSIVE: bool = false;
override REVERSE: bool = false;
override TOTALS: bool = false;
override CONTINUED: bool = false;

@group(0) @binding(1) var<storage, read> x: array<Lane>;
@group(0) @binding(2) var<storage, read> before: array<Lane>;
@group(0) @binding(3) var<storage, read_write> y: array<Lane>;

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
    let part = part_of_run(at);
    var sum = truth(PRODUCT);
    if CONTINUED && part > 0u {
        sum = before[at - parameters.inner];
    }
    let begin = part * parameters.steps;
    for (var step = begin; step < min(begin + parameters.steps, parameters.run); step++) {
        let place = select(step, parameters.run - 1u - step, REVERSE);
        let index = first + place * parameters.inner;
        let next = apply(select(1u, 4u, PRODUCT), sum, x[index], 0.0, 0.0);
        if !TOTALS {
            y[index] = next;
        }
        if EXCLUSIVE && !TOTALS {
            y[index] = sum;
        }
        sum = next;
    }
    if TOTALS {
        y[at] = sum;
    }
}
