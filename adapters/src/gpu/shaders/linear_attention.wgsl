// Linear attention: a state of keys by values, which fades, is corrected and grows with each place, and is read by the
// queries. Columns of the state know nothing of each other, so an invocation keeps one, at the end of its result.

// Whether the state fades: 0 never, 1 as a head, 2 each key's element.
override DECAY: u32 = 0u;
// Whether a value is what the state does not know yet.
override DELTA: bool = false;
// Whether there is a state before the first place.
override PAST: bool = false;

struct Parameters {
    // Columns of all states, columns of one, elements of a key, heads of keys, heads of queries that share one.
    count: u32,
    columns: u32,
    width: u32,
    heads: u32,
    sharing: u32,
    // Places of the sequence, the first one here, and how many are gone through.
    places: u32,
    first: u32,
    steps: u32,
    // Rows of a list in the tensor that holds the state, and the state's first.
    state_rows: u32,
    state_first: u32,
    beta_heads: u32,
    scale: f32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> queries: array<f32>;
@group(0) @binding(2) var<storage, read> keys: array<f32>;
@group(0) @binding(3) var<storage, read> values: array<f32>;
@group(0) @binding(4) var<storage, read> past: array<f32>;
@group(0) @binding(5) var<storage, read> decay: array<f32>;
@group(0) @binding(6) var<storage, read> beta: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

// Fades the state; what it says of the key.
fn fade(state: u32, place: u32, head: u32) -> f32 {
    let key = (place * parameters.heads + head) * parameters.width;
    var known = 0.0;
    for (var at = 0u; at < parameters.width; at++) {
        let index = state + at * parameters.columns;
        switch DECAY {
            case 1u: { y[index] *= exp_of(decay[place * parameters.heads + head]); }
            case 2u: { y[index] *= exp_of(decay[key + at]); }
            default: {}
        }
        known += y[index] * keys[key + at];
    }
    return known;
}

fn grow(state: u32, place: u32, head: u32, value: f32) {
    let key = (place * parameters.heads + head) * parameters.width;
    for (var at = 0u; at < parameters.width; at++) {
        y[state + at * parameters.columns] += keys[key + at] * value;
    }
}

fn look(state: u32, query: u32) -> f32 {
    var sum = 0.0;
    for (var at = 0u; at < parameters.width; at++) {
        sum += queries[query + at] * y[state + at * parameters.columns];
    }
    return parameters.scale * sum;
}

@compute @workgroup_size(64)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let id = place_in_grid(group, groups, local);
    if id >= parameters.count {
        return;
    }
    let columns = parameters.columns;
    let column = id % columns;
    let list = id / columns;
    let head = list % parameters.heads;
    let sharing = parameters.sharing;
    let start = list * (parameters.steps * sharing + parameters.width) * columns + column;
    let state = start + parameters.steps * sharing * columns;
    for (var at = 0u; at < parameters.width; at++) {
        var before = 0.0;
        if PAST {
            before = past[(list * parameters.state_rows + parameters.state_first + at) * columns + column];
        }
        y[state + at * columns] = before;
    }
    for (var step = 0u; step < parameters.steps; step++) {
        let place = list / parameters.heads * parameters.places + parameters.first + step;
        let known = fade(state, place, head);
        var value = values[(place * parameters.heads + head) * columns + column];
        if DELTA {
            value = beta[place * parameters.beta_heads + head % parameters.beta_heads] * (value - known);
        }
        grow(state, place, head, value);
        for (var i = 0u; i < sharing; i++) {
            let query = ((place * parameters.heads + head) * sharing + i) * parameters.width;
            y[start + (step * sharing + i) * columns] = look(state, query);
        }
    }
}
