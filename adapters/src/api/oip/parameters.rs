//! The `parameters` objects of a request, of its inputs and of its outputs.

use burst_host::nouns::{Sequence, SequenceId};
use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use std::{borrow::Cow, fmt, time::Duration};

/// The longest text that names a sequence; Triton's own limit.
const SEQUENCE_ID_MAX_BYTES: usize = 128;

/// What is known of them; others are scalars and mean nothing here.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// Of an input: so many bytes after the JSON are its contents.
    pub binary_data_size: Option<usize>,
    /// Of an output: in which form it is wanted.
    pub binary_data: Option<bool>,
    /// Of a request: the same for outputs that do not say.
    pub binary_data_output: Option<bool>,
    /// Of a request: how long the client waits.
    pub timeout: Option<Duration>,
    sequence_id: Option<SequenceId>,
    sequence_start: bool,
    sequence_end: bool,
}

impl Parameters {
    /// Of a request: the sequence that it belongs to.
    pub fn sequence(&mut self) -> Result<Option<Sequence>, &'static str> {
        match (self.sequence_id.take(), self.sequence_start, self.sequence_end) {
            (Some(id), start, end) => Ok(Some(Sequence { id, start, end })),
            (None, false, false) => Ok(None),
            (None, ..) => Err("`sequence_start` and `sequence_end` need a `sequence_id`"),
        }
    }

    fn set(&mut self, name: &str, value: Scalar) -> Result<(), &'static str> {
        match name {
            "binary_data_size" => self.binary_data_size = Some(value.count()?),
            "binary_data" => self.binary_data = Some(value.flag()?),
            "binary_data_output" => self.binary_data_output = Some(value.flag()?),
            "timeout" => self.timeout = timeout(value.unsigned()?),
            "classification" => return Err("is not supported: ask for the scores"),
            "shared_memory_region" => return Err("is not supported: send the contents"),
            "sequence_start" => self.sequence_start = value.flag()?,
            "sequence_end" => self.sequence_end = value.flag()?,
            "sequence_id" => self.sequence_id = sequence_id(value)?,
            "priority" => drop(value.unsigned()?),
            _ => {}
        }
        Ok(())
    }
}

/// A time-out in microseconds. Zero is Triton's "none", and so is what no clock can add.
fn timeout(micros: u64) -> Option<Duration> {
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);
    Some(Duration::from_micros(micros)).filter(|timeout| !timeout.is_zero() && *timeout <= DAY)
}

/// Zero and the empty text are Triton's "none".
fn sequence_id(value: Scalar) -> Result<Option<SequenceId>, &'static str> {
    match value {
        Scalar::Unsigned(0) => Ok(None),
        Scalar::Text(text) if text.is_empty() => Ok(None),
        Scalar::Text(text) if text.len() > SEQUENCE_ID_MAX_BYTES => Err("is longer than 128 bytes"),
        Scalar::Text(text) => Ok(Some(SequenceId::Text(text))),
        Scalar::Unsigned(number) => Ok(Some(SequenceId::Number(number))),
        Scalar::Flag(_) | Scalar::Number => Err("is neither a whole number from 0 nor a text"),
    }
}

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParametersVisitor)
    }
}

