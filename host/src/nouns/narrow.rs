//! Elements that only models know: floats of a byte, and what is packed into less. No guest and no client names them.

use std::fmt;

/// An element of 8 bits or fewer. In memory each takes a byte, its own bits lowest; signs of integers are extended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Narrow {
    /// 4 bits of exponent, 3 of mantissa, no infinity.
    F8E4M3Fn,
    /// The same without a negative zero, whose bits are NaN.
    F8E4M3FnUz,
    F8E5M2,
    F8E5M2FnUz,
    /// A power of two, without a sign.
    F8E8M0,
    /// 2 bits of exponent, 1 of mantissa, neither infinity nor NaN.
    F4E2M1,
    I4,
    U4,
    I2,
    U2,
}

impl Narrow {
    pub const ALL: [Self; 10] = [
        Self::F8E4M3Fn,
        Self::F8E4M3FnUz,
        Self::F8E5M2,
        Self::F8E5M2FnUz,
        Self::F8E8M0,
        Self::F4E2M1,
        Self::I4,
        Self::U4,
        Self::I2,
        Self::U2,
    ];

    /// ONNX's spelling.
    pub const fn name(self) -> &'static str {
        match self {
            Self::F8E4M3Fn => "FLOAT8E4M3FN",
            Self::F8E4M3FnUz => "FLOAT8E4M3FNUZ",
            Self::F8E5M2 => "FLOAT8E5M2",
            Self::F8E5M2FnUz => "FLOAT8E5M2FNUZ",
            Self::F8E8M0 => "FLOAT8E8M0",
            Self::F4E2M1 => "FLOAT4E2M1",
            Self::I4 => "INT4",
            Self::U4 => "UINT4",
            Self::I2 => "INT2",
            Self::U2 => "UINT2",
        }
    }

    /// Bits of an element in a file, where those of fewer than 8 are packed, the first lowest.
    pub const fn bits(self) -> usize {
        match self {
            Self::F4E2M1 | Self::I4 | Self::U4 => 4,
            Self::I2 | Self::U2 => 2,
            _ => 8,
        }
    }

    /// The smallest and the largest integer; `None` for floats.
    pub const fn range(self) -> Option<(i8, i8)> {
        match self {
            Self::I4 => Some((-8, 7)),
            Self::U4 => Some((0, 15)),
            Self::I2 => Some((-2, 1)),
            Self::U2 => Some((0, 3)),
            _ => None,
        }
    }

    /// Whether a byte is one of its elements.
    pub const fn holds(self, byte: u8) -> bool {
        match self.range() {
            Some((low, high)) => low <= byte as i8 && byte as i8 <= high,
            None => self.bits() == 8 || byte >> self.bits() == 0,
        }
    }

    /// The elements of a file, `count` of them; `None` unless there are as many bytes as they need.
    pub fn unpacked(self, packed: &[u8], count: usize) -> Option<Vec<u8>> {
        let (bits, each) = (self.bits(), 8 / self.bits());
        let element = |index: usize| {
            let shifted = packed[index / each] << (8 - bits - index % each * bits);
            let signed = matches!(self, Self::I4 | Self::I2);
            if signed { (shifted as i8 >> (8 - bits)) as u8 } else { shifted >> (8 - bits) }
        };
        (packed.len() == count.div_ceil(each)).then(|| (0..count).map(element).collect())
    }

    /// As a file keeps them.
    pub fn packed(self, elements: &[u8]) -> Vec<u8> {
        let (bits, each) = (self.bits(), 8 / self.bits());
        let own = |byte: u8| byte & (0xff >> (8 - bits));
        let byte =
            |part: &[u8]| part.iter().rev().fold(0, |byte: u8, &next| byte.unbounded_shl(bits as u32) | own(next));
        elements.chunks(each).map(byte).collect()
    }
}

impl fmt::Display for Narrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::Narrow;

    fn check(element: Narrow, packed: &[u8], elements: &[i8]) {
        let bytes: Vec<u8> = elements.iter().map(|&element| element as u8).collect();
        assert_eq!(element.unpacked(packed, elements.len()), Some(bytes.clone()), "{element}");
        assert_eq!(element.packed(&bytes), packed, "{element}");
        assert!(bytes.iter().all(|&byte| element.holds(byte)), "{element}");
    }

    #[test]
    fn packed_elements_come_out_and_go_in() {
        check(Narrow::I4, &[0x8f, 0x07], &[-1, -8, 7]);
        check(Narrow::U4, &[0x8f, 0x07], &[15, 8, 7]);
        check(Narrow::I2, &[0b11_10_01_00, 0b10], &[0, 1, -2, -1, -2]);
        check(Narrow::U2, &[0b11_10_01_00], &[0, 1, 2, 3]);
        check(Narrow::F4E2M1, &[0x71], &[1, 7]);
        check(Narrow::F8E5M2, &[0x80, 0x7c], &[-128, 124]);
        check(Narrow::I4, &[], &[]);
    }

    #[test]
    fn a_length_that_does_not_fit_is_no_tensor() {
        assert_eq!(Narrow::I4.unpacked(&[1, 2], 5), None);
        assert_eq!(Narrow::I2.unpacked(&[1, 2], 4), None);
        assert!(!Narrow::I4.holds(8) && !Narrow::U4.holds(16) && !Narrow::F4E2M1.holds(16) && !Narrow::I2.holds(2));
    }
}
