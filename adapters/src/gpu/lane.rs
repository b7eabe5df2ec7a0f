//! Lanes: what the arithmetic of a kernel is made of.

/// Where a kernel computes, whatever its elements are in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    F32,
    /// The same where elements may be floats of a byte.
    F8,
    /// Only where the driver has 64-bit floats.
    F64,
    I32,
    /// Two words.
    I64,
}

pub const ELEMENT: &str = include_str!("shaders/element.wgsl");
pub const ROUND16: &str = include_str!("shaders/round16.wgsl");

impl Lane {
    #[cfg(test)]
    pub const ALL: [Self; 5] = [Self::F32, Self::F8, Self::F64, Self::I32, Self::I64];

    /// What a lane's arithmetic is made of.
    pub fn source(self) -> String {
        const HALF: &str = include_str!("shaders/half.wgsl");
        const NARROW: &str = include_str!("shaders/narrow.wgsl");
        const F32: &str = include_str!("shaders/lane_f32.wgsl");
        match self {
            Self::F32 => [ELEMENT, ROUND16, HALF, F32].concat(),
            Self::F8 => [ELEMENT, ROUND16, NARROW, F32].concat(),
            Self::F64 => [ELEMENT, ROUND16, NARROW, include_str!("shaders/lane_f64.wgsl")].concat(),
            Self::I32 => [ELEMENT, include_str!("shaders/lane_i32.wgsl")].concat(),
            Self::I64 => [ELEMENT, include_str!("shaders/lane_i64.wgsl")].concat(),
        }
    }
}
