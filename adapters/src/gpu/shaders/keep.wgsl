// Keeps, of the candidates of each class that were left over, those that do not overlap one before them.

@group(0) @binding(2) var<storage, read> left: array<u32>;
@group(0) @binding(3) var<storage, read_write> kept: array<u32>;

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
    let first = at * parameters.kept;
    var before = 0u;
    while before < parameters.kept && kept[first + before] != 0u {
        before++;
    }
    var now = before;
    for (var step = 0u; step < parameters.part && now < parameters.kept; step++) {
        let own = left[at * parameters.part + step];
        var stays = own != 0u;
        for (var place = before; place < now && stays; place++) {
            stays = !overlaps(at, own, kept[first + place]);
        }
        if stays {
            kept[first + now] = own;
            now++;
        }
    }
}
