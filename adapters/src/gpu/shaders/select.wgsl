// Takes each element from one tensor or the other. All three broadcast. An invocation makes whole words.

override SIZE: u32;

struct Parameters {
    count: u32,
    shape: array<u32, 8>,
    strides: array<array<u32, 8>, 3>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> condition: array<u32>;
@group(0) @binding(2) var<storage, read> x: array<u32>;
@group(0) @binding(3) var<storage, read> z: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

fn places(at: u32) -> vec3<u32> {
    var left = at;
    var places = vec3(0u);
    for (var step = 0u; step < RANK; step++) {
        let axis = RANK - 1u - step;
        let extent = parameters.shape[axis];
        let strides = vec3(parameters.strides[0][axis], parameters.strides[1][axis], parameters.strides[2][axis]);
        places += (left % extent) * strides;
        left /= extent;
    }
    return places;
}

fn word_of(holds: bool, index: u32) -> u32 {
    if holds {
        return x[index];
    }
    return z[index];
}

fn bits(at: u32, high: u32) -> u32 {
    let places = places(at);
    let holds = extractBits(condition[places.x / 4u], 8u * (places.x % 4u), 8u) != 0u;
    let index = select(places.z, places.y, holds);
    switch SIZE {
        case 1u: { return extractBits(word_of(holds, index / 4u), 8u * (index % 4u), 8u); }
        case 2u: { return extractBits(word_of(holds, index / 2u), 16u * (index % 2u), 16u); }
        case 8u: { return word_of(holds, 2u * index + high); }
        default: { return word_of(holds, index); }
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let word = place_in_grid(group, groups, local);
    if word >= (parameters.count * SIZE + 3u) / 4u {
        return;
    }
    if SIZE >= 4u {
        y[word] = bits(word * 4u / SIZE, select(0u, word % 2u, SIZE == 8u));
        return;
    }
    let each = 4u / SIZE;
    var made = 0u;
    for (var step = 0u; step < each; step++) {
        let at = min(word * each + step, parameters.count - 1u);
        made |= bits(at, 0u) << (8u * SIZE * step);
    }
    y[word] = made;
}
