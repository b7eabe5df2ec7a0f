// Convolution of images as a product whose left side is gathered: a row is a pixel of the result, a column an output
// channel, a step a channel of a tap. Weights lie as [group][block of 32 output channels][kh · kw][c][32].

struct Parameters {
    groups: u32,
    // Channels of a group, in and out.
    c_in: u32,
    c_out: u32,
    // Quads of a group's weights, and of a block's.
    group_quads: u32,
    block_quads: u32,
    // How many parts the steps are shared out in, and steps of a part.
    parts: u32,
    part: u32,
    window: Window,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<Quad>;
@group(0) @binding(2) var<storage, read> weights: array<Quad>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<Made>;
@group(0) @binding(5) var<storage, read_write> y: array<Made>;

// Where four pixels' windows begin; pixels beyond the last are the last again: a subgroup stays together.
struct Corners {
    top: vec4<i32>,
    left: vec4<i32>,
}

// What four windows have under a tap, which may lie outside of the image.
struct Under {
    at: vec4<u32>,
    inside: vec4<bool>,
}

fn corners_of(pixel: u32) -> Corners {
    let window = parameters.window;
    let places = min(vec4(pixel) + vec4(0u, 1u, 2u, 3u), vec4(window.h_out * window.w_out - 1u));
    let top = vec4<i32>(places / window.w_out * window.stride_h) - vec4(i32(window.pad_h));
    let left = vec4<i32>(places % window.w_out * window.stride_w) - vec4(i32(window.pad_w));
    return Corners(top, left);
}

fn under_tap(corners: Corners, tap: u32) -> Under {
    let window = parameters.window;
    let rows = corners.top + vec4(i32(tap / window.kw * window.dilation_h));
    let columns = corners.left + vec4(i32(tap % window.kw * window.dilation_w));
    let inside = (rows >= vec4(0)) & (rows < vec4(i32(window.h_in))) & (columns >= vec4(0)) & (columns < vec4(i32(window.w_in)));
    return Under(select(vec4(0u), vec4<u32>(rows * i32(window.w_in) + columns), inside), inside);
}

fn values_at(at: vec4<u32>, inside: vec4<bool>) -> vec4<f32> {
    return select(vec4(0.0), vec4(of_a(at.x), of_a(at.y), of_a(at.z), of_a(at.w)), inside);
}
