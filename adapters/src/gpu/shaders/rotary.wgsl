// Rotates pairs of elements of each head by the angle of their place: what follows the rotated part is copied.

// Whether pairs are neighbours; else they lie half of the rotated part apart.
override INTERLEAVED: bool = false;
// Words of a position: 0 where there are none and places follow each other.
override POSITION_WORDS: u32 = 0u;

struct Parameters {
    count: u32,
    // Elements of a head, and those that are rotated.
    width: u32,
    rotated: u32,
    // Places of a sequence, heads between neighbouring places, heads.
    places: u32,
    step: u32,
    heads: u32,
    // Rows of the tables.
    rows: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> cosines: array<f32>;
@group(0) @binding(3) var<storage, read> sines: array<f32>;
@group(0) @binding(4) var<storage, read> positions: array<u32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

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
    let inside = at % parameters.width;
    if inside >= parameters.rotated {
        y[at] = x[at];
        return;
    }
    let vector = at / parameters.width;
    let batch = vector / (parameters.heads * parameters.places);
    var row = batch * parameters.places + vector / parameters.step % parameters.places;
    if POSITION_WORDS != 0u {
        row = positions[row * POSITION_WORDS];
    }
    let half = parameters.rotated / 2u;
    let distance = select(half, 1u, INTERLEAVED);
    let pair = select(inside % max(half, 1u), inside / 2u, INTERLEAVED);
    let second = select(inside >= half, inside % 2u == 1u, INTERLEAVED);
    let angle = min(row, parameters.rows - 1u) * half + pair;
    if second {
        y[at] = sines[angle] * x[at - distance] + cosines[angle] * x[at];
    } else {
        y[at] = cosines[angle] * x[at] - sines[angle] * x[at + distance];
    }
}
