//! Writes the elements of a tensor as JSON.

use burst_host::nouns::{Element, Tensor};
use serde::{Serialize, Serializer, ser::Error};

/// A host tensor as a flat JSON list.
pub(super) struct Data<'a>(pub &'a Tensor);

impl Data<'_> {
    /// Why JSON can't say this tensor, if it can't.
    pub fn unspeakable(&self) -> Option<String> {
        let contents = self.0.contents().map(|contents| &contents[..]).unwrap_or_default();
        let (singles, _) = contents.as_chunks();
        let (doubles, _) = contents.as_chunks();
        let finite = match self.0.spec().element {
            element @ (Element::Fp16 | Element::Bf16 | Element::Narrow(_)) => {
                return Some(format!("{element} has no JSON form"));
            }
            Element::Bytes if Strings(contents).any(|Text(text)| std::str::from_utf8(text).is_err()) => {
                return Some("it holds a string that is not UTF-8".into());
            }
            Element::Fp32 => singles.iter().all(|bytes| f32::from_le_bytes(*bytes).is_finite()),
            Element::Fp64 => doubles.iter().all(|bytes| f64::from_le_bytes(*bytes).is_finite()),
            _ => true,
        };
        (!finite).then(|| "it holds a NaN or an infinity, which JSON can't say".into())
    }
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let contents = self.0.contents().ok_or_else(|| S::Error::custom("it is not in host memory"))?;
        macro_rules! list {
            ($type:ty) => {{
                let (elements, _) = contents.as_chunks::<{ size_of::<$type>() }>();
                serializer.collect_seq(elements.iter().map(|bytes| <$type>::from_le_bytes(*bytes)))
            }};
        }
        match self.0.spec().element {
            Element::U8 => list!(u8),
            Element::U16 => list!(u16),
            Element::U32 => list!(u32),
            Element::U64 => list!(u64),
            Element::I8 => list!(i8),
            Element::I16 => list!(i16),
            Element::I32 => list!(i32),
            Element::I64 => list!(i64),
            Element::Fp32 => list!(f32),
            Element::Fp64 => list!(f64),
            Element::Bool => serializer.collect_seq(contents.iter().map(|&byte| byte != 0)),
            Element::Bytes => serializer.collect_seq(Strings(contents)),
            element @ (Element::Fp16 | Element::Bf16 | Element::Narrow(_)) => {
                Err(S::Error::custom(format!("{element} has no JSON form")))
            }
        }
    }
}

/// The byte strings of a tensor, one after the other.
struct Strings<'a>(&'a [u8]);

impl<'a> Iterator for Strings<'a> {
    type Item = Text<'a>;

    fn next(&mut self) -> Option<Text<'a>> {
        let (length, rest) = self.0.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.0 = rest;
        Some(Text(text))
    }
}

struct Text<'a>(&'a [u8]);

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = std::str::from_utf8(self.0).map_err(|_| S::Error::custom("it holds a string that is not UTF-8"))?;
        serializer.serialize_str(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_json_can_not_say_is_noticed() {
        let check = |tensor: Result<Tensor, _>, part: &str| {
            let reason = Data(&tensor.unwrap()).unspeakable().unwrap_or_default();
            assert!(reason.contains(part) && reason.is_empty() == part.is_empty(), "{reason}");
        };
        check(Tensor::from_slice(Element::Fp32, [2], &[0.0f32, 1.0]), "");
        check(Tensor::from_slice(Element::Fp32, [2], &[0.0f32, f32::NAN]), "NaN");
        check(Tensor::from_slice(Element::Fp64, [1], &[f64::INFINITY]), "infinity");
        check(Tensor::from_slice(Element::Fp16, [1], &[0u16]), "no JSON form");
        check(Tensor::from_slice(Element::Bytes, [1], &[1u8, 0, 0, 0, 255]), "UTF-8");
    }
}
