//! Turns what a guest answered into a response: JSON, or JSON and then the contents of the binary outputs.

use super::{super::refusal::Refusal, VERSION, chunks::Chunks, data::Data, request::Wanted};
use axum::{
    http::{HeaderName, HeaderValue, header},
    response::Response,
};
use burst_host::{
    loops::serve::Answer,
    nouns::{Element, Tensor},
};
use bytes::Bytes;
use serde::Serialize;

/// How many bytes of a body are JSON, when contents follow.
pub(super) const HEAD_LENGTH: HeaderName = HeaderName::from_static("inference-header-content-length");

/// Contents that are written as JSON in one answer; the text is several times as long.
const JSON_MAX_BYTES: usize = 16 << 20;

/// An answer, laid out for the wire.
#[derive(Debug)]
pub(super) struct Encoded {
    head: Vec<u8>,
    tail: Vec<Bytes>,
    /// Whether any output is binary, be it empty.
    binary: bool,
}

/// Lays an answer out as `wanted`.
pub(super) fn encode(guest: &str, id: Option<&str>, wanted: &Wanted, answer: &Answer) -> Result<Encoded, Refusal> {
    let outputs = select(wanted, &answer.outputs)?;
    let binary = |output: &&Output<'_>| output.parameters.is_some();
    let tail: Vec<_> = outputs.iter().filter(binary).filter_map(|output| output.tensor.contents().cloned()).collect();
    let is_binary = outputs.iter().any(|output| binary(&output));
    let json_bytes: usize =
        outputs.iter().filter_map(|output| output.data.as_ref()?.0.contents()).map(Bytes::len).sum();
    if json_bytes > JSON_MAX_BYTES {
        return Err(Refusal::invalid(format!("the outputs are above {JSON_MAX_BYTES} bytes; ask for binary data")));
    }
    let mut head = Vec::with_capacity(512 + json_bytes.saturating_mul(3));
    let device = answer.device.as_ref().map(|device| AnswerParameters { device: device.to_string() });
    let json = Head { id, model_name: guest, model_version: VERSION, parameters: device, outputs };
    serde_json::to_writer(&mut head, &json).map_err(|error| Refusal::internal(format!("the answer: {error}")))?;
    Ok(Encoded { head, tail, binary: is_binary })
}

impl Encoded {
    /// All that has to be sent.
    pub fn bytes(&self) -> usize {
        self.tail.iter().map(Bytes::len).fold(self.head.len(), usize::saturating_add)
    }

    /// The response; large contents are sent from where they are.
    pub fn response(self) -> Response {
        let length = self.head.len();
        let mut response = Response::new(Chunks::body(self.head, &self.tail));
        let headers = response.headers_mut();
        let kind = if self.binary { "application/octet-stream" } else { "application/json" };
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
        if self.binary {
            headers.insert(HEAD_LENGTH, HeaderValue::from(length));
        }
        response
    }
}

#[derive(Serialize)]
struct Head<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    model_name: &'a str,
    model_version: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<AnswerParameters>,
    outputs: Vec<Output<'a>>,
}

#[derive(Serialize)]
struct AnswerParameters {
    /// What computed the answer.
    device: String,
}

#[derive(Serialize)]
struct Output<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: &'a [usize],
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<OutputParameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data<'a>>,
    #[serde(skip)]
    tensor: &'a Tensor,
}

#[derive(Serialize)]
struct OutputParameters {
    binary_data_size: usize,
}

fn select<'a>(wanted: &Wanted, outputs: &'a [(String, Tensor)]) -> Result<Vec<Output<'a>>, Refusal> {
    let Some(names) = &wanted.outputs else {
        return outputs.iter().map(|(name, tensor)| Output::new(name, tensor, wanted.binary)).collect();
    };
    let pick = |(wanted_name, binary): &(String, Option<bool>)| {
        let (name, tensor) = outputs
            .iter()
            .find(|(name, _)| name == wanted_name)
            .ok_or_else(|| Refusal::invalid(format!("output `{wanted_name}`: there is no such output")))?;
        Output::new(name, tensor, binary.or(wanted.binary))
    };
    names.iter().map(pick).collect()
}

