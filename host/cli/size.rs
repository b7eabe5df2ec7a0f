//! Sizes as people write them: `256MiB`.

use serde::{Deserialize, Deserializer, de};
use std::{fmt, str::FromStr};

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size(pub u64);

const UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) =
            UNITS.iter().find_map(|(name, unit)| Some((text.strip_suffix(name)?, *unit))).unwrap_or((text, 1));
        let number: Option<u64> = number.trim_end().parse().ok();
        let bytes = number.and_then(|number| number.checked_mul(unit)).filter(|&bytes| bytes > 0);
        bytes.map(Self).ok_or_else(|| format!("`{text}` is no size; one is 256MiB, 1GiB, 500MB or a number of bytes"))
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match UNITS[..3].iter().rev().find(|(_, unit)| self.0 >= *unit) {
            Some((name, unit)) => write!(f, "{:.1} {name}", self.0 as f64 / *unit as f64),
            None => write!(f, "{} B", self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(text.parse::<Size>().ok(), expected.map(Size), "{text}");
        };
        check("256MiB", Some(256 << 20));
        check("1 GiB", Some(1 << 30));
        check("500MB", Some(500_000_000));
        check("12", Some(12));
        check("0", None);
        check("-1MiB", None);
        check("1.5GiB", None);
        check("99999999999GiB", None);
        assert_eq!(Size(1536).to_string(), "1.5 KiB");
        assert_eq!(Size(7).to_string(), "7 B");
    }
}
