//! Halves in memory: which tensors of a product they are, and how kernels read and write them.

use burst_host::nouns::Element;

/// How kernels have halves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Halving {
    /// Two to a word, which every device can take apart.
    Widened,
    /// As floats of 16 bits, which some devices have.
    Native,
}

/// Which tensors of a product are halves; the others are floats. Sums always are floats.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Halves {
    /// What is multiplied.
    pub sides: bool,
    /// What comes of it, and what is added to that.
    pub result: bool,
}

impl Halving {
    /// Both of them.
    pub const ALL: [Self; 2] = [Self::Widened, Self::Native];

    fn source(self) -> &'static str {
        match self {
            Self::Widened => include_str!("shaders/half_widened.wgsl"),
            Self::Native => include_str!("shaders/half_native.wgsl"),
        }
    }
}

impl Halves {
    #[cfg(test)]
    pub const ALL: [Self; 4] = [
        Self { sides: false, result: false },
        Self { sides: false, result: true },
        Self { sides: true, result: false },
        Self { sides: true, result: true },
    ];

    /// Of a product with such a side and such a result.
    pub fn of(side: Element, result: Element) -> Self {
        Self { sides: side == Element::Fp16, result: result == Element::Fp16 }
    }

    /// Whether there are any.
    pub fn any(self) -> bool {
        self.sides || self.result
    }

    /// How a kernel has its sides and its result.
    pub fn source(self, halving: Halving) -> String {
        let sides = match self.sides {
            true => include_str!("shaders/sides_halves.wgsl"),
            false => include_str!("shaders/sides_floats.wgsl"),
        };
        let result = match self.result {
            true => include_str!("shaders/result_halves.wgsl"),
            false => include_str!("shaders/result_floats.wgsl"),
        };
        [if self.any() { halving.source() } else { "" }, sides, result].concat()
    }
}
