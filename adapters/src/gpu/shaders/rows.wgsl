// A run of elements for a workgroup: what its invocations have is joined by subgroups, then in the workgroup's memory.
override INVOCATIONS: u32 = 256u;

const ADD = 0u;
const LARGEST = 1u;
const SMALLEST = 2u;
const MULTIPLY = 3u;

// Which invocation this is: of the workgroup, and of its subgroup.
struct Place {
    local: u32,
    lane: u32,
    subgroup: u32,
    subgroups: u32,
}

var<workgroup> shares: array<f32, 256>;

fn by_subgroup(how: u32, x: f32) -> f32 {
    switch how {
        case LARGEST: { return subgroupMax(x); }
        case SMALLEST: { return subgroupMin(x); }
        case MULTIPLY: { return subgroupMul(x); }
        default: { return subgroupAdd(x); }
    }
}

fn joined(how: u32, a: f32, b: f32) -> f32 {
    switch how {
        case LARGEST: { return max(a, b); }
        case SMALLEST: { return min(a, b); }
        case MULTIPLY: { return a * b; }
        default: { return a + b; }
    }
}

// What all invocations have together.
fn across(how: u32, x: f32, place: Place) -> f32 {
    let own = by_subgroup(how, x);
    // Nobody reads what was there before any more.
    workgroupBarrier();
    if place.lane == 0u {
        shares[place.subgroup] = own;
    }
    workgroupBarrier();
    var all = shares[0];
    for (var other = 1u; other < place.subgroups; other++) {
        all = joined(how, all, shares[other]);
    }
    return all;
}
