// Draws a class for each random number, by how likely each is: the inputs are logarithms of what is not normalised.

struct Parameters {
    count: u32,
    classes: u32,
    samples: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> random: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<i32>;

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
    let first = at / parameters.samples * parameters.classes;
    var largest = x[first];
    for (var class_at = 1u; class_at < parameters.classes; class_at++) {
        largest = max(largest, x[first + class_at]);
    }
    var total = 0.0;
    for (var class_at = 0u; class_at < parameters.classes; class_at++) {
        total += exp_of(x[first + class_at] - largest);
    }
    var left = random[at] * total;
    var chosen = 0u;
    for (; chosen + 1u < parameters.classes; chosen++) {
        left -= exp_of(x[first + chosen] - largest);
        if left < 0.0 {
            break;
        }
    }
    y[at] = i32(chosen);
}
