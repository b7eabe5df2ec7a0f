// What lies in boxes of an image, each box cut into bins of one number: the mean or the largest of samples in a bin.
// A pass visits some rows of samples, and goes on from what those before it left in y.

override LARGEST: bool = false;
// Whether an element's place is its centre.
override HALF_PIXEL: bool = false;
override INDEX_WORDS: u32;

struct Parameters {
    count: u32,
    images: u32,
    channels: u32,
    rows: u32,
    columns: u32,
    bin_rows: u32,
    bin_columns: u32,
    // Along an axis of a bin; 0 for one sample an element.
    samples: u32,
    scale: f32,
    // The rows of samples of this pass, counted from the first that is visited.
    pass_first: u32,
    pass_rows: u32,
    // Samples of a row that are visited at most.
    visits: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> boxes: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> images: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// A bin along one axis: samples lie at start + (i + 0.5) · step.
struct Bin {
    start: f32,
    step: f32,
    samples: i32,
    // Those that are visited: the others lie beside the image.
    first: i32,
    last: i32,
}

fn bin_of(low: f32, high: f32, at: u32, bins: u32, extent: u32) -> Bin {
    let offset = select(0.0, 0.5, HALF_PIXEL);
    let start = low * parameters.scale - offset;
    var size = high * parameters.scale - offset - start;
    if !HALF_PIXEL {
        size = max(size, 1.0);
    }
    size /= f32(bins);
    var bin: Bin;
    bin.samples = i32(parameters.samples);
    if parameters.samples == 0u {
        bin.samples = i32(clamp(ceil(size), 0.0, 1e9));
    }
    bin.start = start + f32(at) * size;
    bin.step = size / f32(max(bin.samples, 1));
    bin.last = bin.samples;
    if parameters.samples == 0u && bin.samples > 0 {
        bin.first = i32(clamp(floor((-1.0 - bin.start) / bin.step) - 1.0, 0.0, 1e9));
        bin.last = min(bin.samples, i32(clamp(ceil((f32(extent) - bin.start) / bin.step) + 1.0, 0.0, 1e9)));
    }
    return bin;
}

// The four neighbours of a place, weighted; zeros beside the image.
fn neighbours(plane: u32, place: vec2<f32>) -> vec4<f32> {
    let extents = vec2(f32(parameters.rows), f32(parameters.columns));
    if any(place < vec2(-1.0)) || any(place > extents) {
        return vec4(0.0);
    }
    let inside = clamp(place, vec2(0.0), extents - 1.0);
    let low = floor(inside);
    let rest = inside - low;
    let high = min(low + 1.0, extents - 1.0);
    let top = plane + u32(low.x) * parameters.columns;
    let bottom = plane + u32(high.x) * parameters.columns;
    let values = vec4(x[top + u32(low.y)], x[top + u32(high.y)], x[bottom + u32(low.y)], x[bottom + u32(high.y)]);
    let down = vec4(1.0 - rest.xx, rest.xx);
    return values * down * vec4(1.0 - rest.y, rest.y, 1.0 - rest.y, rest.y);
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let at = place_in_grid(group, groups, local);
    if at >= parameters.count {
        return;
    }
    let bins = parameters.bin_rows * parameters.bin_columns;
    let region = at / bins / parameters.channels;
    let image = min(images[region * INDEX_WORDS], parameters.images - 1u);
    let channel = image * parameters.channels + at / bins % parameters.channels;
    let box = boxes[region];
    let down = bin_of(box.y, box.w, at / parameters.bin_columns % parameters.bin_rows, parameters.bin_rows, parameters.rows);
    let across = bin_of(box.x, box.z, at % parameters.bin_columns, parameters.bin_columns, parameters.columns);
    let plane = channel * parameters.rows * parameters.columns;
    // Samples beside the image count as zeros.
    let all = down.first == 0 && down.last == down.samples && across.first == 0 && across.last == across.samples;
    var result = select(0.0, bitcast<f32>(0xff800000u), LARGEST && all && down.samples > 0 && across.samples > 0);
    if parameters.pass_first > 0u {
        result = y[at];
    }
    var sum = 0.0;
    let first = down.first + i32(parameters.pass_first);
    let last = min(down.last, first + i32(parameters.pass_rows));
    // What floats round beyond 2^24 elements makes a row no longer.
    let end = min(across.last, across.first + i32(parameters.visits));
    for (var i = first; i < last; i++) {
        for (var j = across.first; j < end; j++) {
            let row = down.start + (f32(i) + 0.5) * down.step;
            let values = neighbours(plane, vec2(row, across.start + (f32(j) + 0.5) * across.step));
            sum += dot(values, vec4(1.0));
            result = select(result, max(result, max(max(values.x, values.y), max(values.z, values.w))), LARGEST);
        }
    }
    y[at] = select(result + sum / max(f32(down.samples) * f32(across.samples), 1.0), result, LARGEST);
}
