//! Reads the elements of a tensor out of JSON, exactly or not at all.

use burst_host::nouns::{Element, Spec};
use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, SeqAccess, Visitor},
};
use serde_json::value::RawValue;
use std::fmt;

/// Reads elements, flat or nested like the shape, into row-major little-endian bytes.
pub(super) fn decode(spec: &Spec, data: &RawValue) -> Result<Vec<u8>, String> {
    let mut elements = Elements::new(spec, data.get().len())?;
    let mut deserializer = serde_json::Deserializer::from_str(data.get());
    Level { elements: &mut elements, depth: 0 }.deserialize(&mut deserializer).map_err(|error| error.to_string())?;
    if elements.count != spec.shape.elements() {
        return Err(elements.wrong_count(""));
    }
    Ok(elements.bytes)
}

/// The elements read so far.
struct Elements<'a> {
    spec: &'a Spec,
    bytes: Vec<u8>,
    count: usize,
    /// Whether the outermost list holds lists; unknown until its first item.
    nested: Option<bool>,
}

impl<'a> Elements<'a> {
    fn new(spec: &'a Spec, json_length: usize) -> Result<Self, String> {
        if matches!(spec.element, Element::Fp16 | Element::Bf16) {
            return Err(format!("{} has no JSON form: send it as binary data", spec.element));
        }
        // No element is shorter than a digit and a comma, whatever the shape promises.
        let capacity = spec.bytes().unwrap_or_default().min(json_length.saturating_mul(4));
        Ok(Self { spec, bytes: Vec::with_capacity(capacity), count: 0, nested: None })
    }

    fn wrong_count(&self, more: &str) -> String {
        format!(
            "the shape {} wants {} elements, {more}{} were given",
            self.spec.shape,
            self.spec.shape.elements(),
            self.count
        )
    }

    fn whole(&mut self, value: i128) -> Result<(), String> {
        macro_rules! push {
            ($type:ty) => {
                <$type>::try_from(value).map(|value| self.bytes.extend_from_slice(&value.to_le_bytes())).is_ok()
            };
        }
        let fits = match self.spec.element {
            Element::U8 => push!(u8),
            Element::U16 => push!(u16),
            Element::U32 => push!(u32),
            Element::U64 => push!(u64),
            Element::I8 => push!(i8),
            Element::I16 => push!(i16),
            Element::I32 => push!(i32),
            Element::I64 => push!(i64),
            _ => return self.real(value as f64),
        };
        if fits { Ok(()) } else { Err(format!("{value} does not fit {}", self.spec.element)) }
    }

    fn real(&mut self, value: f64) -> Result<(), String> {
        match self.spec.element {
            Element::Fp64 => self.bytes.extend_from_slice(&value.to_le_bytes()),
            Element::Fp32 => {
                let narrow = value as f32;
                if !narrow.is_finite() {
                    return Err(format!("{value:e} does not fit FP32"));
                }
                self.bytes.extend_from_slice(&narrow.to_le_bytes());
            }
            element => return Err(format!("a number with a fraction is no {element}")),
        }
        Ok(())
    }

    fn flag(&mut self, value: bool) -> Result<(), String> {
        if self.spec.element != Element::Bool {
            return Err(format!("a boolean is no {}", self.spec.element));
        }
        self.bytes.push(value.into());
        Ok(())
    }

    fn text(&mut self, value: &str) -> Result<(), String> {
        if self.spec.element != Element::Bytes {
            return Err(format!("a string is no {}", self.spec.element));
        }
        let length = u32::try_from(value.len()).map_err(|_| "a string is too long".to_owned())?;
        self.bytes.extend_from_slice(&length.to_le_bytes());
        self.bytes.extend_from_slice(value.as_bytes());
        Ok(())
    }
}

/// One value at some depth: a list of more, or an element.
struct Level<'e, 'a> {
    elements: &'e mut Elements<'a>,
    depth: usize,
}

