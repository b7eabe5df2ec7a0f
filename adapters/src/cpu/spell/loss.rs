//! What a classifier got wrong.

use super::Spelling;
use burst_host::nouns::Attribute;

/// How far logarithms of likelihoods are from none lost.
pub fn likelihood(spelling: &mut Spelling<'_>) -> Option<()> {
    let x = spelling.input(0)?;
    let loss = lost(spelling, &x)?;
    spelling.result(0, &loss);
    Some(())
}

/// The same for scores; gives the logarithms, too.
pub fn cross_entropy(spelling: &mut Spelling<'_>) -> Option<()> {
    let scores = spelling.input(0)?;
    let x = spelling.add("LogSoftmax", &[&scores], &[("axis", Attribute::Int(1))]);
    let loss = lost(spelling, &x)?;
    spelling.result(0, &loss);
    spelling.result(1, &x);
    Some(())
}

/// Minus what stands at each target, times its class's weight; those that are to be ignored are zero and weigh nothing.
fn lost(spelling: &mut Spelling<'_>, x: &str) -> Option<String> {
    let (target, weights) = (spelling.input(1)?, spelling.input(2));
    let mut target = spelling.add("Cast", &[&target], &[("to", Attribute::Int(7))]);
    let mut ignored = None;
    if spelling.op.attribute("ignore_index").is_some() {
        let index = spelling.int("ignore_index", 0);
        let (index, first) = (spelling.longs(&[], &[index])?, spelling.longs(&[], &[0])?);
        let same = spelling.add("Equal", &[&target, &index], &[]);
        target = spelling.add("Where", &[&same, &first, &target], &[]);
        ignored = Some(same);
    }
    let classes = spelling.longs(&[1], &[1])?;
    let places = spelling.add("Unsqueeze", &[&target, &classes], &[]);
    let found = spelling.add("GatherElements", &[x, &places], &[("axis", Attribute::Int(1))]);
    let found = spelling.add("Squeeze", &[&found, &classes], &[]);
    let mut loss = spelling.add("Neg", &[&found], &[]);
    let mut weight = None;
    if let Some(weights) = &weights {
        let each = spelling.add("Gather", &[weights, &target], &[("axis", Attribute::Int(0))]);
        loss = spelling.add("Mul", &[&loss, &each], &[]);
        weight = Some(each);
    }
    if let Some(ignored) = &ignored {
        let (zero, one) = (spelling.number(0.0, x)?, spelling.number(1.0, x)?);
        loss = spelling.add("Where", &[ignored, &zero, &loss], &[]);
        let each = weight.unwrap_or(one);
        weight = Some(spelling.add("Where", &[ignored, &zero, &each], &[]));
    }
    let all = [("keepdims", Attribute::Int(0))];
    match (spelling.op.attribute("reduction"), weight) {
        (Some(Attribute::Text(text)), _) if text == b"none" => Some(loss),
        (Some(Attribute::Text(text)), _) if text == b"sum" => Some(spelling.add("ReduceSum", &[&loss], &all)),
        (_, None) => Some(spelling.add("ReduceMean", &[&loss], &all)),
        (_, Some(weight)) => {
            let (sum, whole) = (spelling.add("ReduceSum", &[&loss], &all), spelling.add("ReduceSum", &[&weight], &all));
            Some(spelling.add("Div", &[&sum, &whole], &[]))
        }
    }
}
