// Runs of elements along one axis, `inner` apart: what folds, sorts and sums along an axis read.
struct Parameters {
    count: u32,
    run: u32,
    inner: u32,
    // What a run is shared out in, and the most elements of a part.
    parts: u32,
    steps: u32,
    // Elements of a run before it was shared out.
    whole: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;

// The first element of the run that invocation `at` has a part of.
fn first_of_run(at: u32) -> u32 {
    return at / parameters.inner / parameters.parts * parameters.run * parameters.inner + at % parameters.inner;
}

fn part_of_run(at: u32) -> u32 {
    return at / parameters.inner % parameters.parts;
}

// Elements of a part whose neighbours are as far apart as there are parts.
fn length_of_part(part: u32) -> u32 {
    return (parameters.run - part + parameters.parts - 1u) / parameters.parts;
}
