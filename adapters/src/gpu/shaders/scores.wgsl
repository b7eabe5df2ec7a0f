// How much a query attends to a key: their product, scaled, capped, and only where lengths, windows and masks let it.
// Queries whose heads share keys are rows of one matrix: the heads follow each other.

// vec4s of a key.
override WIDTH: u32;
// What is masked: 0 nothing, 1 by floats that are added, 2 by truths of a byte.
override MASK: u32 = 0u;
override CAPPED: bool = false;
// Whether what is masked and a row that sees no key come out as a sum, a softmax and a product would have them.
override WRITTEN_OUT: bool = false;
// Whether each batch says how many of its keys count.
override LENGTHS: bool = false;

struct Parameters {
    // Rows of a head of keys, queries of a head, keys, heads of keys.
    rows: u32,
    queries: u32,
    keys: u32,
    heads: u32,
    scale: f32,
    cap: f32,
    // Keys before the first query, and how far a query sees to either side; -1 to the end.
    past: i32,
    left: i32,
    right: i32,
    // vec4s between batches, heads and places of queries, keys, values and the result.
    q: array<u32, 3>,
    k: array<u32, 3>,
    v: array<u32, 3>,
    y: array<u32, 3>,
    // Elements between batches, heads, queries and keys of the mask, and its keys.
    mask: array<u32, 4>,
    mask_keys: u32,
    // Batches times heads of keys, and keys that an invocation goes through.
    lists: u32,
    part: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> q: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> k: array<vec4<f32>>;
@group(0) @binding(3) var<storage, read> mask: array<u32>;
@group(0) @binding(4) var<storage, read> lengths: array<u32>;

// What no score falls below, so that a row that sees no key comes to zero.
const LOWEST = -3.4028234e38;

fn nowhere() -> f32 {
    return bitcast<f32>(0xff800000u);
}

// The head of queries and the query of a row.
fn place_of(row: u32, head: u32) -> vec2<u32> {
    let sharing = parameters.rows / parameters.queries;
    return vec2(head * sharing + row / parameters.queries, row % parameters.queries);
}

fn start_of(steps: array<u32, 3>, batch: u32, head: u32, at: u32) -> u32 {
    return batch * steps[0] + head * steps[1] + at * steps[2];
}

// The first key that a query may see and the one after the last.
fn seen_by(query: u32, batch: u32) -> vec2<i32> {
    var seen = vec2(0, i32(parameters.keys));
    var at = parameters.past + i32(query);
    if LENGTHS {
        let length = bitcast<i32>(lengths[2u * batch]);
        seen.y = clamp(length, 0, seen.y);
        at = length - i32(parameters.queries) + i32(query);
    }
    if parameters.left >= 0 {
        seen.x = max(seen.x, at - parameters.left);
    }
    if parameters.right >= 0 {
        seen.y = min(seen.y, at + parameters.right + 1);
    }
    return seen;
}

fn capped(score: f32) -> f32 {
    if CAPPED {
        return parameters.cap * tanh_of(score / parameters.cap);
    }
    return score;
}

fn masked(score: f32, batch: u32, place: vec2<u32>, key: u32) -> f32 {
    if MASK == 0u {
        return score;
    }
    if key >= parameters.mask_keys {
        return nowhere();
    }
    let steps = parameters.mask;
    let at = batch * steps[0] + place.x * steps[1] + place.y * steps[2] + key * steps[3];
    if MASK == 2u {
        return select(nowhere(), score, extractBits(mask[at / 4u], 8u * (at % 4u), 8u) != 0u);
    }
    let bias = bitcast<f32>(mask[at]);
    return select(score + bias, bias, !WRITTEN_OUT && bias == nowhere());
}

// For four rows at once.
fn exp_of_each(x: vec4<f32>) -> vec4<f32> {
    return vec4(exp_of(x.x), exp_of(x.y), exp_of(x.z), exp_of(x.w));
}
