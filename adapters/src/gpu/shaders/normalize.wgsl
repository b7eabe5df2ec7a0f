// Brings runs of elements to mean 0 and variance 1, or to root mean square 1, then scales and shifts them.

// 0 by mean and variance, 1 by root mean square.
override MODE: u32 = 0u;
override SHIFT: bool = true;

struct Parameters {
    count: u32,
    run: u32,
    epsilon: f32,
    // The scale of element e of row r is scales[r % scale_rows · scale_row + e / each].
    scale_row: u32,
    scale_rows: u32,
    each: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scales: array<f32>;
@group(0) @binding(3) var<storage, read> shifts: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

// How far an element is from the first of its row: of numbers far from zero that keeps the digits in which they differ.
fn off(at: u32, first: u32) -> f32 {
    return select(x[at], x[at] - x[first], MODE == 0u);
}

// An element once the mean and the scale of its row are known.
fn normal(off: f32, mean: f32, scale: f32, weight: u32) -> f32 {
    let value = (off - mean) * scale * scales[weight];
    if SHIFT {
        return value + shifts[weight];
    }
    return value;
}
