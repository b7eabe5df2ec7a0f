// Brings runs of elements to mean 0 and variance 1, or to root mean square 1, then scales and shifts them.

// 0 by mean and variance, 1 by root mean square.
override MODE: u32 = 0u;
override SHIFT: bool = true;

struct Parameters {
    count: u32,
    run: u32,
    epsilon: f32,
    // The scale of element e of row r is scales[r % scale_rows · scale_row + e / each].
    scale_row: u32,
    scale_rows: u32,
    each: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read> shifts: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = place_in_grid(group, groups, local);
    if row >= parameters.count {
        return;
    }
    let first = row * parameters.run;
    var mean = 0.0;
    if MODE == 0u {
        for (var step = 0u; step < parameters.run; step++) {
            mean += x[first + step];
        }
        mean /= f32(parameters.run);
    }
    var squares = 0.0;
    for (var step = 0u; step < parameters.run; step++) {
        let off = x[first + step] - mean;
        squares += off * off;
    }
    let scale = inverseSqrt(squares / f32(parameters.run) + parameters.epsilon);
    let weights = row % parameters.scale_rows * parameters.scale_row;
    for (var step = 0u; step < parameters.run; step++) {
        let weight = weights + step / parameters.each;
        var value = (x[first + step] - mean) * scale * scales[weight];
        if SHIFT {
            value += shifts[weight];
        }
        y[first + step] = value;
    }
}
