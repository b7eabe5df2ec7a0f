// Image, class and box, as INT64, of each place where a box was kept.

struct Parameters {
    count: u32,
    classes: u32,
    kept: u32,
}

@group(0) @binding(0) var<storage, read> parameters: Parameters;
@group(0) @binding(1) var<storage, read> places: array<u32>;
@group(0) @binding(2) var<storage, read> kept: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<vec2<u32>>;

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
    let place = places[at];
    let class_at = place / parameters.kept;
    y[3u * at] = vec2(class_at / parameters.classes, 0u);
    y[3u * at + 1u] = vec2(class_at % parameters.classes, 0u);
    y[3u * at + 2u] = vec2(kept[place] - 1u, 0u);
}
