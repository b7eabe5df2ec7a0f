//! Requests in rows: cut along the first axis of what goes into a model, put together along that of what comes out.
//!
//! Whether rows know of each other only who made the model can tell. Who cuts it promises that they don't, as whoever
//! gives a model of Triton's a `max_batch_size` does.

use super::relay::wire::Values;
use crate::nouns::{Extent, Fault, Port, Shape, Signature, Spec, Tensor};
use bytes::{Buf, Bytes, BytesMut};
use std::num::NonZeroUsize;

/// Whether a model takes and yields any number of rows. The error names the port that does not.
pub fn open(signature: &Signature) -> Result<(), String> {
    let open = |port: &Port| {
        let first = port.shape.as_ref().and_then(|shape| shape.first());
        first.is_some_and(|extent| matches!(extent, Extent::Named(_) | Extent::Any))
    };
    match signature.inputs.iter().chain(&signature.outputs).find(|port| !open(port)) {
        Some(port) => Err(format!("the first axis of `{port}` is not open: it has no rows")),
        None => Ok(()),
    }
}

/// Cuts values in host memory into parts of at most so many rows; `None` where there is nothing to gain: there are no
/// more than that, or the values don't have the same number.
pub fn cut(values: &Values, most: NonZeroUsize) -> Option<Vec<Values>> {
    let rows = rows(&values.first()?.1)?;
    if rows <= most.get() || values.iter().any(|(_, value)| self::rows(value) != Some(rows)) {
        return None;
    }
    let mut parts: Vec<Values> = (0..rows.div_ceil(most.get())).map(|_| Values::new()).collect();
    for (name, value) in values {
        let mut rest = value.contents()?.clone();
        for (index, part) in parts.iter_mut().enumerate() {
            let rows = most.get().min(rows - index * most.get());
            let spec = with_rows(value.spec(), rows)?;
            let bytes = length(&spec, &rest)?;
            part.push((name.clone(), Tensor::host(spec, rest.split_to(bytes)).ok()?));
        }
    }
    Some(parts)
}

/// Puts the outputs of all parts together, in order. The error says which output is not made of rows.
pub fn join(parts: Vec<Values>, rows: usize) -> Result<Values, Fault> {
    let first = parts.first().map_or(&[][..], Vec::as_slice);
    let output = |(name, value): &(String, Tensor)| {
        let broken = || {
            Fault::Invalid(format!("`{name}` has no row for each of the request: cut the model without micro-batches"))
        };
        let (mut contents, mut found) = (BytesMut::new(), 0);
        for part in &parts {
            let (_, tensor) = part.iter().find(|(other, _)| other == name).ok_or_else(broken)?;
            found += self::rows(tensor).ok_or_else(broken)?;
            if with_rows(tensor.spec(), 0) != with_rows(value.spec(), 0) {
                return Err(broken());
            }
            contents.extend_from_slice(tensor.contents().ok_or_else(broken)?);
        }
        let spec = with_rows(value.spec(), rows).filter(|_| found == rows).ok_or_else(broken)?;
        Ok((name.clone(), Tensor::host(spec, contents.freeze()).map_err(|_| broken())?))
    };
    first.iter().map(output).collect()
}

/// How many rows values have that go into a model.
pub fn count(values: &Values) -> usize {
    values.first().and_then(|(_, value)| rows(value)).unwrap_or(0)
}

fn rows(value: &Tensor) -> Option<usize> {
    value.spec().shape.extents().first().copied()
}

fn with_rows(spec: &Spec, rows: usize) -> Option<Spec> {
    let mut extents = spec.shape.extents().to_vec();
    *extents.first_mut()? = rows;
    Some(Spec { element: spec.element, shape: Shape::new(extents).ok()? })
}

