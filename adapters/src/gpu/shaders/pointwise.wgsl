// A chain of operators on elements at the same place: y = opN(… op1(op0(a, _), other), …). Operands broadcast.

// Elements of the operands and of the result.
override A: u32;
override B: u32 = 0u;
override C: u32 = 0u;
override D: u32 = 0u;
override Y: u32;
// The element of numbers in the parameters.
override NUMBER: u32 = 0u;
// Whether an operand has the result's shape and is contiguous, else it is read by strides.
override A_DENSE: bool = true;
override B_DENSE: bool = false;
override C_DENSE: bool = false;
override D_DENSE: bool = false;
// Elements of four words where all are words or all are halves: dense operands and the result then come and go by as
// many; 0 otherwise.
override QUAD: u32 = 0u;
// How many axes are walked; the others have one place.
override AXES: u32 = RANK;
// The chain: what is done, and with which operand (0 to 3; 4: the number in the parameters).
override LENGTH: u32;
override OP0: u32 = 0u;
override OP1: u32 = 0u;
override OP2: u32 = 0u;
override OP3: u32 = 0u;
override OP4: u32 = 0u;
override OP5: u32 = 0u;
override WITH0: u32 = 4u;
override WITH1: u32 = 4u;
override WITH2: u32 = 4u;
override WITH3: u32 = 4u;
override WITH4: u32 = 4u;
override WITH5: u32 = 4u;

struct Parameters {
    count: u32,
    shape: array<u32, 8>,
    strides: array<array<u32, 8>, 4>,
    // For each link of the chain: the number's low and high word, and two attributes.
    numbers: array<vec2<u32>, 6>,
    attributes: array<vec2<f32>, 6>,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> a: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read> b: array<vec4<u32>>;
@group(0) @binding(3) var<storage, read> c: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> d: array<vec4<u32>>;
@group(0) @binding(5) var<storage, read_write> y: array<vec4<u32>>;

// Four words of dense operands that are in hand.
var<private> quad_a: vec4<u32>;
var<private> quad_b: vec4<u32>;
var<private> quad_c: vec4<u32>;
var<private> quad_d: vec4<u32>;

fn load(quad: u32) {
    if A_DENSE {
        quad_a = a[quad];
    }
    if B_DENSE {
        quad_b = b[quad];
    }
    if C_DENSE {
        quad_c = c[quad];
    }
    if D_DENSE {
        quad_d = d[quad];
    }
}

fn in_hand(operand: u32) -> vec4<u32> {
    switch operand {
        case 0u: { return quad_a; }
        case 1u: { return quad_b; }
        case 2u: { return quad_c; }
        default: { return quad_d; }
    }
}

fn word(operand: u32, index: u32) -> u32 {
    switch operand {
        case 0u: { return a[index / 4u][index % 4u]; }
        case 1u: { return b[index / 4u][index % 4u]; }
        case 2u: { return c[index / 4u][index % 4u]; }
        default: { return d[index / 4u][index % 4u]; }
    }
}

fn strided(operand: u32, index: u32) -> u32 {
    var left = index;
    var offset = 0u;
    for (var step = 0u; step < AXES; step++) {
        let axis = RANK - 1u - step;
        let extent = parameters.shape[axis];
        offset += (left % extent) * parameters.strides[operand][axis];
        left /= extent;
    }
    return offset;
}

fn element_at(operand: u32, element: u32, dense: bool, at: u32) -> Lane {
    if QUAD != 0u && dense {
        return decode(element, in_hand(operand)[at * 4u / max(QUAD, 1u) % 4u], 0u, at);
    }
    var index = at;
    if !dense {
        index = strided(operand, at);
    }
    let first = index * bytes_of(element) / 4u;
    var high = 0u;
    if bytes_of(element) == 8u {
        high = word(operand, first + 1u);
    }
    return decode(element, word(operand, first), high, index);
}

fn operand(number: u32, link: u32, at: u32) -> Lane {
    switch number {
        case 0u: { return element_at(0u, A, A_DENSE, at); }
        case 1u: { return element_at(1u, B, B_DENSE, at); }
        case 2u: { return element_at(2u, C, C_DENSE, at); }
        case 3u: { return element_at(3u, D, D_DENSE, at); }
        default: { return decode(NUMBER, parameters.numbers[link].x, parameters.numbers[link].y, 0u); }
    }
}

fn link(x: Lane, number: u32, op: u32, other: u32, at: u32) -> Lane {
    if number >= LENGTH {
        return x;
    }
    let attributes = parameters.attributes[number];
    return apply(op, x, operand(other, number, at), attributes.x, attributes.y);
}

fn chain(at: u32) -> Lane {
    var x = element_at(0u, A, A_DENSE, at);
    x = link(x, 0u, OP0, WITH0, at);
    x = link(x, 1u, OP1, WITH1, at);
    x = link(x, 2u, OP2, WITH2, at);
    x = link(x, 3u, OP3, WITH3, at);
    x = link(x, 4u, OP4, WITH4, at);
    return link(x, 5u, OP5, WITH5, at);
}

fn by_quads(quad: u32) {
    load(quad);
    var made = vec4(0u);
    for (var step = 0u; step < QUAD; step++) {
        let x = chain(min(QUAD * quad + step, parameters.count - 1u));
        let own = vec4(0u, 1u, 2u, 3u) == vec4(step * 4u / max(QUAD, 1u));
        made |= select(vec4(0u), vec4(encode(Y, x, step)), own);
    }
    y[quad] = made;
}

fn put(word: u32, bits: u32) {
    y[word / 4u][word % 4u] = bits;
}

fn one_by_one(first: u32) {
    let size = bytes_of(Y);
    var gathered = 0u;
    for (var step = 0u; step < 4u; step++) {
        let x = chain(min(first + step, parameters.count - 1u));
        if size >= 4u {
            let word = (first + step) * size / 4u;
            put(word, encode(Y, x, 0u));
            if size == 8u {
                put(word + 1u, encode_high(Y, x));
            }
        } else {
            gathered |= encode(Y, x, step);
            if (step + 1u) % (4u / size) == 0u {
                put((first + step) * size / 4u, gathered);
                gathered = 0u;
            }
        }
    }
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let all = groups.x * groups.y * GROUP;
    let each = select(QUAD, 4u, QUAD == 0u);
    for (var quad = place_in_grid(group, groups, local); quad < (parameters.count + each - 1u) / each; quad += all) {
        if QUAD != 0u {
            by_quads(quad);
        } else {
            one_by_one(4u * quad);
        }
    }
}
