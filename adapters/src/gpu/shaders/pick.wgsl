// What a classifier lost at the class that was right: y[n, d] = -weight · x[n, target[n, d], d], or the weight itself.

// The result is the weight, not the loss.
override WEIGHT: bool;
// Each class has a weight of its own.
override WEIGHTED: bool;
override TARGET_WORDS: u32;
// One target stands for no class.
override IGNORES: bool;

struct Parameters {
    count: u32,
    classes: u32,
    inner: u32,
    ignored: i32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> targets: array<u32>;
@group(0) @binding(3) var<storage, read> weights: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

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
    let right = bitcast<i32>(targets[at * TARGET_WORDS]);
    if IGNORES && right == parameters.ignored {
        y[at] = 0.0;
        return;
    }
    let label = u32(clamp(right, 0, i32(parameters.classes) - 1));
    var weight = 1.0;
    if WEIGHTED {
        weight = weights[label];
    }
    if WEIGHT {
        y[at] = weight;
        return;
    }
    let sample = at / parameters.inner * parameters.classes + label;
    y[at] = -weight * x[sample * parameters.inner + at % parameters.inner];
}
