// What is done to the sums of a product on their way to memory: y = links(scale · sums + bias + before) + after. Each
// operator after the product's own bias is a step, which rounds where the result is halves.

// 0 none, 1 one a column, 2 by steps along both.
override BIAS: u32 = 0u;
// A tensor of the result's shape: 0 none, 1 added before the links, 2 after them.
override RESIDUAL: u32 = 0u;
// Operators of lane_f32.wgsl, each with a number and two attributes.
override LINKS: u32 = 0u;
override LINK0: u32 = 0u;
override LINK1: u32 = 0u;
override LINK2: u32 = 0u;
// Whether rows of the result lie one after another, or columns; and whether all of them begin at a multiple of four.
override BY_ROWS: bool = true;
override QUADS: bool = true;

struct Epilogue {
    scale: f32,
    bias_scale: f32,
    bias_row: u32,
    bias_column: u32,
    numbers: array<f32, 9>,
}

fn linked(x: f32, index: u32, code: u32) -> f32 {
    if index >= LINKS {
        return x;
    }
    let number = 3u * index;
    let numbers = &parameters.epilogue.numbers;
    return stepped(apply(code, x, (*numbers)[number], (*numbers)[number + 1u], (*numbers)[number + 2u]));
}

fn all_links(x: f32) -> f32 {
    return linked(linked(linked(x, 0u, LINK0), 1u, LINK1), 2u, LINK2);
}

fn bias_at(row: u32, column: u32) -> f32 {
    return bias[row * parameters.epilogue.bias_row + column * parameters.epilogue.bias_column];
}

fn biases(row: u32, column: u32) -> vec4<f32> {
    if BY_ROWS {
        return vec4(bias_at(row, column), bias_at(row, column + 1u), bias_at(row, column + 2u), bias_at(row, column + 3u));
    }
    if BIAS == 1u {
        return vec4(bias_at(row, column));
    }
    return vec4(bias_at(row, column), bias_at(row + 1u, column), bias_at(row + 2u, column), bias_at(row + 3u, column));
}

fn all_stepped(x: vec4<f32>) -> vec4<f32> {
    return vec4(stepped(x.x), stepped(x.y), stepped(x.z), stepped(x.w));
}

// Stores four sums that lie one after the other, as far as they are inside.
fn finish(start: u32, row: u32, column: u32, rows: u32, columns: u32, sum: vec4<f32>) {
    if row >= rows || column >= columns {
        return;
    }
    let at = start + select(column * rows + row, row * columns + column, BY_ROWS);
    var x = parameters.epilogue.scale * sum;
    if BIAS != 0u {
        x += parameters.epilogue.bias_scale * biases(row, column);
    }
    if RESIDUAL != 0u || LINKS != 0u {
        x = all_stepped(x);
    }
    if RESIDUAL == 1u {
        x = all_stepped(x + residuals(at));
    }
    if LINKS != 0u {
        x = vec4(all_links(x.x), all_links(x.y), all_links(x.z), all_links(x.w));
    }
    if RESIDUAL == 2u {
        x += residuals(at);
    }
    put(at, x, select(rows - row, columns - column, BY_ROWS));
}

fn quad_of(quads: mat4x4<f32>, index: u32) -> vec4<f32> {
    switch index {
        case 0u: { return quads[0]; }
        case 1u: { return quads[1]; }
        case 2u: { return quads[2]; }
        default: { return quads[3]; }
    }
}
