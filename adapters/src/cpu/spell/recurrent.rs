//! Recurrent operators that read backwards: what they read, and what they give for each step, is turned around.

use super::Spelling;
use burst_host::nouns::{Attribute, Op};

/// Without lengths of single sequences, and with the steps as the first axis.
pub fn backwards(spelling: &mut Spelling<'_>) -> Option<()> {
    let backwards = matches!(spelling.op.attribute("direction"), Some(Attribute::Text(text)) if text == b"reverse");
    if !backwards || spelling.int("layout", 0) != 0 || spelling.input(4).is_some() {
        return None;
    }
    let x = spelling.input(0)?;
    let x = turned(spelling, &x)?;
    let mut op: Op = spelling.op.clone();
    op.inputs[0] = x;
    op.attributes.retain(|(name, _)| name != "direction");
    let steps = op.outputs.first_mut().filter(|name| !name.is_empty()).map(|name| {
        *name = format!("{name}{}steps", super::MARK);
        name.clone()
    });
    spelling.ops.push(op);
    if let Some(steps) = steps {
        let y = turned(spelling, &steps)?;
        spelling.result(0, &y);
    }
    Some(())
}

/// A value with its first axis from the end to the start.
fn turned(spelling: &mut Spelling<'_>, value: &str) -> Option<String> {
    let [start, end, axis, step] = [-1, i64::MIN, 0, -1].map(|number| spelling.longs(&[1], &[number]));
    Some(spelling.add("Slice", &[value, &start?, &end?, &axis?, &step?], &[]))
}
