// Boxes of images and how much two of them overlap. A box is a number from 1 on; 0 is none.

// A box is its centre and size, not two of its corners.
override CENTRED: bool;

struct Parameters {
    // Invocations; classes of an image, boxes of an image, candidates and places for what is kept of each class.
    count: u32,
    classes: u32,
    boxes: u32,
    candidates: u32,
    kept: u32,
    // The first candidate and how many there are this time.
    first: u32,
    part: u32,
    threshold: f32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> boxes: array<vec4<f32>>;

// Lowest and highest corner.
fn corners(class_at: u32, number: u32) -> vec4<f32> {
    let box = boxes[class_at / parameters.classes * parameters.boxes + number - 1u];
    if CENTRED {
        return vec4(box.xy - box.zw / 2.0, box.xy + box.zw / 2.0);
    }
    return vec4(min(box.xy, box.zw), max(box.xy, box.zw));
}

fn area(size: vec2<f32>) -> f32 {
    return size.x * size.y;
}

fn overlaps(class_at: u32, a: u32, b: u32) -> bool {
    let first = corners(class_at, a);
    let second = corners(class_at, b);
    let inside = min(first.zw, second.zw) - max(first.xy, second.xy);
    if inside.x <= 0.0 || inside.y <= 0.0 {
        return false;
    }
    let one = area(first.zw - first.xy);
    let other = area(second.zw - second.xy);
    let whole = one + other - area(inside);
    return one > 0.0 && other > 0.0 && whole > 0.0 && area(inside) / whole > parameters.threshold;
}

