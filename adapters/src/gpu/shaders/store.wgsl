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

// The tile's first sum belongs to this row and column of a matrix of rows × columns that begins at `start`.
fn store(start: u32, row: u32, column: u32, rows: u32, columns: u32) {
    for (var index = 0u; index < 8u; index++) {
        let quads = part(index);
        let first = column + 4u * index;
        if BY_ROWS {
            let turned = transpose(quads);
            finish(start, row, first, rows, columns, turned[0]);
            finish(start, row + 1u, first, rows, columns, turned[1]);
            finish(start, row + 2u, first, rows, columns, turned[2]);
            finish(start, row + 3u, first, rows, columns, turned[3]);
        } else {
            finish(start, row, first, rows, columns, quads[0]);
            finish(start, row, first + 1u, rows, columns, quads[1]);
            finish(start, row, first + 2u, rows, columns, quads[2]);
            finish(start, row, first + 3u, rows, columns, quads[3]);
        }
    }
}
