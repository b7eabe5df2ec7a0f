// y = a·wᵀ + bias with weights of a few bits, unpacked where they are multiplied: w = (q - zero) · scale, one scale and
// zero for each block of a column. An invocation makes one column of 8 rows.

// Of a weight: 2, 4 or 8.
override BITS: u32;
// What zeros are: 0 the middle, 1 packed like weights, 2 floats.
override ZEROS: u32;
// Whether a list says of which block each row of w is.
override GROUPED: bool;
override BIAS: bool;

const ROWS = 8u;

struct Parameters {
    m: u32,
    n: u32,
    k: u32,
    // Weights of a block, blocks of a column, bytes of a column's packed zeros.
    block: u32,
    blocks: u32,
    zero_bytes: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<u32>;
@group(0) @binding(3) var<storage, read> scales: array<f32>;
@group(0) @binding(4) var<storage, read> zeros: array<u32>;
@group(0) @binding(5) var<storage, read> blocks: array<u32>;
@group(0) @binding(6) var<storage, read> bias: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

fn zero_of(column: u32, block: u32) -> f32 {
    switch ZEROS {
        case 0u: { return f32(1u << (BITS - 1u)); }
        case 1u: {
            let bit = 8u * column * parameters.zero_bytes + block * BITS;
            return f32(extractBits(zeros[bit / 32u], bit % 32u, BITS));
        }
        default: { return bitcast<f32>(zeros[column * parameters.blocks + block]); }
    }
}

// A scale and a zero.
fn grain(column: u32, k: u32) -> vec2<f32> {
    var block = k / parameters.block;
    if GROUPED {
        block = min(blocks[min(k, parameters.k - 1u)], parameters.blocks - 1u);
    }
    return vec2(scales[column * parameters.blocks + block], zero_of(column, block));
}

@compute @workgroup_size(64, 1)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let column = id.x;
    let row = id.y * ROWS;
    if column >= parameters.n || row >= parameters.m {
        return;
    }
    let each = 32u / BITS;
    let words = parameters.blocks * parameters.block / each;
    // Rows are written out: a loop more would end at a driver's limit.
    let last = vec4(parameters.m - 1u);
    let near = min(vec4(row, row + 1u, row + 2u, row + 3u), last) * parameters.k;
    let far = min(vec4(row + 4u, row + 5u, row + 6u, row + 7u), last) * parameters.k;
    var sums: array<vec4<f32>, 2>;
    for (var word = 0u; word < words; word++) {
        let packed = weights[column * words + word];
        var own = grain(column, word * each);
        for (var part = 0u; part < each; part++) {
            let k = word * each + part;
            if k >= parameters.k {
                break;
            }
            if GROUPED {
                own = grain(column, k);
            }
            let weight = (f32(extractBits(packed, part * BITS, BITS)) - own.y) * own.x;
            sums[0] += weight * vec4(a[near.x + k], a[near.y + k], a[near.z + k], a[near.w + k]);
            sums[1] += weight * vec4(a[far.x + k], a[far.y + k], a[far.z + k], a[far.w + k]);
        }
    }
    var shift = 0.0;
    if BIAS {
        shift = bias[column];
    }
    for (var i = 0u; i < min(ROWS, parameters.m - row); i++) {
        y[(row + i) * parameters.n + column] = sums[i / 4u][i % 4u] + shift;
    }
}
