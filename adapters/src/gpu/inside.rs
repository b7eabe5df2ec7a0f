//! Where lowering stands inside of an operator: what its parts computed so far, and what was read back for them. A run
//! that stops inside of an operator lowers it again from the start, and finds here what need not be done twice.

use super::planner::{Halt, Placed, Planner};
use burst_host::nouns::{Spec, Tensor};
use std::collections::BTreeMap;

/// A part of an operator: which part of which part.
pub type Path = Vec<usize>;

/// The state of one operator's parts.
#[derive(Default)]
pub struct Inside {
    /// Results of parts that are computed once.
    pub kept: BTreeMap<Path, Placed>,
    /// What was read back.
    pub numbers: BTreeMap<Path, Tensor>,
    /// What has to be read back before lowering can go on.
    pub asked: Option<(Path, Spec)>,
    at: Path,
    parts: usize,
}

impl Planner {
    /// What `make` computes; not again where the run stops further on inside of the same operator.
    pub fn once(&mut self, make: impl FnOnce(&mut Self) -> Result<Placed, Halt>) -> Result<Placed, Halt> {
        let path = self.part();
        if let Some(kept) = self.inside.kept.get(&path) {
            return Ok(kept.clone());
        }
        let placed = self.within(path.clone(), make)?;
        self.inside.kept.insert(path, placed.clone());
        Ok(placed)
    }

    /// The numbers that `make` computes: the run stops to read them.
    pub fn read(&mut self, make: impl FnOnce(&mut Self) -> Result<Placed, Halt>) -> Result<Tensor, Halt> {
        let path = self.part();
        if let Some(numbers) = self.inside.numbers.get(&path) {
            return Ok(numbers.clone());
        }
        let placed = self.within(path.clone(), make)?;
        self.inside.asked = Some((path, placed.spec));
        Err(Halt::Needs(placed.storage))
    }

    /// The name of the next part. Lowering is deterministic, so that parts have the same names each time.
    pub fn part(&mut self) -> Path {
        let mut path = self.inside.at.clone();
        path.push(self.inside.parts);
        self.inside.parts += 1;
        path
    }

    /// Lowers a part, whose own parts are counted from the first.
    pub fn within<T>(&mut self, path: Path, work: impl FnOnce(&mut Self) -> T) -> T {
        let outer = (std::mem::replace(&mut self.inside.at, path), std::mem::take(&mut self.inside.parts));
        let result = work(self);
        (self.inside.at, self.inside.parts) = outer;
        result
    }
}
