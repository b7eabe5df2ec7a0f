//! Lists in a request whose length the client does not choose.

use burst_host::nouns::Shape;
use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// A list of at most [`FEW`] items, so that a small body can't become many allocations.
pub(super) struct Few<T>(pub Vec<T>);

const FEW: usize = 256;

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(FewVisitor(PhantomData))
    }
}

struct FewVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for FewVisitor<T> {
    type Value = Few<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {FEW} tensors")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            if items.len() == FEW {
                return Err(A::Error::invalid_length(FEW + 1, &self));
            }
            items.push(item);
        }
        Ok(Few(items))
    }
}

/// A shape of at most [`Shape::RANK_MAX`] axes.
pub(super) struct Extents(pub Vec<usize>);

impl<'de> Deserialize<'de> for Extents {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(ExtentsVisitor)
    }
}

struct ExtentsVisitor;

impl<'de> Visitor<'de> for ExtentsVisitor {
    type Value = Extents;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a shape: at most {} whole numbers from 0", Shape::RANK_MAX)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Extents, A::Error> {
        let mut extents = Vec::with_capacity(4);
        while let Some(extent) = list.next_element::<i64>()? {
            if extents.len() == Shape::RANK_MAX {
                return Err(A::Error::invalid_length(Shape::RANK_MAX + 1, &self));
            }
            let extent = usize::try_from(extent);
            extents.push(extent.map_err(|_| A::Error::custom("an extent of a shape is below 0"))?);
        }
        Ok(Extents(extents))
    }
}
