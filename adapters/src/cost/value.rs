//! What is known of a value before it is computed.

use burst_host::nouns::{Element, Extent, Port, Spec, Tensor};
use half::f16;
use std::sync::Arc;

/// In the place of the size of an element that is not known, and of a byte string.
const ELEMENT_BYTES: u64 = 8;

/// A value. What is not known is `None`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Value {
    pub element: Option<Element>,
    pub extents: Option<Vec<u64>>,
    /// Whether the extents are the largest that it may have, because its inputs' numbers decide.
    pub at_most: bool,
    /// The most elements, where the extents are not known.
    pub elements_max: Option<u64>,
    /// Its numbers, where they are few and known; FP64 holds every extent and index.
    pub numbers: Option<Arc<[f64]>>,
}

impl Value {
    /// Numbers that are followed at most: more of them are data and decide over no shape.
    pub const NUMBERS_MAX: u64 = 4096;
    pub(super) const UNKNOWN: Self =
        Self { element: None, extents: None, at_most: false, elements_max: None, numbers: None };

    pub(super) fn new(element: Option<Element>, extents: Vec<u64>) -> Self {
        Self { element, extents: Some(extents), ..Self::default() }
    }

    /// Of so many elements at most, in whatever shape.
    pub(super) fn up_to(element: Option<Element>, elements: u64) -> Self {
        Self { element, elements_max: Some(elements), at_most: true, ..Self::default() }
    }

    pub(super) fn limited(self) -> Self {
        Self { at_most: true, ..self }
    }

    /// What an input is said to be; its extents only where all are fixed.
    pub fn of_port(port: &Port) -> Self {
        let fixed = |extent: &Extent| if let Extent::Fixed(extent) = extent { Some(*extent as u64) } else { None };
        let extents = port.shape.as_ref().and_then(|shape| shape.iter().map(fixed).collect());
        Self { element: port.element, extents, ..Self::default() }
    }

    pub fn of_spec(spec: &Spec) -> Self {
        Self::new(Some(spec.element), spec.shape.extents().iter().map(|&extent| extent as u64).collect())
    }

    /// With its numbers, where it lies on the host and they are few.
    pub fn of_tensor(tensor: &Tensor) -> Self {
        let value = Self::of_spec(tensor.spec());
        let few = value.elements().is_some_and(|elements| elements <= Self::NUMBERS_MAX);
        let numbers = if few { numbers(tensor) } else { None };
        Self { numbers: numbers.map(Arc::from), ..value }
    }

    pub(super) fn rank(&self) -> Option<usize> {
        self.extents.as_ref().map(Vec::len)
    }

    /// How many elements it has at most.
    pub(super) fn elements(&self) -> Option<u64> {
        self.extents.as_ref().map(|extents| product(extents)).or(self.elements_max)
    }

    /// The bytes of its contents at most; those of byte strings are unknown and counted as short.
    pub(super) fn bytes(&self) -> Option<u64> {
        let size = self.element.and_then(Element::size).map_or(ELEMENT_BYTES, |size| size as u64);
        Some(self.elements()?.saturating_mul(size))
    }

    /// Its numbers as whole ones.
    pub(super) fn integers(&self) -> Option<Vec<i64>> {
        Some(self.numbers.as_ref()?.iter().map(|&number| number as i64).collect())
    }

    /// The same in other extents.
    pub(super) fn reshaped(&self, extents: Vec<u64>) -> Self {
        Self { extents: Some(extents), ..self.clone() }
    }

    /// Its extents, where they are those that it will have.
    pub(super) fn exact(&self) -> Option<&[u64]> {
        self.extents.as_deref().filter(|_| !self.at_most)
    }
}

pub(super) fn product(extents: &[u64]) -> u64 {
    extents.iter().fold(1, |product, &extent| product.saturating_mul(extent))
}

fn numbers(tensor: &Tensor) -> Option<Vec<f64>> {
    tensor.contents()?;
    match tensor.spec().element {
        Element::I64 => Some(tensor.to_vec::<i64>()?.into_iter().map(|number| number as f64).collect()),
        Element::I32 => Some(tensor.to_vec::<i32>()?.into_iter().map(f64::from).collect()),
        Element::U8 | Element::Bool => Some(tensor.to_vec::<u8>()?.into_iter().map(f64::from).collect()),
        Element::Fp32 => Some(tensor.to_vec::<f32>()?.into_iter().map(f64::from).collect()),
        Element::Fp64 => tensor.to_vec::<f64>(),
        Element::Fp16 => {
            let bits = tensor.to_vec::<u16>()?;
            Some(bits.into_iter().map(|bits| f16::from_bits(bits).to_f64()).collect())
        }
        _ => None,
    }
}
