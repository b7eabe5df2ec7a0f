// Kernels of 3 by 3 as Winograd's F(2 x 2, 3 x 3) multiplies them (Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks", 2015): G·g·Gᵀ, 16 numbers each, as [place][block of 32 output channels][input channel][32].

struct Parameters {
    count: u32,
    c_in: u32,
    c_out: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// G·g of three numbers that lie so far apart.
fn spread(a: vec3<f32>, b: vec3<f32>, c: vec3<f32>) -> mat4x3<f32> {
    return mat4x3(a, 0.5 * (a + b + c), 0.5 * (a - b + c), c);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // A number of the result's first place.
    let at = place_in_grid(group, groups, local);
    if at >= parameters.count {
        return;
    }
    let channel = at / 32u / parameters.c_in * 32u + at % 32u;
    let first = (min(channel, parameters.c_out - 1u) * parameters.c_in + at / 32u % parameters.c_in) * 9u;
    let upper = vec3(x[first], x[first + 1u], x[first + 2u]);
    let middle = vec3(x[first + 3u], x[first + 4u], x[first + 5u]);
    let lower = vec3(x[first + 6u], x[first + 7u], x[first + 8u]);
    let turned = transpose(spread(upper, middle, lower));
    let all = spread_columns(turned);
    for (var place = 0u; place < 16u; place++) {
        y[place * parameters.count + at] = select(0.0, all[place % 4u][place / 4u], channel < parameters.c_out);
    }
}

// The same along the other axis: a column for each column of the result.
fn spread_columns(x: mat3x4<f32>) -> mat4x4<f32> {
    return mat4x4(x[0], 0.5 * (x[0] + x[1] + x[2]), 0.5 * (x[0] - x[1] + x[2]), x[2]);
}