/// How long the contents are of a tensor like this that others follow.
fn length(spec: &Spec, contents: &Bytes) -> Option<usize> {
    if let Some(bytes) = spec.bytes() {
        return Some(bytes);
    }
    let mut rest = contents.clone();
    for _ in 0..spec.shape.elements() {
        let string = rest.try_get_u32_le().ok()? as usize;
        rest = (string <= rest.len()).then(|| rest.slice(string..))?;
    }
    Some(contents.len() - rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nouns::Element;
    use proptest::prelude::*;

    fn tensor(rows: usize, width: usize) -> Tensor {
        let numbers: Vec<f32> = (0..rows * width).map(|number| number as f32).collect();
        Tensor::from_slice(Element::Fp32, [rows, width], &numbers).unwrap()
    }

    fn strings(words: &[&str]) -> Tensor {
        let word = |word: &&str| [&(word.len() as u32).to_le_bytes()[..], word.as_bytes()].concat();
        let contents = words.iter().map(word).collect::<Vec<_>>().concat();
        Tensor::host(Spec::new(Element::Bytes, [words.len()]).unwrap(), contents).unwrap()
    }

    fn named(values: Vec<Tensor>) -> Values {
        values.into_iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
    }

    fn at_most(rows: usize) -> NonZeroUsize {
        NonZeroUsize::new(rows).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_cut_can_be_put_together(rows in 0..20usize, width in 0..4usize, most in 1..8usize) {
            let values = named(vec![tensor(rows, width), tensor(rows, 1)]);
            let parts = cut(&values, at_most(most));
            prop_assert_eq!(parts.is_some(), rows > most);
            if let Some(parts) = parts {
                prop_assert!(parts.iter().all(|part| (1..=most).contains(&count(part))));
                let whole = join(parts, rows).unwrap();
                for ((_, found), (_, expected)) in whole.iter().zip(&values) {
                    prop_assert_eq!((found.spec(), found.contents()), (expected.spec(), expected.contents()));
                }
            }
        }
    }

    #[test]
    fn strings_are_cut_between_strings() {
        let values = named(vec![strings(&["a", "", "three", "b"])]);
        let parts = cut(&values, at_most(3)).unwrap();
        assert_eq!(parts[1][0].1.contents(), strings(&["b"]).contents());
        assert_eq!(join(parts, 4).unwrap()[0].1.contents(), values[0].1.contents());
    }

    #[test]
    fn values_of_different_rows_stay_whole() {
        assert!(cut(&named(vec![tensor(4, 2), tensor(1, 2)]), at_most(2)).is_none());
        let scalar = Tensor::from_slice(Element::Fp32, [0usize; 0], &[1f32]).unwrap();
        assert!(cut(&named(vec![tensor(4, 2), scalar]), at_most(2)).is_none());
        assert!(cut(&Values::new(), at_most(2)).is_none());
    }

    #[test]
    fn an_output_without_rows_breaks_the_promise() {
        let parts = |second: Tensor| vec![named(vec![tensor(2, 3)]), named(vec![second])];
        assert!(join(parts(tensor(2, 3)), 4).is_ok());
        for second in [tensor(1, 3), tensor(2, 4), strings(&["a", "b"])] {
            assert!(matches!(join(parts(second), 4), Err(Fault::Invalid(_))));
        }
        assert!(join(vec![named(vec![tensor(2, 3)]), Values::new()], 2).is_err());
    }

    #[test]
    fn a_model_with_fixed_rows_is_named() {
        let port = |name: &str, first| Port {
            name: name.into(),
            element: Some(Element::Fp32),
            shape: Some(vec![first, Extent::Fixed(3)]),
            optional: false,
        };
        let signature =
            |first| Signature { inputs: vec![port("x", Extent::Named("n".into()))], outputs: vec![port("y", first)] };
        assert_eq!(open(&signature(Extent::Any)), Ok(()));
        assert!(open(&signature(Extent::Fixed(1))).unwrap_err().contains("`y: FP32[1, 3]`"));
    }
}
