// How many candidates the fullest class has, rounded up to a power of two, so that the number seldom changes.

struct Parameters {
    classes: u32,
    boxes: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> sums: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<u32>;

@compute @workgroup_size(1)
fn main() {
    var most = 0u;
    var before = 0u;
    for (var own = 1u; own <= parameters.classes; own++) {
        let sum = sums[own * parameters.boxes - 1u];
        most = max(most, sum - before);
        before = sum;
    }
    y[0] = select(1u << (32u - countLeadingZeros(most - 1u)), most, most < 2u);
}
