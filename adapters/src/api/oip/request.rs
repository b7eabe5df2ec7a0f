//! Turns the body of an inference request into tensors that fit the guest.

use super::{
    super::refusal::Refusal,
    elements,
    lists::{Extents, Few},
    parameters::Parameters,
};
use burst_host::{
    loops::serve::Request,
    nouns::{Element, Signature, Spec, Tensor},
};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, fmt};

/// A request, and what its answer should look like.
#[derive(Debug)]
pub(super) struct Asked {
    pub id: Option<String>,
    pub request: Request,
    pub wanted: Wanted,
}

/// Which outputs, and in which form; a form left open is JSON wherever JSON can say it.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// All of them when left out.
    pub outputs: Option<Vec<(String, Option<bool>)>>,
    /// Whether outputs that do not say are binary.
    pub binary: Option<bool>,
}

/// Reads `body`, whose first `head_length` bytes (or all) are JSON and whose rest is binary contents, in the order of
/// the inputs that say `binary_data_size`. Those contents are slices of `body`; what JSON becomes is at most
/// `max_bytes`.
pub(super) fn parse(
    guest: &str,
    signature: &Signature,
    body: Bytes,
    head_length: Option<usize>,
    max_bytes: usize,
) -> Result<Asked, Refusal> {
    let mut binary = body;
    let head = match head_length {
        None => std::mem::take(&mut binary),
        Some(length) if length <= binary.len() => binary.split_to(length),
        Some(_) => return Err(Refusal::invalid("the header of the request is longer than the body")),
    };
    let mut head: Head<'_> =
        serde_json::from_slice(&head).map_err(|error| Refusal::invalid(format!("the request: {error}")))?;
    let specs = head.specs()?;
    let named = head.inputs.0.iter().map(|input| &*input.name).zip(&specs);
    signature.admits(named).map_err(Refusal::invalid)?;
    // A digit and a comma may become eight bytes.
    let json_bytes = head.inputs.0.iter().zip(&specs).filter(|(input, _)| input.data.is_some());
    if json_bytes.filter_map(|(_, spec)| spec.bytes()).fold(0, usize::saturating_add) > max_bytes {
        return Err(Refusal::too_large(max_bytes));
    }
    let sequence = head.parameters.sequence().map_err(Refusal::invalid)?;
    let outputs =
        head.outputs.filter(|outputs| !outputs.0.is_empty()).map(|outputs| wanted(signature, outputs)).transpose()?;
    let inputs = head.inputs.0.into_iter().zip(specs).map(|(input, spec)| input.tensor(spec, &mut binary));
    let inputs = inputs.collect::<Result<_, _>>()?;
    if !binary.is_empty() {
        return Err(Refusal::invalid(format!("{} bytes follow the last input", binary.len())));
    }
    let id = Some(head.id.into_owned()).filter(|id| !id.is_empty());
    let logged = id.as_ref().map(|id| id.chars().take(LOGGED_MAX).collect());
    let timeout = head.parameters.timeout;
    Ok(Asked {
        request: Request { guest: guest.to_owned(), inputs, sequence, timeout, id: logged },
        id,
        wanted: Wanted { outputs, binary: head.parameters.binary_data_output },
    })
}

/// Characters of a request's id that the log shows.
const LOGGED_MAX: usize = 64;

/// The JSON of a request. Members unknown here are ignored.
#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, default)]
    id: Cow<'a, str>,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow)]
    inputs: Few<Input<'a>>,
    #[serde(borrow, default)]
    outputs: Option<Few<Output<'a>>>,
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    shape: Extents,
    #[serde(default)]
    parameters: Parameters,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Output<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    parameters: Parameters,
}

impl Head<'_> {
    fn specs(&self) -> Result<Vec<Spec>, Refusal> {
        let inputs = &self.inputs.0;
        for (index, input) in inputs.iter().enumerate() {
            if inputs[..index].iter().any(|other| other.name == input.name) {
                return Err(input.refusal("occurs twice"));
            }
        }
        inputs.iter().map(Input::spec).collect()
    }
}

impl Input<'_> {
    fn refusal(&self, reason: impl fmt::Display) -> Refusal {
        Refusal::invalid(format!("input `{}`: {reason}", self.name))
    }

    fn spec(&self) -> Result<Spec, Refusal> {
        let element = Element::from_oip(&self.datatype)
            .ok_or_else(|| self.refusal(format_args!("`{}` is not a datatype", self.datatype)))?;
        Spec::new(element, self.shape.0.as_slice()).map_err(|error| self.refusal(error))
    }

    fn tensor(self, spec: Spec, binary: &mut Bytes) -> Result<(String, Tensor), Refusal> {
        let contents = match (self.parameters.binary_data_size, self.data) {
            (Some(_), Some(_)) => return Err(self.refusal("it has both `data` and `binary_data_size`")),
            (None, None) => return Err(self.refusal("it has neither `data` nor `binary_data_size`")),
            (Some(size), None) if size > binary.len() => {
                let left = binary.len();
                return Err(self.refusal(format_args!("`binary_data_size` is {size}, and {left} bytes are left")));
            }
            (Some(size), None) => binary.split_to(size),
            (None, Some(data)) => elements::decode(&spec, data).map_err(|error| self.refusal(error))?.into(),
        };
        let tensor = Tensor::host(spec, contents).map_err(|error| self.refusal(error))?;
        Ok((self.name.into_owned(), tensor))
    }
}

