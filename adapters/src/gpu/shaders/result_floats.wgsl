// The result of a product in memory, and what is added to it: floats.
alias Made = vec4<f32>;

// Nothing is lost between one step and the next.
fn stepped(x: f32) -> f32 {
    return x;
}

// Four of the residual's numbers, of which some may lie beyond an edge and are not used.
fn residuals(at: u32) -> vec4<f32> {
    if QUADS {
        return residual[at / 4u];
    }
    let next = at + 1u;
    let third = at + 2u;
    let last = at + 3u;
    return vec4(residual[at / 4u][at % 4u], residual[next / 4u][next % 4u], residual[third / 4u][third % 4u], residual[last / 4u][last % 4u]);
}

// Stores those that are inside.
fn put(at: u32, x: vec4<f32>, inside: u32) {
    if QUADS {
        y[at / 4u] = x;
        return;
    }
    for (var i = 0u; i < min(inside, 4u); i++) {
        y[(at + i) / 4u][(at + i) % 4u] = x[i];
    }
}