impl<'a> Output<'a> {
    fn new(name: &'a str, tensor: &'a Tensor, binary: Option<bool>) -> Result<Self, Refusal> {
        let spec = tensor.spec();
        let contents = tensor.contents();
        let contents =
            contents.ok_or_else(|| Refusal::internal(format!("output `{name}`: it is not in host memory")))?;
        let half = matches!(spec.element, Element::Fp16 | Element::Bf16);
        let binary = binary.unwrap_or(half);
        if !binary && let Some(reason) = Data(tensor).unspeakable() {
            return Err(Refusal::invalid(format!("output `{name}`: {reason}; ask for binary data")));
        }
        Ok(Self {
            name,
            datatype: spec.element.oip(),
            shape: spec.shape.extents(),
            parameters: binary.then(|| OutputParameters { binary_data_size: contents.len() }),
            data: (!binary).then_some(Data(tensor)),
            tensor,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burst_host::ports::{Device, DeviceKind};

    fn answer() -> Answer {
        let tensor = Tensor::from_slice(Element::Fp32, [2], &[1.5f32, 2.0]).unwrap();
        let half = Tensor::from_slice(Element::Fp16, [1], &[0x3c00u16]).unwrap();
        let nan = Tensor::from_slice(Element::Fp32, [1], &[f32::NAN]).unwrap();
        let device =
            Device { kind: DeviceKind::Cpu, name: "EPYC".into(), driver: "tract 0.23".into(), memory_bytes: None };
        Answer {
            outputs: vec![("y".into(), tensor), ("h".into(), half), ("n".into(), nan)],
            device: Some(device),
            step: None,
        }
    }

    fn check(outputs: &[(&str, Option<bool>)], binary: Option<bool>, expected: Result<(&str, usize), &str>) {
        let outputs = outputs.iter().map(|(name, form)| ((*name).to_owned(), *form)).collect();
        let wanted = Wanted { outputs: Some(outputs), binary };
        match (encode("g", Some("7"), &wanted, &answer()), expected) {
            (Ok(found), Ok((json, tail))) => {
                let start = r#"{"id":"7","model_name":"g","model_version":"1","parameters":{"device":"cpu: EPYC (tract 0.23)"},"outputs":["#;
                let found_json = String::from_utf8(found.head).unwrap();
                assert_eq!(found_json, format!("{start}{json}]}}"));
                assert_eq!(found.tail.iter().map(Bytes::len).sum::<usize>(), tail);
                assert_eq!(found.binary, json.contains("binary_data_size"));
            }
            (Err(refusal), Err(part)) => assert!(refusal.text().contains(part), "{refusal}"),
            (found, _) => panic!("{found:?}"),
        }
    }

    #[test]
    fn outputs_come_in_the_form_that_was_asked_for() {
        let json = r#"{"name":"y","datatype":"FP32","shape":[2],"data":[1.5,2.0]}"#;
        let binary = r#"{"name":"y","datatype":"FP32","shape":[2],"parameters":{"binary_data_size":8}}"#;
        let half = r#"{"name":"h","datatype":"FP16","shape":[1],"parameters":{"binary_data_size":2}}"#;
        check(&[], None, Ok(("", 0)));
        check(&[("y", None)], None, Ok((json, 0)));
        check(&[("y", None)], Some(true), Ok((binary, 8)));
        check(&[("y", Some(false))], Some(true), Ok((json, 0)));
        check(&[("h", None), ("y", None)], None, Ok((&format!("{half},{json}"), 2)));
        check(&[("h", None), ("y", Some(true))], None, Ok((&format!("{half},{binary}"), 10)));
    }

    #[test]
    fn what_can_not_be_is_refused() {
        check(&[("z", None)], None, Err("output `z`: there is no such output"));
        check(&[("h", Some(false))], None, Err("output `h`: FP16 has no JSON form; ask for binary data"));
        check(&[("n", None)], None, Err("output `n`: it holds a NaN"));
        check(
            &[("n", None)],
            Some(true),
            Ok((r#"{"name":"n","datatype":"FP32","shape":[1],"parameters":{"binary_data_size":4}}"#, 4)),
        );
    }
}
