// Writes updates into a tensor, those of one row one after the other: an invocation does a whole row's element, from the
// first of its updates in the order of targets.

override ELEMENT: u32;
// An operator of lower/pointwise.rs that folds an update into what is there; 0 replaces it.
override OP: u32;

struct Parameters {
    // Elements of all updates, updates, elements of each, the most of one row.
    count: u32,
    updates: u32,
    row: u32,
    repeats: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> targets: array<u32>;
@group(0) @binding(2) var<storage, read> order: array<u32>;
@group(0) @binding(3) var<storage, read> updates: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<u32>;

const WIDE = 8u;

fn update(place: u32, step: u32) -> Lane {
    let index = order[place] * parameters.row + step;
    if bytes_of(ELEMENT) == WIDE {
        return decode(ELEMENT, updates[2u * index], updates[2u * index + 1u], 0u);
    }
    return decode(ELEMENT, updates[index], 0u, 0u);
}

fn current(index: u32) -> Lane {
    if bytes_of(ELEMENT) == WIDE {
        return decode(ELEMENT, y[2u * index], y[2u * index + 1u], 0u);
    }
    return decode(ELEMENT, y[index], 0u, 0u);
}

fn write(index: u32, value: Lane) {
    if bytes_of(ELEMENT) == WIDE {
        y[2u * index] = encode(ELEMENT, value, 0u);
        y[2u * index + 1u] = encode_high(ELEMENT, value);
    } else {
        y[index] = encode(ELEMENT, value, 0u);
    }
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
    let place = at / parameters.row;
    let step = at % parameters.row;
    let row = targets[order[place]];
    let index = row * parameters.row + step;
    if OP == 0u {
        // The last update stays.
        if place + 1u == parameters.updates || targets[order[min(place + 1u, parameters.updates - 1u)]] != row {
            write(index, update(place, step));
        }
        return;
    }
    if place > 0u && targets[order[max(place, 1u) - 1u]] == row {
        return;
    }
    var value = current(index);
    let end = min(place + parameters.repeats, parameters.updates);
    for (var next = place; next < end && targets[order[next]] == row; next++) {
        value = apply(OP, value, update(next, step), 0.0, 0.0);
    }
    write(index, value);
}
