//! What stages say to each other: a length, a header in JSON, and the contents of tensors one after the other.

use crate::nouns::{Digest, Element, Epoch, Fault, NodeName, Shape, Spec, Tensor};
use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// Names and shapes take no more.
const HEADER_MAX_BYTES: usize = 4 << 20;

/// Values by name, in host memory.
pub type Values = Vec<(String, Tensor)>;

/// One request, on its way to a stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Call {
    /// The same however often it is sent: a stage that answered it does not compute it again.
    pub request: u128,
    pub plan: Digest,
    /// Whose nodes and stages are meant.
    pub epoch: Epoch,
    pub stage: usize,
    /// What is left of its time.
    pub budget_ms: u64,
    pub turn: Option<Turn>,
    /// Whom the caller suspects: others need not find that out anew.
    #[serde(default)]
    pub suspects: Vec<NodeName>,
}

/// One step of a session, whose states stay where they are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub session: u128,
    /// Steps before this one.
    pub step: u64,
    /// Requests of the session before this one, those included that came to nothing: what is left of them comes too late.
    pub attempt: u64,
    /// Only the states are wanted again: nothing is passed on.
    pub replay: bool,
}

impl Turn {
    /// Steps after this one; another node may have said any number.
    pub fn next(&self) -> Option<u64> {
        self.step.checked_add(1)
    }
}

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The values follow, after so long.
    Done { took_us: u64 },
    /// The model can't be run like this, anywhere.
    Fault(Fault),
    /// Nodes have moved on, or this one has not got so far.
    Fenced,
    /// No node of a stage after this one answers.
    Lost,
    /// It knows fewer steps of the session.
    Behind { steps: u64 },
}

/// Why a message is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is no message between stages: {0}")]
pub struct WireError(String);

#[derive(Serialize, Deserialize)]
struct Header<T> {
    head: T,
    values: Vec<Described>,
}

#[derive(Serialize, Deserialize)]
struct Described {
    name: String,
    element: Element,
    extents: Vec<usize>,
    bytes: usize,
}

/// Writes a head and the values behind it.
pub fn write(head: impl Serialize, values: &Values) -> Result<Bytes, WireError> {
    let mut described = Vec::with_capacity(values.len());
    let mut total = 0;
    for (name, tensor) in values {
        let bytes = tensor.contents().ok_or_else(|| WireError(format!("`{name}` is on a device")))?.len();
        let Spec { element, shape } = tensor.spec().clone();
        total += bytes;
        described.push(Described { name: name.clone(), element, extents: shape.extents().to_vec(), bytes });
    }
    let header =
        serde_json::to_vec(&Header { head, values: described }).map_err(|error| WireError(error.to_string()))?;
    let mut message = BytesMut::with_capacity(4 + header.len() + total);
    message.put_u32_le(u32::try_from(header.len()).map_err(|_| WireError("its header is too long".into()))?);
    message.put_slice(&header);
    values.iter().filter_map(|(_, tensor)| tensor.contents()).for_each(|contents| message.put_slice(contents));
    Ok(message.freeze())
}

/// Reads what [`write()`] wrote; others' words. The values share the message's memory.
pub fn read<T: DeserializeOwned>(mut message: Bytes) -> Result<(T, Values), WireError> {
    let wrong = |why: &str| WireError(why.into());
    let length = message.try_get_u32_le().map_err(|_| wrong("it is too short"))? as usize;
    if length > HEADER_MAX_BYTES || length > message.remaining() {
        return Err(wrong("its header is too long"));
    }
    let header: Header<T> =
        serde_json::from_slice(&message.split_to(length)).map_err(|error| WireError(error.to_string()))?;
    let mut values = Vec::new();
    for Described { name, element, extents, bytes } in header.values {
        if bytes > message.remaining() {
            return Err(WireError(format!("`{name}` is cut off")));
        }
        let spec = Shape::new(extents).map(|shape| Spec { element, shape });
        let tensor = spec.and_then(|spec| Tensor::host(spec, message.split_to(bytes)));
        values.push((name, tensor.map_err(|error| WireError(error.to_string()))?));
    }
    if message.has_remaining() { Err(wrong("bytes are left over")) } else { Ok((header.head, values)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> Values {
        let floats = Tensor::from_slice(Element::Fp32, [2, 3], &[1f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        let empty = Tensor::from_slice(Element::I64, [0, 4], &[0i64; 0]).unwrap();
        vec![("x".into(), floats), ("past".into(), empty)]
    }

    #[test]
    fn values_survive() {
        let message = write(Outcome::Lost, &values()).unwrap();
        let (outcome, found): (Outcome, _) = read(message).unwrap();
        assert_eq!(outcome, Outcome::Lost);
        for ((name, tensor), (expected, wanted)) in found.iter().zip(&values()) {
            assert_eq!((name, tensor.spec(), tensor.contents()), (expected, wanted.spec(), wanted.contents()));
        }
    }

    #[test]
    fn every_cut_is_noticed() {
        let message = write(Outcome::Done { took_us: 5 }, &values()).unwrap();
        for length in 0..message.len() {
            assert!(read::<Outcome>(message.slice(..length)).is_err(), "{length}");
        }
        let longer = [&message[..], b"!"].concat();
        assert!(read::<Outcome>(longer.into()).is_err());
    }

    #[test]
    fn huge_lengths_are_refused() {
        let forged = |header: &str| {
            let length = (header.len() as u32).to_le_bytes();
            read::<Outcome>([&length[..], header.as_bytes()].concat().into()).unwrap_err().to_string()
        };
        let value = |extents: &str, bytes: &str| {
            forged(&format!(
                r#"{{"head":"Lost","values":[{{"name":"x","element":"FP32","extents":{extents},"bytes":{bytes}}}]}}"#
            ))
        };
        assert!(value("[4]", "18446744073709551615").contains("cut off"));
        assert!(value("[4294967296, 4294967296]", "0").contains("elements"));
        assert!(value("[4]", "0").contains("16 bytes"));
        assert!(read::<Outcome>(Bytes::from_static(&[255; 8])).unwrap_err().to_string().contains("too long"));
    }

    proptest! {
        #[test]
        fn garbage_is_refused(message in prop::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(read::<Call>(message.into()).is_err());
        }
    }
}
