// Softmax and its relatives over runs of elements, `inner` apart; the largest is taken off first.

// 0 softmax, 1 its logarithm, 2 one for the first largest and zero for the rest.
override MODE: u32;
// Whether each step is rounded to a half, as ONNX's definition of it in FP16 is; sums are rounded once.
override HALVES: bool = false;

@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

fn stepped(x: f32) -> f32 {
    if HALVES {
        return unpack2x16float(to_f16(x)).x;
    }
    return x;
}

fn power(x: f32, largest: f32) -> f32 {
    return stepped(exp_of(stepped(x - largest)));
}

// A sum beyond the largest half stays what it is.
fn stepped_sum(sum: f32) -> f32 {
    return select(stepped(sum), sum, sum > 65504.0);
}

fn share(x: f32, largest: f32, sum: f32, first: bool) -> f32 {
    switch MODE {
        case 0u: { return power(x, largest) / sum; }
        case 1u: { return x - largest - log_of(sum); }
        default: { return select(0.0, 1.0, first); }
    }
}
