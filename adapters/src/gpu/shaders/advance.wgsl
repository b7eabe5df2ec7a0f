// Moves the state of a random generator on by one run.

struct Parameters {
    runs: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read_write> state: array<u32>;

@compute @workgroup_size(1)
fn main() {
    state[2] += parameters.runs;
}