fn wanted(signature: &Signature, outputs: Few<Output<'_>>) -> Result<Vec<(String, Option<bool>)>, Refusal> {
    let mut wanted = Vec::<(String, _)>::with_capacity(outputs.0.len());
    for Output { name, parameters } in outputs.0 {
        let refusal = |reason| Refusal::invalid(format!("output `{name}`: {reason}"));
        if wanted.iter().any(|(other, _)| *other == name) {
            return Err(refusal("occurs twice"));
        }
        if !signature.outputs.is_empty() && !signature.outputs.iter().any(|port| port.name == name) {
            return Err(refusal("there is no such output"));
        }
        wanted.push((name.into_owned(), parameters.binary_data));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use burst_host::nouns::{Extent, Port};

    fn signature() -> Signature {
        let port = |name: &str| Port {
            name: name.into(),
            element: Some(Element::I32),
            shape: Some(vec![Extent::Any, Extent::Fixed(2)]),
            optional: false,
        };
        Signature { inputs: vec![port("a"), port("b")], outputs: vec![port("y")] }
    }

    fn check(signature: &Signature, head: &str, binary: &[u8], expected: Result<&[(&str, &[i32])], &str>) {
        let body = Bytes::from([head.as_bytes(), binary].concat());
        match (parse("g", signature, body, Some(head.len()), 1 << 20), expected) {
            (Ok(asked), Ok(expected)) => {
                let inputs = asked.request.inputs.iter();
                let found: Vec<_> = inputs.map(|(name, tensor)| (name.as_str(), tensor.to_vec().unwrap())).collect();
                let expected: Vec<_> = expected.iter().map(|(name, values)| (*name, values.to_vec())).collect();
                assert_eq!(found, expected, "{head}");
            }
            (Err(refusal), Err(part)) => assert!(refusal.text().contains(part), "{head}: {refusal}"),
            (found, _) => panic!("{head}: {found:?}"),
        }
    }

    const A: &str = r#"{"name":"a","datatype":"INT32","shape":[1,2],"data":[1,2]}"#;
    const B: &str = r#"{"name":"b","datatype":"INT32","shape":[1,2],"parameters":{"binary_data_size":8}}"#;

    #[test]
    fn json_and_binary_inputs_mix() {
        let bytes = [3, 0, 0, 0, 4, 0, 0, 0];
        check(&signature(), &format!(r#"{{"inputs":[{A},{B}]}}"#), &bytes, Ok(&[("a", &[1, 2]), ("b", &[3, 4])]));
        check(&signature(), &format!(r#"{{"inputs":[{B},{A}]}}"#), &bytes, Ok(&[("b", &[3, 4]), ("a", &[1, 2])]));
        check(&Signature::default(), &format!(r#"{{"inputs":[{A}]}}"#), &[], Ok(&[("a", &[1, 2])]));
        check(&Signature::default(), r#"{"inputs":[]}"#, &[], Ok(&[]));
    }

    #[test]
    fn requests_that_do_not_fit_name_the_input() {
        let check = |head: &str, binary: &[u8], part| check(&signature(), head, binary, Err(part));
        check(&format!(r#"{{"inputs":[{A}]}}"#), &[], "input `b`: it is missing");
        check(&format!(r#"{{"inputs":[{A},{A}]}}"#), &[], "input `a`: occurs twice");
        check(
            &format!(r#"{{"inputs":[{A},{B}]}}"#),
            &[0; 7],
            "input `b`: `binary_data_size` is 8, and 7 bytes are left",
        );
        check(&format!(r#"{{"inputs":[{A},{B}]}}"#), &[0; 9], "1 bytes follow the last input");
        check(
            &format!(r#"{{"inputs":[{}]}}"#, A.replace("INT32", "FP32")),
            &[],
            "FP32[1, 2] does not fit a: INT32[?, 2]",
        );
        check(&format!(r#"{{"inputs":[{}]}}"#, A.replace("[1,2]", "[2,1]")), &[], "does not fit");
        check(&format!(r#"{{"inputs":[{}]}}"#, A.replace("[1,2]", "[-1,2]")), &[], "below 0");
        check(&format!(r#"{{"inputs":[{}]}}"#, A.replace("INT32", "INT4")), &[], "`INT4` is not a datatype");
        check(&format!(r#"{{"inputs":[{}]}}"#, A.replace("\"a\"", "\"c\"")), &[], "input `c`: there is no such input");
        check(
            &format!(r#"{{"inputs":[{A},{B}],"outputs":[{{"name":"z"}}]}}"#),
            &[0; 8],
            "output `z`: there is no such",
        );
        check("", &[], "the request: EOF");
    }

    #[test]
    fn hostile_shapes_do_not_overflow() {
        let check = |shape: &str, part| {
            let input = format!(r#"{{"inputs":[{{"name":"a","datatype":"INT32","shape":{shape},"data":[]}}]}}"#);
            check(&Signature::default(), &input, &[], Err(part));
        };
        check("[4294967296,4294967296]", "more than");
        check("[9223372036854775807,2]", "more than");
        check("[0,9223372036854775807]", "more than");
        check("[9223372036854775808]", "integer");
        check("[1,1,1,1,1,1,1,1,1]", "at most 8");
        check("[1.5]", "floating point");
        check("[1000000]", "above 1048576 bytes");
        check("\"2\"", "expected a shape");
    }
}
