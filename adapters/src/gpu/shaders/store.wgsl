// Stores a tile.

fn part(index: u32) -> mat4x4<f32> {
    switch index {
        case 0u: { return sums0; }
        case 1u: { return sums1; }
        case 2u: { return sums2; }
        case 3u: { return sums3; }
        case 4u: { return sums4; }
        case 5u: { return sums5; }
        case 6u: { return sums6; }
        default: { return sums7; }
    }
}

// The tile's first sum belongs to this row and column of a matrix of rows × columns that begins at `start`. Loops, though
// they are short: drivers that compute on the CPU take a second to compile what is spelled out, and arrays that are indexed
// by loops leave the registers.
fn store(start: u32, row: u32, column: u32, rows: u32, columns: u32) {
    for (var index = 0u; index < 8u; index++) {
        var quads = part(index);
        if BY_ROWS {
            quads = transpose(quads);
        }
        for (var i = 0u; i < 4u; i++) {
            if BY_ROWS {
                finish(start, row + i, column + 4u * index, rows, columns, quad_of(quads, i));
            } else {
                finish(start, row, column + 4u * index + i, rows, columns, quad_of(quads, i));
            }
        }
    }
}
