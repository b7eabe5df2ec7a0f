// y = a·b, batched, and what the epilogue adds.

// How a is read: 0 four steps of a row at once, 1 four rows of a step at once, 2 one by one.
override READS: u32 = 0u;

struct Parameters {
    m: u32,
    n: u32,
    k: u32,
    // Floats between rows and steps of a.
    a_row: u32,
    a_step: u32,
    // Quads between blocks of 32 columns of b, and between its steps.
    b_block: u32,
    b_step: u32,
    // How many parts the steps are shared out in, and steps of a part.
    parts: u32,
    part: u32,
    // Batches by axis, and floats between the matrices of two.
    shape: array<u32, 6>,
    a_strides: array<u32, 6>,
    b_strides: array<u32, 6>,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<Quad>;
@group(0) @binding(2) var<storage, read> weights: array<Quad>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<Made>;
@group(0) @binding(5) var<storage, read_write> y: array<Made>;

fn batch_offsets(batch: u32) -> vec2<u32> {
    var left = batch;
    var offsets = vec2(0u);
    for (var step = 0u; step < 6u; step++) {
        let axis = 5u - step;
        let extent = parameters.shape[axis];
        offsets += (left % extent) * vec2(parameters.a_strides[axis], parameters.b_strides[axis]);
        left /= extent;
    }
    return offsets;
}