struct ParametersVisitor;

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of parameters")
    }

    /// As clients write members that they have nothing to say in.
    fn visit_unit<E: Error>(self) -> Result<Parameters, E> {
        Ok(Parameters::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parameters, A::Error> {
        let mut parameters = Parameters::default();
        while let Some(Name(name)) = map.next_key()? {
            let value = map.next_value()?;
            parameters.set(&name, value).map_err(|reason| A::Error::custom(format!("parameter `{name}` {reason}")))?;
        }
        Ok(parameters)
    }
}

#[derive(Deserialize)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// A value, as far as any parameter needs it.
#[derive(Debug)]
enum Scalar {
    Flag(bool),
    Unsigned(u64),
    /// Negative, or with a fraction.
    Number,
    Text(String),
}

impl Scalar {
    fn flag(self) -> Result<bool, &'static str> {
        if let Self::Flag(flag) = self { Ok(flag) } else { Err("is not a boolean") }
    }

    fn unsigned(self) -> Result<u64, &'static str> {
        if let Self::Unsigned(count) = self { Ok(count) } else { Err("is not a whole number from 0") }
    }

    fn count(self) -> Result<usize, &'static str> {
        usize::try_from(self.unsigned()?).map_err(|_| "is too large")
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl Visitor<'_> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a number or a boolean")
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Scalar, E> {
        Ok(Scalar::Flag(flag))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Scalar, E> {
        Ok(Scalar::Unsigned(number))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Scalar, E> {
        Ok(Scalar::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Scalar, E> {
        Ok(Scalar::Number)
    }

    fn visit_str<E>(self, text: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(text.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str, expected: Result<Parameters, &str>) {
        match (serde_json::from_str::<Parameters>(json), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{json}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{json}: {error}"),
            (found, _) => panic!("{json}: {found:?}"),
        }
    }

    #[test]
    fn known_parameters_have_their_types() {
        check("{}", Ok(Parameters::default()));
        check(
            r#"{"timeout": 1500}"#,
            Ok(Parameters { timeout: Some(Duration::from_micros(1500)), ..Default::default() }),
        );
        check(r#"{"timeout": 0}"#, Ok(Parameters::default()));
        check(r#"{"timeout": 18446744073709551615}"#, Ok(Parameters::default()));
        check(r#"{"timeout": -1}"#, Err("`timeout` is not a whole number"));
        check(r#"{"timeout": 1.5}"#, Err("`timeout` is not a whole number"));
        check(r#"{"binary_data": true}"#, Ok(Parameters { binary_data: Some(true), ..Default::default() }));
        check(r#"{"binary_data": 1}"#, Err("`binary_data` is not a boolean"));
        check(r#"{"binary_data_size": 18446744073709551616}"#, Err("`binary_data_size` is not a whole number"));
        check(r#"{"classification": 3}"#, Err("`classification` is not supported"));
    }

    #[test]
    fn sequences_have_numbers_or_texts() {
        let check = |json: &str, expected: Result<Option<(SequenceId, bool, bool)>, &str>| {
            let found = serde_json::from_str::<Parameters>(json).map_err(|error| error.to_string());
            let found = found.and_then(|mut parameters| parameters.sequence().map_err(str::to_owned));
            let expected = expected.map(|one| one.map(|(id, start, end)| Sequence { id, start, end }));
            match (found, expected) {
                (Err(found), Err(part)) => assert!(found.contains(part), "{json}: {found}"),
                (found, expected) => assert_eq!(found, expected.map_err(str::to_owned), "{json}"),
            }
        };
        let (number, text) = (SequenceId::Number, |text: &str| SequenceId::Text(text.into()));
        check("{}", Ok(None));
        check(r#"{"sequence_id": 0, "sequence_start": false}"#, Ok(None));
        check(r#"{"sequence_id": "", "sequence_end": false}"#, Ok(None));
        check(r#"{"sequence_id": 7, "sequence_start": true}"#, Ok(Some((number(7), true, false))));
        check(r#"{"sequence_id": 18446744073709551615}"#, Ok(Some((number(u64::MAX), false, false))));
        check(r#"{"sequence_id": "7", "sequence_end": true}"#, Ok(Some((text("7"), false, true))));
        check(r#"{"sequence_id": -1}"#, Err("neither a whole number"));
        check(r#"{"sequence_id": true}"#, Err("neither a whole number"));
        check(r#"{"sequence_id": 7, "sequence_start": 1}"#, Err("`sequence_start` is not a boolean"));
        check(r#"{"sequence_start": true}"#, Err("need a `sequence_id`"));
        check(&format!(r#"{{"sequence_id": "{}"}}"#, "a".repeat(129)), Err("longer than 128"));
    }

    #[test]
    fn other_parameters_are_scalars() {
        check(r#"{"colour": "red", "triton_final": true}"#, Ok(Parameters::default()));
        check(r#"{"colour": ["red"]}"#, Err("expected a string, a number or a boolean"));
        check(r#"{"colour": null}"#, Err("expected a string, a number or a boolean"));
        check("null", Ok(Parameters::default()));
        check("[]", Err("expected an object of parameters"));
    }
}
