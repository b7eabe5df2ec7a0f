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

// A NaN is both the largest and the smallest.
fn larger(a: f32, b: f32) -> f32 {
    return select(max(a, b), a + b, is_nan(a) || is_nan(b));
}

fn smaller(a: f32, b: f32) -> f32 {
    return select(min(a, b), a + b, is_nan(a) || is_nan(b));
}

// What two folds come to together.
fn merged(a: f32, b: f32) -> f32 {
    switch MODE {
        case MAX, LOG_OF_EXPONENTIALS: { return larger(a, b); }
        case MIN: { return smaller(a, b); }
        case PRODUCT: { return a * b; }
        default: { return a + b; }
    }
}

fn fold(sum: f32, value: f32) -> f32 {
    switch MODE {
        case MAX, LOG_OF_EXPONENTIALS: { return larger(sum, value); }
        case MIN: { return smaller(sum, value); }
        case PRODUCT: { return sum * value; }
        case ABSOLUTE: { return sum + abs(value); }
        case SQUARES, ROOT_OF_SQUARES: { return sum + value * value; }
        default: { return sum + value; }
    }
}

// What a run comes to once it is folded; logarithms of exponentials are summed up by then.
fn ended(sum: f32) -> f32 {
    switch MODE {
        case MEAN: { return sum / f32(parameters.run); }
        case ROOT_OF_SQUARES: { return sqrt(sum); }
        case LOG_OF_SUM: { return log_of(sum); }
        default: { return sum; }
    }
}
