// Folds a run of elements into one: y[o, i] = fold over r of x[o, r, i].

override MODE: u32;
const SUM = 0u;
const MEAN = 1u;
const MAX = 2u;
const MIN = 3u;
const PRODUCT = 4u;
const ABSOLUTE = 5u;
const SQUARES = 6u;
const ROOT_OF_SQUARES = 7u;
const LOG_OF_SUM = 8u;
const LOG_OF_EXPONENTIALS = 9u;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn start() -> f32 {
    switch MODE {
        case MAX, LOG_OF_EXPONENTIALS: { return bitcast<f32>(0xff800000u); }
        case MIN: { return bitcast<f32>(0x7f800000u); }
        case PRODUCT: { return 1.0; }
        default: { return 0.0; }
    }
}

fn fold(sum: f32, value: f32) -> f32 {
    switch MODE {
        case MAX, LOG_OF_EXPONENTIALS: { return max(sum, value); }
        case MIN: { return min(sum, value); }
        case PRODUCT: { return sum * value; }
        case ABSOLUTE: { return sum + abs(value); }
        case SQUARES, ROOT_OF_SQUARES: { return sum + value * value; }
        default: { return sum + value; }
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
    let first = first_of_run(at);
    var sum = start();
    for (var step = 0u; step < parameters.run; step++) {
        sum = fold(sum, x[first + step * parameters.inner]);
    }
    switch MODE {
        case MEAN: { sum /= f32(parameters.run); }
        case ROOT_OF_SQUARES: { sum = sqrt(sum); }
        case LOG_OF_SUM: { sum = log(sum); }
        case LOG_OF_EXPONENTIALS: {
            let largest = sum;
            sum = 0.0;
            for (var step = 0u; step < parameters.run; step++) {
                sum += exp(x[first + step * parameters.inner] - largest);
            }
            sum = largest + log(sum);
        }
        default: {}
    }
    y[at] = sum;
}
