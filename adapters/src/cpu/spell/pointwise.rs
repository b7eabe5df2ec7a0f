//! Activations whose number tract takes for 1, or which it approximates.

use super::Spelling;

/// max(0, x) + min(0, α · (exp(x / α) - 1))
pub fn celu(spelling: &mut Spelling<'_>) -> Option<()> {
    let (x, alpha) = (spelling.input(0)?, spelling.float("alpha", 1.0));
    if alpha == 1.0 {
        return None;
    }
    let (zero, one, alpha) = (spelling.number(0.0, &x)?, spelling.number(1.0, &x)?, spelling.number(alpha, &x)?);
    let above = spelling.add("Max", &[&x, &zero], &[]);
    let below = spelling.add("Div", &[&x, &alpha], &[]);
    let below = spelling.add("Exp", &[&below], &[]);
    let below = spelling.add("Sub", &[&below, &one], &[]);
    let below = spelling.add("Mul", &[&below, &alpha], &[]);
    let below = spelling.add("Min", &[&below, &zero], &[]);
    let y = spelling.add("Add", &[&above, &below], &[]);
    spelling.result(0, &y);
    Some(())
}

/// x · sigmoid(α · x)
pub fn swish(spelling: &mut Spelling<'_>) -> Option<()> {
    let (x, alpha) = (spelling.input(0)?, spelling.float("alpha", 1.0));
    let mut scaled = x.clone();
    if alpha != 1.0 {
        let alpha = spelling.number(alpha, &x)?;
        scaled = spelling.add("Mul", &[&x, &alpha], &[]);
    }
    let share = spelling.add("Sigmoid", &[&scaled], &[]);
    let y = spelling.add("Mul", &[&x, &share], &[]);
    spelling.result(0, &y);
    Some(())
}
