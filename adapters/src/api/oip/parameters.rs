//! The `parameters` objects of a request, of its inputs and of its outputs.

use serde::{
    Deserialize, Deserializer,
    de::{Error, MapAccess, Visitor},
};
use std::{borrow::Cow, fmt, time::Duration};

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
}

impl Parameters {
    fn set(&mut self, name: &str, value: Scalar) -> Result<(), &'static str> {
        match name {
            "binary_data_size" => self.binary_data_size = Some(value.count()?),
            "binary_data" => self.binary_data = Some(value.flag()?),
            "binary_data_output" => self.binary_data_output = Some(value.flag()?),
            "timeout" => self.timeout = timeout(value.unsigned()?),
            "classification" => return Err("is not supported: ask for the scores"),
            "shared_memory_region" => return Err("is not supported: send the contents"),
            "sequence_start" | "sequence_end" => drop(value.flag()?),
            "priority" => drop(value.unsigned()?),
            "sequence_id" if !matches!(value, Scalar::Text) => drop(value.unsigned()?),
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

impl<'de> Deserialize<'de> for Parameters {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ParametersVisitor)
    }
}

struct ParametersVisitor;

impl<'de> Visitor<'de> for ParametersVisitor {
    type Value = Parameters;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of parameters")
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
#[derive(Clone, Copy, Debug)]
enum Scalar {
    Flag(bool),
    Unsigned(u64),
    /// Negative, or with a fraction.
    Number,
    Text,
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

    fn visit_str<E>(self, _: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text)
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
    fn other_parameters_are_scalars() {
        check(r#"{"colour": "red", "triton_final": true, "sequence_id": "a"}"#, Ok(Parameters::default()));
        check(r#"{"colour": ["red"]}"#, Err("expected a string, a number or a boolean"));
        check(r#"{"colour": null}"#, Err("expected a string, a number or a boolean"));
        check("[]", Err("expected an object of parameters"));
    }
}
