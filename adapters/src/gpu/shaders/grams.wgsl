// How often each n-gram is in each row, with up to so many elements left out between its own.

// 0 is how often, 1 whether, 2 how often; the last two times a weight.
override MODE: u32;

struct Parameters {
    // Rows times n-grams, n-grams, elements of a row, distances, elements of the longest.
    count: u32,
    grams: u32,
    length: u32,
    distances: u32,
    longest: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<vec2<u32>>;
// Where each begins in the pool, and its length; 0 where there is none.
@group(0) @binding(2) var<storage, read> grams: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> pool: array<vec2<u32>>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn equals(first: u32, distance: u32, gram: vec2<u32>) -> bool {
    for (var step = 0u; step < gram.y; step++) {
        if any(x[first + step * distance] != pool[gram.x + step]) {
            return false;
        }
    }
    return true;
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
    let gram = grams[at % parameters.grams];
    let row = at / parameters.grams * parameters.length;
    var found = 0u;
    // A single element has nothing to leave out.
    let distances = select(parameters.distances, min(gram.y, 1u), gram.y < 2u);
    for (var distance = 1u; distance <= distances; distance++) {
        let reach = distance * (gram.y - 1u);
        for (var start = 0u; start + reach < parameters.length; start++) {
            found += select(0u, 1u, equals(row + start, distance, gram));
        }
    }
    switch MODE {
        case 0u: { y[at] = f32(found); }
        case 1u: { y[at] = select(0.0, weights[at % parameters.grams], found > 0u); }
        default: { y[at] = f32(found) * weights[at % parameters.grams]; }
    }
}
