// Gaussian elimination with partial pivoting, a matrix an invocation: the first element of each becomes its determinant.

struct Parameters {
    count: u32,
    size: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

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
    let size = parameters.size;
    let first = at * size * size;
    for (var index = first; index < first + size * size; index++) {
        y[index] = x[index];
    }
    var product = 1.0;
    for (var step = 0u; step < size; step++) {
        let own = first + step * size;
        var best = own;
        for (var row = own + size; row < first + size * size; row += size) {
            best = select(best, row, abs(y[row + step]) > abs(y[best + step]));
        }
        let pivot = y[best + step];
        product *= select(-pivot, pivot, best == own);
        if pivot == 0.0 {
            break;
        }
        for (var column = step; column < size; column++) {
            let swapped = y[own + column];
            y[own + column] = y[best + column];
            y[best + column] = swapped;
        }
        for (var row = own + size; row < first + size * size; row += size) {
            let factor = y[row + step] / pivot;
            for (var column = step + 1u; column < size; column++) {
                y[row + column] -= factor * y[own + column];
            }
        }
    }
    y[first] = product;
}
