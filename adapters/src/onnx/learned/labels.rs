//! Numbers in the place of numbers. Strings are left to accelerators that have them.

use super::super::build::{Builder, Outcome};
use burst_host::nouns::{Attribute, Element, Tensor};

/// Keys or values of a table.
#[derive(Clone, PartialEq)]
enum Numbers {
    Longs(Vec<i64>),
    Floats(Vec<f32>),
}

impl Numbers {
    /// From lists, or a tensor of one axis.
    fn of(builder: &Builder<'_>, names: [&str; 3]) -> Option<Self> {
        let (longs, floats) = (builder.ints(names[0]), builder.floats(names[1]));
        if !longs.is_empty() {
            return Some(Self::Longs(longs.to_vec()));
        }
        if !floats.is_empty() {
            return Some(Self::Floats(floats.to_vec()));
        }
        let Some(Attribute::Tensor(tensor)) = builder.op.attribute(names[2]) else { return None };
        match tensor.spec().element {
            Element::I64 => tensor.to_vec::<i64>().map(Self::Longs),
            Element::I32 => tensor.to_vec::<i32>().map(|all| Self::Longs(all.into_iter().map(i64::from).collect())),
            Element::Fp32 => tensor.to_vec::<f32>().map(Self::Floats),
            _ => None,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Longs(longs) => longs.len(),
            Self::Floats(floats) => floats.len(),
        }
    }

    fn constant(&self, builder: &mut Builder<'_>) -> Result<String, String> {
        match self {
            Self::Longs(longs) => builder.longs(longs),
            Self::Floats(floats) => builder.tensor(Element::Fp32, &[floats.len()], floats),
        }
    }
}

/// The value of the first key that is the same, else the default.
pub fn encode(builder: &mut Builder<'_>) -> Outcome {
    let keys = Numbers::of(builder, ["keys_int64s", "keys_floats", "keys_tensor"]);
    let values = Numbers::of(builder, ["values_int64s", "values_floats", "values_tensor"]);
    let (Some(keys), Some(mut values)) = (keys, values) else { return Ok(false) };
    if keys.len() != values.len() {
        return Err("as many keys as values are needed".into());
    }
    let tensor = match builder.op.attribute("default_tensor") {
        Some(Attribute::Tensor(tensor)) => Some(tensor.clone()),
        _ => None,
    };
    let first = |tensor: &Option<Tensor>| tensor.as_ref()?.to_vec::<i64>()?.first().copied();
    match &mut values {
        Numbers::Longs(values) => values.push(first(&tensor).unwrap_or_else(|| builder.int("default_int64", -1))),
        Numbers::Floats(values) => {
            let told = tensor.as_ref().and_then(|tensor| tensor.to_vec::<f32>()?.first().copied());
            values.push(told.unwrap_or_else(|| builder.float("default_float", -0.0)));
        }
    }
    let x = builder.needed(0)?;
    let nan = match &keys {
        Numbers::Floats(keys) if builder.learned >= 4 => keys.iter().position(|key| key.is_nan()),
        _ => None,
    };
    let count = keys.len();
    let column = builder.unsqueeze(&x, &[-1])?;
    let keys = keys.constant(builder)?;
    let mut same = builder.add("Equal", &[&column, &keys], &[]);
    if let Some(at) = nan {
        // NaN is no number's equal, but a key.
        let places: Vec<u8> = (0..count).map(|place| u8::from(place == at)).collect();
        let places = builder.tensor(Element::Bool, &[count], &places)?;
        let none = builder.add("IsNaN", &[&column], &[]);
        let none = builder.add("And", &[&none, &places], &[]);
        same = builder.add("Or", &[&same, &none], &[]);
    }
    let same = builder.cast(&same, Element::I32);
    let any = builder.reduce("ReduceMax", &same, &[-1])?;
    let any = builder.cast(&any, Element::Bool);
    let attributes = [("axis", Attribute::Int(-1)), ("keepdims", Attribute::Int(1))];
    let at = builder.add("ArgMax", &[&same], &attributes);
    let default = builder.long(count as i64)?;
    let at = builder.add("Where", &[&any, &at, &default], &[]);
    let at = builder.squeeze(&at, &[-1])?;
    let values = values.constant(builder)?;
    let y = builder.gather(&values, &at, 0);
    builder.done(&y)
}

/// 1 where a number is a category, truncated as ONNX Runtime does.
pub fn one_hot(builder: &mut Builder<'_>) -> Outcome {
    let categories = builder.ints("cats_int64s");
    if categories.is_empty() {
        return Ok(false);
    }
    if builder.int("zeros", 1) != 1 {
        return Err("`zeros` 0, where an unknown category is an error".into());
    }
    let x = builder.needed(0)?;
    let x = builder.cast(&x, Element::I64);
    let column = builder.unsqueeze(&x, &[-1])?;
    let categories = builder.longs(categories)?;
    let same = builder.add("Equal", &[&column, &categories], &[]);
    let y = builder.cast(&same, Element::Fp32);
    builder.done(&y)
}
