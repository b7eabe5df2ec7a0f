// y = a·b of halves, summed up as floats in matrices of 16 by 16 that subgroups of 32 hold together: a workgroup computes
// 128 by 128, each of its eight subgroups 64 by 32.

struct Parameters {
    m: u32,
    n: u32,
    k: u32,
    // Batches by axis, and halves between the matrices of two.
    shape: array<u32, 6>,
    a_strides: array<u32, 6>,
    b_strides: array<u32, 6>,
    epilogue: Epilogue,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<vec4<f16>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<f16>>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> residual: array<Made>;
@group(0) @binding(5) var<storage, read_write> y: array<Made>;

alias Left = coop_mat16x16<f16, A>;
alias Right = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;

const TILE = 128u;
const DEPTH = 32u;
// Quads between rows in memory: two more than there are, so that eight rows begin at eight banks.
const LEFT_ROW = 10u;
const RIGHT_ROW = 34u;

var<workgroup> lefts: array<vec4<f16>, 1280>;
var<workgroup> rights: array<vec4<f16>, 1088>;
// Sums of each subgroup on their way through the epilogue.
var<workgroup> corners: array<vec4<f32>, 512>;

// Where an invocation's share of the next steps lies: four quads of a and of b each.
struct Work {
    left: u32,
    right: u32,
    corner: vec2<u32>,
    local: u32,
}

fn left_quad(work: Work, first: u32, i: u32) -> vec4<f16> {
    let row = min(work.corner.x + work.local / 8u + 32u * i, parameters.m - 1u);
    let step = first + work.local % 8u * 4u;
    return select(vec4(0.0h), a[(work.left + row * parameters.k + step) / 4u], step < parameters.k);
}

fn right_quad(work: Work, first: u32, i: u32) -> vec4<f16> {
    let step = first + work.local / 32u + 8u * i;
    let column = work.corner.y + work.local % 32u * 4u;
    return select(vec4(0.0h), b[(work.right + step * parameters.n + column) / 4u], step < parameters.k);
}

fn bring_left(work: Work, first: u32) -> mat4x4<f16> {
    return mat4x4(left_quad(work, first, 0u), left_quad(work, first, 1u), left_quad(work, first, 2u), left_quad(work, first, 3u));
}

fn bring_right(work: Work, first: u32) -> mat4x4<f16> {
    return mat4x4(right_quad(work, first, 0u), right_quad(work, first, 1u), right_quad(work, first, 2u), right_quad(work, first, 3u));
}

fn keep(left: mat4x4<f16>, right: mat4x4<f16>, local: u32) {
    let row = local / 8u * LEFT_ROW + local % 8u;
    lefts[row] = left[0];
    lefts[row + 32u * LEFT_ROW] = left[1];
    lefts[row + 64u * LEFT_ROW] = left[2];
    lefts[row + 96u * LEFT_ROW] = left[3];
    let step = local / 32u * RIGHT_ROW + local % 32u;
    rights[step] = right[0];
    rights[step + 8u * RIGHT_ROW] = right[1];
    rights[step + 16u * RIGHT_ROW] = right[2];
    rights[step + 24u * RIGHT_ROW] = right[3];
}

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

// Stores 16 by 16 sums of a subgroup; two quads each of its invocations.
fn settle(sums: Sums, start: u32, place: vec2<u32>, subgroup: u32, lane: u32) {
    let first = 64u * subgroup;
    workgroupBarrier();
    coopStoreT(sums, &corners[first], 4u);
    workgroupBarrier();
    for (var quad = lane; quad < 64u; quad += 32u) {
        let row = place.x + quad / 4u;
        finish(start, row, place.y + quad % 4u * 4u, parameters.m, parameters.n, corners[first + quad]);
    }
}

@compute @workgroup_size(256)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let starts = batch_offsets(group.z);
    let work = Work(starts.x, starts.y, group.xy * TILE, local);
    let row = subgroup / 4u * 64u;
    let column = subgroup % 4u * 32u;
    var sums: array<Sums, 8>;
    var left = bring_left(work, 0u);
    var right = bring_right(work, 0u);
    for (var step = 0u; step < parameters.k; step += DEPTH) {
        keep(left, right, local);
        workgroupBarrier();
        if step + DEPTH < parameters.k {
            left = bring_left(work, step + DEPTH);
            right = bring_right(work, step + DEPTH);
        }
        for (var inner = 0u; inner < DEPTH; inner += 16u) {
            let near = coopLoadT<Right>(&rights[inner * RIGHT_ROW + column / 4u], RIGHT_ROW);
            let far = coopLoadT<Right>(&rights[inner * RIGHT_ROW + column / 4u + 4u], RIGHT_ROW);
            let a0 = coopLoadT<Left>(&lefts[row * LEFT_ROW + inner / 4u], LEFT_ROW);
            sums[0] = coopMultiplyAdd(a0, near, sums[0]);
            sums[1] = coopMultiplyAdd(a0, far, sums[1]);
            let a1 = coopLoadT<Left>(&lefts[(row + 16u) * LEFT_ROW + inner / 4u], LEFT_ROW);
            sums[2] = coopMultiplyAdd(a1, near, sums[2]);
            sums[3] = coopMultiplyAdd(a1, far, sums[3]);
            let a2 = coopLoadT<Left>(&lefts[(row + 32u) * LEFT_ROW + inner / 4u], LEFT_ROW);
            sums[4] = coopMultiplyAdd(a2, near, sums[4]);
            sums[5] = coopMultiplyAdd(a2, far, sums[5]);
            let a3 = coopLoadT<Left>(&lefts[(row + 48u) * LEFT_ROW + inner / 4u], LEFT_ROW);
            sums[6] = coopMultiplyAdd(a3, near, sums[6]);
            sums[7] = coopMultiplyAdd(a3, far, sums[7]);
        }
        workgroupBarrier();
    }
    let start = group.z * parameters.m * parameters.n;
    let place = work.corner + vec2(row, column);
    settle(sums[0], start, place, subgroup, lane);
    settle(sums[1], start, place + vec2(0u, 16u), subgroup, lane);
    settle(sums[2], start, place + vec2(16u, 0u), subgroup, lane);
    settle(sums[3], start, place + vec2(16u, 16u), subgroup, lane);
    settle(sums[4], start, place + vec2(32u, 0u), subgroup, lane);
    settle(sums[5], start, place + vec2(32u, 16u), subgroup, lane);
    settle(sums[6], start, place + vec2(48u, 0u), subgroup, lane);
    settle(sums[7], start, place + vec2(48u, 16u), subgroup, lane);
}
