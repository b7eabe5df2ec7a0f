// A tensor out of a frame: crop, resize, colour, layout, scale, bias and element in one pass. An invocation makes whole
// words: of the pixels that share them, or one word where planes end inside of them. Where the samples lie and what they
// weigh is worked out once for each axis.

override NHWC: bool = false;
// Components of the frame that count, and channels of the view.
override COMPONENTS: u32 = 3u;
override CHANNELS: u32 = 3u;
// Elements of a word: floats of 32 bits, of 16, or bytes.
override SHARE: u32 = 1u;
// Whether a word's elements are of as many pixels in a row, in all channels.
override WHOLE: bool = true;

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
@group(0) @binding(3) var<storage, read_write> y: array<u32>;

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

// All channels of a pixel, scaled.
fn colour_at(pixel: u32) -> vec3<f32> {
    let column = pixel % parameters.width;
    let line = pixel / parameters.width;
    // Left of or above the crop, the difference wraps beyond its extent.
    let inside = column - parameters.left < parameters.placed_width && line - parameters.top < parameters.placed_height;
    var components = vec3(0.0);
    if inside {
        for (var component = 0u; component < COMPONENTS; component++) {
            components[component] = component_at(component, column - parameters.left, line - parameters.top);
        }
    }
    var colour = vec3(0.0);
    for (var channel = 0u; channel < CHANNELS; channel++) {
        let mix = parameters.mix[channel];
        var value = parameters.fill;
        if inside {
            value = clamp(dot(vec3(mix[0], mix[1], mix[2]), components) + parameters.offsets[channel], 0.0, 255.0);
        }
        colour[channel] = value * parameters.scales[channel] + parameters.biases[channel];
    }
    return colour;
}

// A value where its element lies in a word. A byte is rounded and cut.
fn bits(value: f32, element: u32) -> u32 {
    if SHARE == 4u {
        return u32(clamp(value + 0.5, 0.0, 255.0)) << (8u * (element % 4u));
    }
    if SHARE == 2u {
        return to_f16(value) << (16u * (element % 2u));
    }
    return bitcast<u32>(value);
}

// As many words as there are channels.
fn store_pixels(at: u32, pixels: u32) {
    var words = vec3(0u);
    for (var i = 0u; i < SHARE; i++) {
        let colour = colour_at(min(at * SHARE + i, pixels - 1u));
        for (var channel = 0u; channel < CHANNELS; channel++) {
            let element = select(channel * SHARE + i, i * CHANNELS + channel, NHWC);
            words[element / SHARE] |= bits(colour[channel], element);
        }
    }
    for (var word = 0u; word < CHANNELS; word++) {
        let index = select(word * (pixels / SHARE) + at, at * CHANNELS + word, NHWC);
        if index * SHARE < pixels * CHANNELS {
            y[index] = words[word];
        }
    }
}

fn store_word(at: u32, pixels: u32) {
    var word = 0u;
    for (var i = 0u; i < SHARE; i++) {
        let element = min(at * SHARE + i, pixels * CHANNELS - 1u);
        word |= bits(colour_at(element % pixels)[element / pixels], i);
    }
    y[at] = word;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = place_in_grid(group, groups, local);
    let pixels = parameters.width * parameters.height;
    if WHOLE && at * SHARE < pixels {
        store_pixels(at, pixels);
    } else if !WHOLE && at * SHARE < pixels * CHANNELS {
        store_word(at, pixels);
    }
}
