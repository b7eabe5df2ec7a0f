//! Tensors by name: what a guest is given and what it gives away.

use crate::{Fault, Tensor};

/// Named tensors, in order. Dropping them releases the handles.
#[derive(Debug, Default)]
pub struct Tensors(Vec<(String, Tensor)>);

/// What a request carries.
pub type Inputs = Tensors;

/// What an answer carries.
pub type Outputs = Tensors;

impl Tensors {
    /// The tensor of this name, if there is one.
    pub fn find(&self, name: &str) -> Option<&Tensor> {
        self.0.iter().find(|(found, _)| found == name).map(|(_, tensor)| tensor)
    }

    /// The tensor of this name. Fails with `invalid` and the names that are there.
    pub fn get(&self, name: &str) -> Result<&Tensor, Fault> {
        self.find(name).ok_or_else(|| self.missing(name))
    }

    /// The tensor of this name, which is no longer in here. Fails like [`Tensors::get`].
    pub fn take(&mut self, name: &str) -> Result<Tensor, Fault> {
        let found = self.0.iter().position(|(found, _)| found == name);
        found.map(|index| self.0.remove(index).1).ok_or_else(|| self.missing(name))
    }

    /// Adds a tensor under a name that is not in here yet.
    pub fn push(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.0.push((name.into(), tensor));
    }

    /// Names and tensors, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.0.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    fn missing(&self, name: &str) -> Fault {
        let names: Vec<_> = self.iter().map(|(name, _)| format!("`{name}`")).collect();
        let given = if names.is_empty() { "none".into() } else { names.join(", ") };
        Fault::Invalid(format!("there is no tensor `{name}`; given: {given}"))
    }
}

impl<N: Into<String>, const COUNT: usize> From<[(N, Tensor); COUNT]> for Tensors {
    fn from(tensors: [(N, Tensor); COUNT]) -> Self {
        Self(tensors.into_iter().map(|(name, tensor)| (name.into(), tensor)).collect())
    }
}

impl From<Vec<(String, Tensor)>> for Tensors {
    fn from(tensors: Vec<(String, Tensor)>) -> Self {
        Self(tensors)
    }
}

impl From<Tensors> for Vec<(String, Tensor)> {
    fn from(tensors: Tensors) -> Self {
        tensors.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_name_is_told_with_those_that_are_there() {
        let text = String::from(Inputs::default().take("x").unwrap_err());
        assert_eq!(text, "invalid: there is no tensor `x`; given: none");
    }
}
