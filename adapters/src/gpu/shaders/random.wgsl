// Random numbers, four an invocation: Philox4x32-10 of a counter and a key. Source: Salmon et al., "Parallel Random
// Numbers: As Easy as 1, 2, 3", 2011. Normal ones by Box and Muller.

override NORMAL: bool;

struct Parameters {
    count: u32,
    // Lowest and highest, or mean and deviation.
    first: f32,
    second: f32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
// The key's two words, and how many runs there were.
@group(0) @binding(1) var<storage, read> state: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// 32 x 32 bits to 64: high word, low word.
fn product(x: u32, y: u32) -> vec2<u32> {
    let low = (x & 0xffffu) * (y & 0xffffu);
    let cross = (x >> 16u) * (y & 0xffffu) + (low >> 16u);
    let other = (x & 0xffffu) * (y >> 16u) + (cross & 0xffffu);
    return vec2((x >> 16u) * (y >> 16u) + (cross >> 16u) + (other >> 16u), (other << 16u) | (low & 0xffffu));
}

fn philox(start: vec4<u32>) -> vec4<u32> {
    var counter = start;
    var key = vec2(state[0], state[1]);
    for (var turn = 0u; turn < 10u; turn++) {
        let a = product(0xd2511f53u, counter.x);
        let b = product(0xcd9e8d57u, counter.z);
        counter = vec4(b.x ^ counter.y ^ key.x, b.y, a.x ^ counter.w ^ key.y, a.y);
        key += vec2(0x9e3779b9u, 0xbb67ae85u);
    }
    return counter;
}

// From 0 up to, but not, 1.
fn unit(bits: vec4<u32>) -> vec4<f32> {
    return vec4<f32>(bits >> vec4(8u)) / 16777216.0;
}

fn normal(u: vec4<f32>) -> vec4<f32> {
    let radius = sqrt(-2.0 * log(1.0 - u.xz));
    let angle = 6.2831853 * u.yw;
    return vec4(radius.x * cos(angle.x), radius.x * sin(angle.x), radius.y * cos(angle.y), radius.y * sin(angle.y));
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = place_in_grid(group, groups, local);
    if 4u * at >= parameters.count {
        return;
    }
    let u = unit(philox(vec4(at, 0u, state[2], 0u)));
    var drawn = parameters.first + u * (parameters.second - parameters.first);
    if NORMAL {
        drawn = parameters.first + normal(u) * parameters.second;
    }
    // Memory for tensors comes in multiples of four elements.
    y[4u * at] = drawn.x;
    y[4u * at + 1u] = drawn.y;
    y[4u * at + 2u] = drawn.z;
    y[4u * at + 3u] = drawn.w;
}
