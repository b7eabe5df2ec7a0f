// Operators that are made of exponentials and logarithms.
fn exponential(op: u32, x: f32, p: f32, q: f32) -> f32 {
    switch op {
        case 40u: { return exp_of(x); }
        case 41u: { return log_of(x); }
        case 50u: { return tanh_of(x); }
        case 54u: { return erf(x); }
        case 55u: { return sigmoid(x); }
        case 58u: { return select(x, p * exp_minus_one(x), x < 0.0); }
        case 59u: { return q * select(x, p * exp_minus_one(x), x < 0.0); }
        case 60u: { return select(x, p * exp_minus_one(x / p), x < 0.0); }
        case 63u: { return softplus(x); }
        case 65u: { return mish(x); }
        case 66u: { return gelu(x); }
        case 67u: { return gelu_by_tanh(x); }
        case 73u: { return swish(x, p); }
        default: { return x; }
    }
}
