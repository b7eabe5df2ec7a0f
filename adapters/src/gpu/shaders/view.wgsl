// A tensor out of a frame: crop, resize, colour, layout, scale and bias in one pass, a pixel an invocation. Where the
// samples lie and what they weigh is worked out once for each axis.

override NHWC: bool = false;
// Components of the frame that count, and channels of the view.
override COMPONENTS: u32 = 3u;
override CHANNELS: u32 = 3u;

struct Parameters {
    width: u32,
    height: u32,
    // Where the crop comes to lie.
    left: u32,
    top: u32,
    placed_width: u32,
    placed_height: u32,
    fill: f32,
    // Of each component: its first byte, bytes between samples, bytes between rows, and where its taps begin.
    starts: array<u32, 3>,
    steps: array<u32, 3>,
    pitches: array<u32, 3>,
    across: array<u32, 3>,
    down: array<u32, 3>,
    // A row for each channel, then what is added to each.
    mix: array<array<f32, 3>, 3>,
    offsets: array<f32, 3>,
    scales: array<f32, 3>,
    biases: array<f32, 3>,
}

// Two neighbours and the weight of the second.
struct Tap {
    near: u32,
    far: u32,
    weight: f32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> pixels: array<u32>;
@group(0) @binding(2) var<storage, read> taps: array<Tap>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn sample(at: u32) -> f32 {
    return f32(extractBits(pixels[at / 4u], 8u * (at % 4u), 8u));
}

fn row(component: u32, start: u32, across: Tap) -> f32 {
    let step = parameters.steps[component];
    let near = sample(start + across.near * step);
    return near + (sample(start + across.far * step) - near) * across.weight;
}

fn component_at(component: u32, column: u32, line: u32) -> f32 {
    let across = taps[parameters.across[component] + column];
    let down = taps[parameters.down[component] + line];
    let start = parameters.starts[component];
    let pitch = parameters.pitches[component];
    let near = row(component, start + down.near * pitch, across);
    return near + (row(component, start + down.far * pitch, across) - near) * down.weight;
}

fn index(channel: u32, column: u32, line: u32) -> u32 {
    if NHWC {
        return (line * parameters.width + column) * CHANNELS + channel;
    }
    return (channel * parameters.height + line) * parameters.width + column;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = place_in_grid(group, groups, local);
    if at >= parameters.width * parameters.height {
        return;
    }
    let column = at % parameters.width;
    let line = at / parameters.width;
    // Left of or above the crop, the difference wraps beyond its extent.
    let inside = column - parameters.left < parameters.placed_width && line - parameters.top < parameters.placed_height;
    var components = vec3(0.0);
    if inside {
        for (var component = 0u; component < COMPONENTS; component++) {
            components[component] = component_at(component, column - parameters.left, line - parameters.top);
        }
    }
    for (var channel = 0u; channel < CHANNELS; channel++) {
        let mix = parameters.mix[channel];
        var value = parameters.fill;
        if inside {
            value = clamp(dot(vec3(mix[0], mix[1], mix[2]), components) + parameters.offsets[channel], 0.0, 255.0);
        }
        y[index(channel, column, line)] = value * parameters.scales[channel] + parameters.biases[channel];
    }
}
