// Tiles of 4 by 4 pixels, two apart, as Winograd's F(2 x 2, 3 x 3) multiplies them: Bᵀ·d·B, as [place][channel][tile].

struct Parameters {
    channels: u32,
    // Tiles of all images, and so many that their rows are quads; of one image, and of a row.
    tiles: u32,
    room: u32,
    image_tiles: u32,
    row_tiles: u32,
    h_in: u32,
    w_in: u32,
    pad_h: u32,
    pad_w: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

// A row of a tile; zeros beside the image.
fn row_of(start: u32, row: i32, left: i32) -> vec4<f32> {
    let columns = vec4(left) + vec4(0, 1, 2, 3);
    let width = i32(parameters.w_in);
    let inside = (columns >= vec4(0)) & (columns < vec4(width)) & vec4(row >= 0 && row < i32(parameters.h_in));
    let at = start + select(vec4(0u), vec4<u32>(row * width + columns), inside);
    return select(vec4(0.0), vec4(x[at.x], x[at.y], x[at.z], x[at.w]), inside);
}

fn across(x: vec4<f32>) -> vec4<f32> {
    return vec4(x.x - x.z, x.y + x.z, x.z - x.y, x.y - x.w);
}

fn put(place: u32, at: u32, x: vec4<f32>) {
    let own = across(x);
    let next = parameters.channels * parameters.room;
    y[place * next + at] = own.x;
    y[(place + 1u) * next + at] = own.y;
    y[(place + 2u) * next + at] = own.z;
    y[(place + 3u) * next + at] = own.w;
}

@compute @workgroup_size(32)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if id.x >= parameters.room {
        return;
    }
    // Tiles beyond the last are the last again.
    let tile = min(id.x, parameters.tiles - 1u);
    let image = tile / parameters.image_tiles;
    let inner = tile - image * parameters.image_tiles;
    let start = (image * parameters.channels + id.y) * parameters.h_in * parameters.w_in;
    let at = id.y * parameters.room + id.x;
    let top = 2 * i32(inner / parameters.row_tiles) - i32(parameters.pad_h);
    let left = 2 * i32(inner % parameters.row_tiles) - i32(parameters.pad_w);
    let first = row_of(start, top, left);
    let second = row_of(start, top + 1, left);
    let third = row_of(start, top + 2, left);
    let last = row_of(start, top + 3, left);
    put(0u, at, first - third);
    put(4u, at, second + third);
    put(8u, at, third - second);
    put(12u, at, second - last);
}
