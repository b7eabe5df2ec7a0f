//! The values of one run, and on which accelerators each of them is.

use super::Mix;
use crate::{
    nouns::{Fault, Tensor},
    ports::Accelerator,
};
use std::sync::Arc;

/// One after the other they are put here, moved to who uses them, and dropped. Nothing is moved twice.
pub struct Values<'a> {
    /// `None` where everything is computed on one accelerator, whose number is 0.
    mix: Option<&'a Mix>,
    /// By number; no copies where a value is not there, or not any more.
    copies: Vec<Vec<Held>>,
}

/// A value in one place.
struct Held {
    place: Place,
    tensor: Tensor,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Host,
    /// In its memory, or in the host's where it takes that.
    Accelerator(usize),
}

impl<'a> Values<'a> {
    /// So many values, of which the first ones are given.
    pub fn new(mix: Option<&'a Mix>, given: Vec<Tensor>, count: usize) -> Self {
        let mut values = Self { mix, copies: Vec::new() };
        values.copies.resize_with(count.max(given.len()), Vec::new);
        for (value, tensor) in given.into_iter().enumerate() {
            let place = match (mix, tensor.resident()) {
                (Some(_), None) => Place::Host,
                _ => Place::Accelerator(0),
            };
            values.copies[value] = vec![Held { place, tensor }];
        }
        values
    }

    /// Puts what an accelerator yielded.
    pub fn put(&mut self, value: usize, tensor: Tensor, accelerator: usize) {
        self.copies[value] = vec![Held { place: Place::Accelerator(accelerator), tensor }];
    }

    pub fn drop(&mut self, value: usize) {
        self.copies[value] = Vec::new();
    }

    /// A value where this accelerator takes it.
    pub async fn on(&mut self, value: usize, accelerator: usize) -> Result<Tensor, Fault> {
        let place = Place::Accelerator(accelerator);
        if let Some(tensor) = self.find(value, place) {
            return Ok(tensor);
        }
        let host = self.on_host(value).await?;
        let tensor = self.accelerator(accelerator)?.upload(host).await?;
        self.copies[value].push(Held { place, tensor: tensor.clone() });
        Ok(tensor)
    }

    /// A value where the caller takes it: on the first accelerator if it is there, else in host memory.
    pub async fn given_back(&mut self, value: usize) -> Result<Tensor, Fault> {
        match self.find(value, Place::Accelerator(0)) {
            Some(tensor) => Ok(tensor),
            None => self.on_host(value).await,
        }
    }

    async fn on_host(&mut self, value: usize) -> Result<Tensor, Fault> {
        if let Some(tensor) = self.find(value, Place::Host) {
            return Ok(tensor);
        }
        let missing = || Fault::Invalid("a fragment yields fewer values than it says".into());
        let Held { place, tensor } = self.copies.get(value).and_then(|copies| copies.first()).ok_or_else(missing)?;
        let tensor = match place {
            Place::Host => tensor.clone(),
            Place::Accelerator(accelerator) => self.accelerator(*accelerator)?.download(tensor).await?,
        };
        self.copies[value].push(Held { place: Place::Host, tensor: tensor.clone() });
        Ok(tensor)
    }

    fn find(&self, value: usize, place: Place) -> Option<Tensor> {
        let copies = self.copies.get(value)?;
        copies.iter().find(|copy| copy.place == place).map(|copy| copy.tensor.clone())
    }

    fn accelerator(&self, accelerator: usize) -> Result<Arc<dyn Accelerator>, Fault> {
        let found = self.mix.and_then(|mix| mix.accelerators.get(accelerator));
        found.cloned().ok_or_else(|| Fault::Invalid("a fragment of the model has no accelerator".into()))
    }
}
