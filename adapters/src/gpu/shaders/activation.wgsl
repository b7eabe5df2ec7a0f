// What is done to a sum before it is stored.
const NONE = 0u;
const RELU = 1u;
const CLIP = 2u;
const SILU = 3u;

override ACTIVATION: u32 = 0u;

fn activate(x: f32, low: f32, high: f32) -> f32 {
    switch ACTIVATION {
        case RELU: { return max(x, 0.0); }
        case CLIP: { return clamp(x, low, high); }
        case SILU: { return x / (1.0 + exp(-x)); }
        default: { return x; }
    }
}
