// A convolution by tiles in the memory of workgroups: where its two sides come from.

// Whether four steps are channels of one tap.
override FOURS: bool = false;
const STEPS_FIRST = false;

fn work_of(group: vec3<u32>) -> Work {
    let window = parameters.window;
    let part = group.z % parameters.parts;
    let all = group.z / parameters.parts;
    let family = all % parameters.groups;
    let left = all * parameters.c_in * window.h_in * window.w_in;
    let begin = part * parameters.part;
    let end = min(begin + parameters.part, window.kh * window.kw * parameters.c_in);
    let pixels = window.h_out * window.w_out;
    let channels = parameters.groups * parameters.c_out;
    let start = (all / parameters.groups * parameters.parts + part) * channels * pixels;
    let right = family * parameters.group_quads;
    return Work(left, right, begin, end, start, pixels, family * parameters.c_out, parameters.c_out);
}

// Four pixels of four steps.
fn rows_at(start: u32, pixel: u32, step: u32) -> mat4x4<f32> {
    let corners = corners_of(pixel);
    if FOURS {
        let under = under_tap(corners, step / parameters.c_in);
        let plane = vec4(parameters.window.h_in * parameters.window.w_in);
        let at = under.at + vec4(start) + step % parameters.c_in * plane;
        return mat4x4(
            values_at(at, under.inside),
            values_at(at + plane, under.inside),
            values_at(at + 2u * plane, under.inside),
            values_at(at + 3u * plane, under.inside),
        );
    }
    return mat4x4(
        pixels_at(start, corners, step),
        pixels_at(start, corners, step + 1u),
        pixels_at(start, corners, step + 2u),
        pixels_at(start, corners, step + 3u),
    );
}

fn pixels_at(start: u32, corners: Corners, step: u32) -> vec4<f32> {
    let under = under_tap(corners, step / parameters.c_in);
    let plane = parameters.window.h_in * parameters.window.w_in;
    return values_at(under.at + vec4(start + step % parameters.c_in * plane), under.inside);
}

// Four output channels of four steps.
fn columns_at(start: u32, column: u32, step: u32) -> mat4x4<f32> {
    let at = start + column / 32u * parameters.block_quads + column % 32u / 4u + step * 8u;
    return mat4x4(wide(weights[at]), wide(weights[at + 8u]), wide(weights[at + 16u]), wide(weights[at + 24u]));
}
