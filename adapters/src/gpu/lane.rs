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

/// Which of the operators a kernel has that take many steps in f32, and drivers long to compile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Reach {
    pub exponentials: bool,
    pub angles: bool,
    pub powers: bool,
}

impl Reach {
    pub const ALL: Self = Self { exponentials: true, angles: true, powers: true };
    pub const NONE: Self = Self { exponentials: false, angles: false, powers: false };

    /// Of operators by their numbers in `lane_f32.wgsl`.
    pub fn of(codes: impl Iterator<Item = u32>) -> Self {
        codes.fold(Self::NONE, |reach, code| match code {
            9 | 10 | 20..=23 => Self { powers: true, ..reach },
            42..=49 | 51..=53 => Self { angles: true, ..reach },
            40 | 41 | 50 | 54 | 55 | 58..=60 | 63 | 65..=67 | 73 => Self { exponentials: true, ..reach },
            _ => reach,
        })
    }

    fn source(self) -> String {
        let one_of = |has: bool, both: [&'static str; 2]| both[usize::from(has)];
        [
            one_of(
                self.exponentials,
                [include_str!("shaders/exponentials_none.wgsl"), include_str!("shaders/exponentials.wgsl")],
            ),
            one_of(self.angles, [include_str!("shaders/angles_none.wgsl"), include_str!("shaders/angles.wgsl")]),
            one_of(
                self.powers,
                [
                    include_str!("shaders/powers_none.wgsl"),
                    concat!(include_str!("shaders/power.wgsl"), include_str!("shaders/powers.wgsl")),
                ],
            ),
        ]
        .concat()
    }
}

impl Lane {
    #[cfg(test)]
    pub const ALL: [Self; 5] = [Self::F32, Self::F8, Self::F64, Self::I32, Self::I64];

    /// What a lane's arithmetic is made of, with those operators that a kernel needs.
    pub fn source(self, reach: Reach) -> String {
        const HALF: &str = include_str!("shaders/half.wgsl");
        const NARROW: &str = include_str!("shaders/narrow.wgsl");
        const F32: &str = concat!(
            include_str!("shaders/elementary.wgsl"),
            include_str!("shaders/lane_f32.wgsl"),
            include_str!("shaders/math.wgsl"),
        );
        let math = reach.source();
        match self {
            Self::F32 => [ELEMENT, ROUND16, HALF, F32, &math].concat(),
            Self::F8 => [ELEMENT, ROUND16, NARROW, F32, &math].concat(),
            Self::F64 => [ELEMENT, ROUND16, NARROW, include_str!("shaders/lane_f64.wgsl")].concat(),
            Self::I32 => [ELEMENT, include_str!("shaders/lane_i32.wgsl")].concat(),
            Self::I64 => [ELEMENT, include_str!("shaders/lane_i64.wgsl")].concat(),
        }
    }
}
