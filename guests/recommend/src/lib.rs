//! Recommends items to a shopping session: `session` INT64 `[L]`, item ids with the latest last, and how many are
//! wanted, `k` INT64 `[1]`, 10 when left out, to `scores` FP32 `[k]` and `items` INT64 `[k]`, best first. None of the
//! session's own items are among them, so a long session may leave fewer than `k`.

use burst_guest::{Graph, Inputs, Outputs, Tensor, responder};

const ITEMS: i64 = 10_000;
const K_DEFAULT: usize = 10;
const K_MAX: usize = 100;

responder!(respond, prepare);

/// A manifest without the model is refused at deploy.
fn prepare() -> Result<(), String> {
    Ok(Graph::open("recommend").map(drop)?)
}

fn respond(inputs: Inputs) -> Result<Outputs, String> {
    let session = inputs.get("session")?;
    let seen = session.to_i64()?;
    check_session(&session.shape(), &seen)?;
    let k = inputs.find("k").map_or(Ok(K_DEFAULT), |k| wanted(&k.to_i64()?))?;

    let ranked = Graph::open("recommend")?.run(&[("session", session)])?;
    let (scores, items) = (ranked.get("scores")?.to_f32()?, ranked.get("items")?.to_i64()?);
    let unseen = items.into_iter().zip(scores).filter(|(item, _)| !seen.contains(item));
    let (items, scores): (Vec<_>, Vec<_>) = unseen.take(k).unzip();

    let shape = [items.len() as u32];
    Ok(Outputs::from([("scores", Tensor::from_f32(&scores, shape)?), ("items", Tensor::from_i64(&items, shape)?)]))
}

fn check_session(shape: &[u32], items: &[i64]) -> Result<(), String> {
    if shape.len() != 1 {
        return Err(format!("`session` has the shape [L], not {shape:?}"));
    }
    if items.is_empty() {
        return Err("`session` is empty: there is nothing to recommend from".into());
    }
    match items.iter().find(|item| !(0..ITEMS).contains(item)) {
        Some(item) => Err(format!("`session` has the item {item}; ids are from 0 to {}", ITEMS - 1)),
        None => Ok(()),
    }
}

fn wanted(k: &[i64]) -> Result<usize, String> {
    match *k {
        [k] if (1..=K_MAX as i64).contains(&k) => Ok(k as usize),
        _ => Err(format!("`k` is one number from 1 to {K_MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(shape: &[u32], items: &[i64], expected: Result<(), &str>) {
        assert_eq!(check_session(shape, items), expected.map_err(String::from));
    }

    #[test]
    fn sessions_are_checked() {
        check(&[2], &[0, 9_999], Ok(()));
        check(&[0], &[], Err("`session` is empty: there is nothing to recommend from"));
        check(&[2], &[5, 10_000], Err("`session` has the item 10000; ids are from 0 to 9999"));
        check(&[1], &[-1], Err("`session` has the item -1; ids are from 0 to 9999"));
        check(&[1, 2], &[1, 2], Err("`session` has the shape [L], not [1, 2]"));
    }

    #[test]
    fn k_is_one_number_in_range() {
        assert_eq!((wanted(&[1]), wanted(&[100])), (Ok(1), Ok(100)));
        for k in [&[][..], &[0], &[101], &[1, 2]] {
            assert_eq!(wanted(k), Err("`k` is one number from 1 to 100".into()));
        }
    }
}
