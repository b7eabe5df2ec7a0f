//! A model inside a component: a custom section, which `burst compile` appends and deploy reads.
//!
//! A custom section says nothing to WebAssembly, so the code before it is one and the same for every model, and needs
//! no memory for it. Source of the layout: the binary format of WebAssembly, <https://webassembly.github.io/spec/core/binary/>.

use bytes::Bytes;

/// What a guest opens it as, and what its section is called.
pub const NAME: &str = "graph";
const SECTION: &[u8] = b"burst:graph";
/// `\0asm`, then version and layer of components.
const PREAMBLE: [u8; 8] = *b"\0asm\x0d\x00\x01\x00";
const CUSTOM: u8 = 0;

/// Why a component's sections can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    #[error("this is not a component, or it is cut off")]
    Malformed,
    #[error("it holds two graphs")]
    Twice,
    #[error("the graph has more than 4 GiB")]
    TooLarge,
}

/// The component with a model behind it.
pub fn embed(component: &[u8], model: &[u8]) -> Result<Vec<u8>, SectionError> {
    let mut content = vec![SECTION.len() as u8];
    content.extend(SECTION);
    content.extend(model);
    let length = u32::try_from(content.len()).map_err(|_| SectionError::TooLarge)?;
    let mut whole = component.to_vec();
    whole.push(CUSTOM);
    write_length(&mut whole, length);
    whole.extend(content);
    Ok(whole)
}

/// The model in a component, sharing its bytes; `None` where there is none.
pub fn embedded(component: &Bytes) -> Result<Option<Bytes>, SectionError> {
    let mut rest = component.strip_prefix(&PREAMBLE).ok_or(SectionError::Malformed)?;
    let mut found = None;
    while let Some((&kind, after)) = rest.split_first() {
        let (length, after) = read_length(after).ok_or(SectionError::Malformed)?;
        let (content, after) = after.split_at_checked(length).ok_or(SectionError::Malformed)?;
        if let Some(model) = model(kind, content) {
            let model = component.slice_ref(model);
            if found.replace(model).is_some() {
                return Err(SectionError::Twice);
            }
        }
        rest = after;
    }
    Ok(found)
}

fn model(kind: u8, content: &[u8]) -> Option<&[u8]> {
    let (length, name) = read_length(content).filter(|_| kind == CUSTOM)?;
    name.split_at_checked(length).filter(|(name, _)| *name == SECTION).map(|(_, model)| model)
}

/// LEB128.
fn write_length(bytes: &mut Vec<u8>, mut length: u32) {
    while length >= 0x80 {
        bytes.push(length as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
}

/// LEB128 of at most five bytes, and what follows it.
fn read_length(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut length = 0u64;
    for (index, &byte) in bytes.iter().enumerate().take(5) {
        length |= u64::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            let length = u32::try_from(length).ok()?;
            return Some((length as usize, &bytes[index + 1..]));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn component() -> Vec<u8> {
        // A custom section of somebody else's, and one that is no custom section.
        [&PREAMBLE[..], b"\0\x05\x04name", b"\x07\x01\0"].concat()
    }

    #[test]
    fn a_model_comes_back() {
        let check = |model: &[u8]| {
            let whole = Bytes::from(embed(&component(), model).unwrap());
            assert_eq!(embedded(&whole).unwrap().as_deref(), Some(model));
        };
        check(b"");
        check(b"model");
        check(&[7; 300]);
        check(&[7; 1 << 20]);
    }

    #[test]
    fn what_is_no_component_is_refused() {
        let check = |bytes: &[u8], expected| assert_eq!(embedded(&Bytes::copy_from_slice(bytes)), expected);
        check(&component(), Ok(None));
        check(b"", Err(SectionError::Malformed));
        check(b"\0asm\x01\0\0\0", Err(SectionError::Malformed));
        check(&[&component()[..], b"\0\xff\xff\xff\xff\x0f"].concat(), Err(SectionError::Malformed));
        check(&[&component()[..], b"\0\xff\xff\xff\xff\xff\x01"].concat(), Err(SectionError::Malformed));
        check(&embed(&embed(&component(), b"a").unwrap(), b"b").unwrap(), Err(SectionError::Twice));
    }

    proptest! {
        #[test]
        fn garbage_is_read_to_its_end(tail in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = embedded(&[&component()[..], &tail].concat().into());
        }
    }
}
