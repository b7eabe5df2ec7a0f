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
    return stepped(exp(stepped(x - largest)));
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
    var largest = x[first];
    var winner = 0u;
    for (var step = 1u; step < parameters.run; step++) {
        let value = x[first + step * parameters.inner];
        if value > largest {
            largest = value;
            winner = step;
        }
    }
    var sum = 0.0;
    for (var step = 0u; step < parameters.run; step++) {
        sum += power(x[first + step * parameters.inner], largest);
    }
    sum = stepped(sum);
    for (var step = 0u; step < parameters.run; step++) {
        let index = first + step * parameters.inner;
        switch MODE {
            case 0u: { y[index] = power(x[index], largest) / sum; }
            case 1u: { y[index] = x[index] - largest - log(sum); }
            default: { y[index] = select(0.0, 1.0, step == winner); }
        }
    }
}
