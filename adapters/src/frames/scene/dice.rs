//! Numbers that look random and are the same for the same seed on every machine: SplitMix64.

/// A sequence of numbers, started from a path of names such as (seed, walker, trip).
pub(super) struct Dice(u64);

impl Dice {
    pub fn new(path: &[u64]) -> Self {
        Self(path.iter().fold(0, |state, &step| mix(state ^ step.wrapping_add(1).wrapping_mul(0xbf58_476d_1ce4_e5b9))))
    }

    pub fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// From 0 up to 1.
    pub fn unit(&mut self) -> f32 {
        (self.roll() >> 40) as f32 / (1u32 << 24) as f32
    }

    pub fn between(&mut self, least: f32, most: f32) -> f32 {
        least + (most - least) * self.unit()
    }

    /// From 0 up to `count`, which is not 0.
    pub fn below(&mut self, count: u64) -> u64 {
        self.roll() % count
    }

    pub fn chance(&mut self, probability: f32) -> bool {
        self.unit() < probability
    }
}

fn mix(state: u64) -> u64 {
    let state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}
