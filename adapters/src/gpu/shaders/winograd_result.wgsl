// From products of tiles to pixels, and what the epilogue adds: Aᵀ·m·A.

// Whether rows of the result are quads: an invocation then makes those of two neighbouring tiles, four pixels in two rows;
// else any four neighbouring pixels of a plane, one by one.
override ALIGNED: bool = false;

struct Parameters {
    count: u32,
    channels: u32,
    // Tiles as `winograd_tiles.wgsl` has them; of one image, and of a row.
    room: u32,
    image_tiles: u32,
    row_tiles: u32,
    h_out: u32,
    w_out: u32,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<Quad>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> residual: array<Made>;
@group(0) @binding(4) var<storage, read_write> y: array<Made>;

// From one place of a tile to the next.
fn next_place() -> u32 {
    return parameters.channels * parameters.room;
}

// Three neighbouring places of four pixels, as their column in the tile adds them: all three, or the first less the others.
fn across(at: vec4<u32>, odd: vec4<bool>) -> vec4<f32> {
    let first = values_at(at);
    let others = values_at(at + vec4(next_place()));
    let last = values_at(at + vec4(2u * next_place()));
    return first + select(others + last, -others - last, odd);
}

fn values_at(at: vec4<u32>) -> vec4<f32> {
    return vec4(of_a(at.x), of_a(at.y), of_a(at.z), of_a(at.w));
}

fn one_by_one(plane: u32, pixel: u32) {
    let pixels = parameters.h_out * parameters.w_out;
    let channel = plane % parameters.channels;
    let image = plane / parameters.channels;
    let places = min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(pixels - 1u));
    let row = places / parameters.w_out;
    let column = places % parameters.w_out;
    let tile = image * parameters.image_tiles + row / 2u * parameters.row_tiles + column / 2u;
    let odd = column % 2u == vec4(1u);
    let at = channel * parameters.room + tile + (row % 2u * 4u + column % 2u) * next_place();
    let first = across(at, odd);
    let others = across(at + vec4(4u * next_place()), odd) + across(at + vec4(8u * next_place()), odd);
    let sum = first + select(others, -others, row % 2u == vec4(1u));
    finish((plane - channel) * pixels, pixel, channel, pixels, parameters.channels, sum);
}

// A row of places of two neighbouring tiles, as their columns add them.
fn pair(at: u32) -> vec4<f32> {
    let second = at + next_place();
    let third = second + next_place();
    let last = third + next_place();
    let near = vec2(of_a(at), of_a(at + 1u));
    let inner = vec2(of_a(second), of_a(second + 1u));
    let outer = vec2(of_a(third), of_a(third + 1u));
    let far = vec2(of_a(last), of_a(last + 1u));
    let even = near + inner + outer;
    let odd = inner - outer - far;
    return vec4(even.x, odd.x, even.y, odd.y);
}

fn by_tiles(plane: u32, row: u32, column: u32) {
    let pixels = parameters.h_out * parameters.w_out;
    let channel = plane % parameters.channels;
    let tile = plane / parameters.channels * parameters.image_tiles + row / 2u * parameters.row_tiles + column / 2u;
    let at = channel * parameters.room + tile;
    let first = pair(at);
    let second = pair(at + 4u * next_place());
    let third = pair(at + 8u * next_place());
    let last = pair(at + 12u * next_place());
    let start = (plane - channel) * pixels;
    let pixel = row * parameters.w_out + column;
    finish(start, pixel, channel, pixels, parameters.channels, first + second + third);
    // Beyond the last row nothing is stored.
    finish(start, pixel + parameters.w_out, channel, pixels, parameters.channels, second - third - last);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = place_in_grid(group, groups, local);
    if id >= parameters.count {
        return;
    }
    // Planes of all images.
    if ALIGNED {
        let quads = parameters.w_out / 4u;
        let rows = (parameters.h_out + 1u) / 2u;
        by_tiles(id / quads / rows, id / quads % rows * 2u, id % quads * 4u);
    } else {
        let quads = (parameters.h_out * parameters.w_out + 3u) / 4u;
        one_by_one(id / quads, id % quads * 4u);
    }
}
