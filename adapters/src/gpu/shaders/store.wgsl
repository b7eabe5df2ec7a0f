// Stores the tile whose first sum belongs to this row and column of a matrix of rows × columns that begins at `start`.
fn store(start: u32, row: u32, column: u32, rows: u32, columns: u32) {
    var sums = array(sums0, sums1, sums2, sums3, sums4, sums5, sums6, sums7);
    for (var part = 0u; part < 8u; part++) {
        var quads = sums[part];
        if BY_ROWS {
            quads = transpose(quads);
        }
        for (var i = 0u; i < 4u; i++) {
            if BY_ROWS {
                finish(start, row + i, column + 4u * part, rows, columns, quads[i]);
            } else {
                finish(start, row, column + 4u * part + i, rows, columns, quads[i]);
            }
        }
    }
}
