// Which of a dispatch's invocations this is: grids are folded at 65,535 workgroups an axis.
const GROUP = 64u;

fn place_in_grid(group: vec3<u32>, groups: vec3<u32>, local: u32) -> u32 {
    return (group.y * groups.x + group.x) * GROUP + local;
}

// Coordinates are innermost last; shapes are padded with leading ones.
const RANK = 8u;
