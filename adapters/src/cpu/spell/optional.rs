//! Of tensors that may have been left out: those of a graph that is loaded were not.

use super::Spelling;

pub fn has_element(spelling: &mut Spelling<'_>) -> Option<()> {
    let there = spelling.truth(spelling.input(0).is_some())?;
    spelling.result(0, &there);
    Some(())
}

pub fn get_element(spelling: &mut Spelling<'_>) -> Option<()> {
    let x = spelling.input(0)?;
    spelling.result(0, &x);
    Some(())
}
