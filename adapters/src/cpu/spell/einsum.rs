//! Sums over everything, of which tract keeps all.

use super::Spelling;
use burst_host::nouns::Attribute;

/// One letter is kept, and summed over afterwards.
pub fn scalar(spelling: &mut Spelling<'_>) -> Option<()> {
    let Some(Attribute::Text(text)) = spelling.op.attribute("equation") else { return None };
    let equation: String = std::str::from_utf8(text).ok()?.chars().filter(|c| !c.is_whitespace()).collect();
    let terms = equation.strip_suffix("->")?;
    let letter = terms.chars().find(|c| c.is_alphabetic())?;
    let kept = Attribute::Text(format!("{terms}->{letter}").into_bytes());
    let inputs = spelling.op.inputs.clone();
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let parts = spelling.add("Einsum", &inputs, &[("equation", kept)]);
    let sum = spelling.add("ReduceSum", &[&parts], &[("keepdims", Attribute::Int(0))]);
    spelling.result(0, &sum);
    Some(())
}
