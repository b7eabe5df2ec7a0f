//! From the model's grid of scores and boxes to people.

/// Extents of the model's grid.
const ROWS: usize = 12;
const COLUMNS: usize = 16;
const CELLS: usize = ROWS * COLUMNS;

const SCORE_MIN: f32 = 0.5;
/// Two boxes that share more of their area are one person.
const OVERLAP_MAX: f32 = 0.5;

/// One person, in fractions of the frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Person {
    pub score: f32,
    pub left: f32,
    pub top: f32,
    pub width: f32,
    pub height: f32,
}

/// The people in `scores` `[1, 1, 12, 16]` and `boxes` `[1, 4, 12, 16]` (left, top, width, height), surest first.
pub fn people(scores: &[f32], boxes: &[f32]) -> Result<Vec<Person>, String> {
    if (scores.len(), boxes.len()) != (CELLS, 4 * CELLS) {
        return Err(format!("the model gave {} scores and {} extents", scores.len(), boxes.len()));
    }
    let person = |cell: usize| Person {
        score: scores[cell],
        left: boxes[cell],
        top: boxes[CELLS + cell],
        width: boxes[2 * CELLS + cell],
        height: boxes[3 * CELLS + cell],
    };
    let mut candidates: Vec<_> = (0..CELLS).filter(|&cell| is_peak(scores, cell)).map(person).collect();
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    Ok(suppress(candidates))
}

/// Whether a cell is sure enough and none of its eight neighbours is surer.
fn is_peak(scores: &[f32], cell: usize) -> bool {
    let (row, column) = (cell / COLUMNS, cell % COLUMNS);
    let rows = row.saturating_sub(1)..=(row + 1).min(ROWS - 1);
    let columns = column.saturating_sub(1)..=(column + 1).min(COLUMNS - 1);
    let mut around = rows.flat_map(|row| columns.clone().map(move |column| row * COLUMNS + column));
    scores[cell] >= SCORE_MIN && around.all(|other| scores[other] <= scores[cell])
}

fn suppress(candidates: Vec<Person>) -> Vec<Person> {
    let mut kept: Vec<Person> = Vec::new();
    for candidate in candidates {
        if kept.iter().all(|other| overlap(other, &candidate) <= OVERLAP_MAX) {
            kept.push(candidate);
        }
    }
    kept
}

/// Intersection over union.
fn overlap(a: &Person, b: &Person) -> f32 {
    let shared = |a: f32, a_extent: f32, b: f32, b_extent: f32| ((a + a_extent).min(b + b_extent) - a.max(b)).max(0.0);
    let both = shared(a.left, a.width, b.left, b.width) * shared(a.top, a.height, b.top, b.height);
    both / (a.width * a.height + b.width * b.height - both)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells as (row, column, score, left, top, width, height).
    fn check(cells: &[(usize, usize, f32, [f32; 4])], expected: &[f32]) {
        let (mut scores, mut boxes) = (vec![0.0; CELLS], vec![0.0; 4 * CELLS]);
        for &(row, column, score, place) in cells {
            let cell = row * COLUMNS + column;
            scores[cell] = score;
            place.iter().enumerate().for_each(|(side, &value)| boxes[side * CELLS + cell] = value);
        }
        let found: Vec<_> = people(&scores, &boxes).unwrap().iter().map(|person| person.score).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn peaks_are_people() {
        let (here, there) = ([0.1, 0.1, 0.2, 0.4], [0.6, 0.5, 0.2, 0.4]);
        check(&[], &[]);
        check(&[(0, 0, 0.49, here)], &[]);
        check(&[(0, 0, 0.6, here), (11, 15, 0.9, there)], &[0.9, 0.6]);
        check(&[(3, 3, 0.9, here), (3, 4, 0.8, there)], &[0.9]);
        check(&[(3, 3, 0.9, here), (3, 5, 0.8, here)], &[0.9]);
        check(&[(3, 15, 0.9, here), (4, 0, 0.8, there)], &[0.9, 0.8]);
        check(&[(3, 3, 0.7, here), (3, 4, 0.7, here)], &[0.7]);
    }

    #[test]
    fn nonsense_from_the_model_does_no_harm() {
        check(&[(1, 1, f32::NAN, [f32::NAN; 4])], &[]);
        check(&[(1, 1, 0.9, [f32::NAN; 4])], &[0.9]);
        assert!(people(&[], &[]).is_err());
    }
}
