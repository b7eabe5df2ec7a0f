// Runs of elements along one axis, `inner` apart: what folds, sorts and sums along an axis read.
struct Parameters {
    count: u32,
    run: u32,
    inner: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;

// The first element of run `at`.
fn first_of_run(at: u32) -> u32 {
    return at / parameters.inner * parameters.run * parameters.inner + at % parameters.inner;
}
