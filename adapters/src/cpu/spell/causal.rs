//! A convolution of each channel with what came before.

use super::Spelling;
use burst_host::nouns::Attribute;

/// Gives the end of what it read, too, for what comes next.
pub fn convolve(spelling: &mut Spelling<'_>) -> Option<()> {
    let (x, weights) = (spelling.input(0)?, spelling.input(1)?);
    let [channels, _, taps] = *spelling.extents(&weights)? else { return None };
    let before = i64::try_from(taps.checked_sub(1)?).ok()?;
    let padded = match spelling.input(3) {
        Some(past) => spelling.add("Concat", &[&past, &x], &[("axis", Attribute::Int(2))]),
        None => {
            let pads = spelling.longs(&[6], &[0, 0, before, 0, 0, 0])?;
            spelling.add("Pad", &[&x, &pads], &[])
        }
    };
    let bias = spelling.input(2).unwrap_or_default();
    let group = ("group", Attribute::Int(i64::try_from(channels).ok()?));
    let mut y = spelling.add("Conv", &[&padded, &weights, &bias], &[group]);
    match spelling.op.attribute("activation") {
        Some(Attribute::Text(text)) if text == b"silu" || text == b"swish" => {
            let share = spelling.add("Sigmoid", &[&y], &[]);
            y = spelling.add("Mul", &[&y, &share], &[]);
        }
        None => {}
        Some(Attribute::Text(text)) if text == b"none" => {}
        Some(_) => return None,
    }
    spelling.result(0, &y);
    let last = if before > 0 { i64::MAX } else { 0 };
    let (first, last) = (spelling.longs(&[1], &[-before])?, spelling.longs(&[1], &[last])?);
    let axis = spelling.longs(&[1], &[2])?;
    let state = spelling.add("Slice", &[&padded, &first, &last, &axis], &[]);
    spelling.result(1, &state);
    Some(())
}