impl Level<'_, '_> {
    /// Takes an element here, if elements may be here.
    fn element<E: Error>(self, push: impl FnOnce(&mut Elements<'_>) -> Result<(), String>) -> Result<(), E> {
        let elements = self.elements;
        let rank = elements.spec.shape.extents().len();
        let place = match self.depth {
            0 => false,
            1 => !*elements.nested.get_or_insert(false) || rank == 1,
            depth => depth == rank,
        };
        if !place {
            return Err(E::custom(format!("the lists are not nested like the shape {}", elements.spec.shape)));
        }
        if elements.count == elements.spec.shape.elements() {
            return Err(E::custom(elements.wrong_count("more than ")));
        }
        push(elements).map_err(E::custom)?;
        elements.count += 1;
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Level<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.depth {
            0 => f.write_str("a list of elements"),
            _ => write!(f, "an element of type {}", self.elements.spec.element),
        }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { elements, depth } = self;
        let extents = elements.spec.shape.extents();
        let unlike = || A::Error::custom(format!("the lists are not nested like the shape {:?}", extents));
        if depth == 1 && !*elements.nested.get_or_insert(true) || depth > 0 && depth >= extents.len() {
            return Err(unlike());
        }
        let mut length = 0usize;
        while list.next_element_seed(Level { elements: &mut *elements, depth: depth + 1 })?.is_some() {
            length += 1;
        }
        let flat = depth == 0 && elements.nested != Some(true);
        if flat || extents.get(depth) == Some(&length) { Ok(()) } else { Err(unlike()) }
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.element(|elements| elements.whole(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.element(|elements| elements.whole(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.element(|elements| elements.real(value))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.element(|elements| elements.flag(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.element(|elements| elements.text(value))
    }
}

#[cfg(test)]
mod tests {
    use super::{super::data::Data, *};
    use burst_host::nouns::Tensor;

    fn check(element: Element, extents: &[usize], json: &str, expected: Result<&str, &str>) {
        let spec = Spec::new(element, extents).unwrap();
        let raw = serde_json::from_str::<&RawValue>(json).unwrap();
        match (decode(&spec, raw), expected) {
            (Ok(bytes), Ok(expected)) => {
                let tensor = Tensor::host(spec, bytes).unwrap();
                assert_eq!(serde_json::to_string(&Data(&tensor)).unwrap(), expected, "{json}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{json}: {error}"),
            (found, _) => panic!("{element} {extents:?} {json}: {found:?}"),
        }
    }

    #[test]
    fn lists_are_flat_or_nested_like_the_shape() {
        let check = |extents: &[usize], json, expected| check(Element::I32, extents, json, expected);
        check(&[2, 3], "[1,2,3,4,5,6]", Ok("[1,2,3,4,5,6]"));
        check(&[2, 3], "[[1,2,3],[4,5,6]]", Ok("[1,2,3,4,5,6]"));
        check(&[1, 1, 2], "[[[1,2]]]", Ok("[1,2]"));
        check(&[0], "[]", Ok("[]"));
        check(&[2, 0], "[[],[]]", Ok("[]"));
        check(&[2, 0], "[]", Ok("[]"));
        check(&[], "[7]", Ok("[7]"));
        check(&[], "7", Err("not nested like"));
        check(&[2], "[[1],[2]]", Err("not nested like"));
        check(&[2, 3], "[[1,2],[3,4],[5,6]]", Err("not nested like"));
        check(&[2, 2], "[[1,2,3],[4]]", Err("not nested like"));
        check(&[2, 2], "[[1,2],3,4]", Err("not nested like"));
        check(&[2, 2], "[1,2,[3,4]]", Err("not nested like"));
        check(&[1, 2], "[[[1,2]]]", Err("not nested like"));
        check(&[3], "[1,2]", Err("wants 3 elements, 2 were given"));
        check(&[1], "[1,2]", Err("wants 1 elements, more than 1 were given"));
        check(&[1], "{}", Err("expected a list of elements"));
        check(&[1], "null", Err("expected a list of elements"));
        check(&[1], "[null]", Err("expected an element of type INT32"));
        check(&[1], &("[".repeat(200) + &"]".repeat(200)), Err("not nested like"));
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        check(Element::U64, &[1], "[18446744073709551615]", Ok("[18446744073709551615]"));
        check(
            Element::I64,
            &[2],
            "[-9223372036854775808,9007199254740993]",
            Ok("[-9223372036854775808,9007199254740993]"),
        );
        check(Element::I64, &[1], "[9223372036854775808]", Err("does not fit INT64"));
        check(Element::U64, &[1], "[18446744073709551616]", Err("fraction is no UINT64"));
        check(Element::U8, &[1], "[256]", Err("256 does not fit UINT8"));
        check(Element::I8, &[1], "[-129]", Err("-129 does not fit INT8"));
        check(Element::I32, &[1], "[1.0]", Err("fraction is no INT32"));
        check(Element::Fp32, &[3], "[0.1,1,-2.5e3]", Ok("[0.1,1.0,-2500.0]"));
        check(Element::Fp64, &[1], "[0.30000000000000004]", Ok("[0.30000000000000004]"));
        check(Element::Fp32, &[1], "[1e39]", Err("1e39 does not fit FP32"));
        check(Element::Fp64, &[1], "[1e999]", Err("out of range"));
        check(Element::Fp16, &[1], "[1]", Err("FP16 has no JSON form"));
        check(Element::Bf16, &[1], "[1]", Err("BF16 has no JSON form"));
    }

    #[test]
    fn booleans_and_strings_keep_to_themselves() {
        check(Element::Bool, &[2], "[true,false]", Ok("[true,false]"));
        check(Element::Bool, &[1], "[1]", Err("no BOOL"));
        check(Element::Bytes, &[3], r#"["", "é\n", "x"]"#, Ok(r#"["","é\n","x"]"#));
        check(Element::Bytes, &[1], "[1]", Err("no BYTES"));
        check(Element::I32, &[1], r#"["1"]"#, Err("a string is no INT32"));
    }
}
