//! Counts n-grams: what is looked for is known from the operator alone.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    pointwise::convert,
};
use burst_host::nouns::{Attribute, Element, Spec, Tensor};
use std::collections::HashMap;

/// The n-grams of an operator, by the column of the result that counts each.
struct Pool {
    numbers: Vec<i64>,
    /// First number and length of each; no length where nothing is counted.
    grams: Vec<[u32; 2]>,
    longest: usize,
}

pub fn vectorize(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let mode = match node.text("mode", "TF").as_str() {
        "TF" => 0,
        "IDF" => 1,
        "TFIDF" => 2,
        other => return Err(node.invalid(&format!("no mode is called {other}"))),
    };
    let pool = Pool::new(node)?;
    let x = planner.place(node.input(0))?;
    if !matches!(x.spec.element, Element::I32 | Element::I64) {
        return Err(node.lacks(x.spec.element));
    }
    let x = convert(planner, node, &x, Element::I64)?;
    let (rows, length) = match x.extents() {
        [] => (Vec::new(), 1),
        &[length] => (Vec::new(), length),
        &[rows, length] => (vec![rows], length),
        _ => return Err(node.invalid("it takes a row or some rows")),
    };
    let columns = pool.grams.len();
    let spec = Spec { element: Element::Fp32, shape: node.shape([rows, vec![columns]].concat())? };
    let count = spec.shape.elements();
    let distances = usize::try_from(node.int("max_skip_count", 0)).unwrap_or(0).saturating_add(1).min(length.max(1));
    let [grams, numbers, weights] = pool.place(planner, node)?;
    let parameters = [count, columns, length, distances, pool.longest].map(|value| value as u32).to_vec();
    let kernel = Kernel::new(Shader::Grams, [("MODE", mode)]);
    Ok(vec![planner.dispatch(kernel, parameters, &[&x, &grams, &numbers, &weights], spec, grid(count))?.into()])
}

impl Pool {
    fn new(node: &Node<'_>) -> Result<Self, Halt> {
        let numbers = node.ints("pool_int64s").ok_or_else(|| node.unsupported("strings"))?;
        let list = |name| {
            let values = node.ints(name).unwrap_or_default().into_iter().map(usize::try_from);
            values.collect::<Result<Vec<_>, _>>().map_err(|_| node.invalid(&format!("{name} below zero")))
        };
        let (starts, columns) = (list("ngram_counts")?, list("ngram_indexes")?);
        let size = columns.iter().max().map_or(0, |last| last + 1);
        if size > numbers.len().max(1) * 16 {
            return Err(node.unsupported("columns far beyond the n-grams"));
        }
        let mut last: HashMap<&[i64], usize> = HashMap::new();
        let mut columns = columns.into_iter();
        let counted = node.int("min_gram_length", 1)..=node.int("max_gram_length", 1);
        let mut grams = vec![[0; 2]; size];
        for (at, &start) in starts.iter().enumerate() {
            let end = starts.get(at + 1).copied().unwrap_or(numbers.len());
            let part = numbers.get(start..end).ok_or_else(|| node.invalid("ngram_counts beyond the pool"))?;
            for (index, gram) in part.chunks_exact(at + 1).enumerate() {
                let column = columns.next().ok_or_else(|| node.invalid("an index for each n-gram is needed"))?;
                if !counted.contains(&(at as i64 + 1)) {
                    continue;
                }
                if grams[column][1] != 0 {
                    return Err(node.unsupported("n-grams that share a column"));
                }
                grams[column] = [(start + index * (at + 1)) as u32, (at + 1) as u32];
                // Of n-grams that are the same, the last one counts.
                if let Some(same) = last.insert(gram, column) {
                    grams[same] = [0; 2];
                }
            }
        }
        let longest = starts.len();
        drop(last);
        Ok(Self { numbers, grams, longest })
    }

    /// Where each n-gram is, the numbers of all, and a weight for each.
    fn place(&self, planner: &mut Planner, node: &Node<'_>) -> Result<[Placed; 3], Halt> {
        let weights = match node.op.attribute("weights") {
            Some(Attribute::Floats(weights)) => weights.clone(),
            _ => vec![1.0; self.grams.len()],
        };
        if weights.len() != self.grams.len() {
            return Err(node.invalid("a weight for each n-gram is needed"));
        }
        let words = self.grams.as_flattened();
        let tensors = [
            Tensor::from_slice(Element::U32, [words.len()], words),
            Tensor::from_slice(Element::I64, [self.numbers.len()], &self.numbers),
            Tensor::from_slice(Element::Fp32, [weights.len()], &weights),
        ];
        let [grams, numbers, weights] = tensors.map(|tensor| {
            let tensor = tensor.map_err(|error| node.invalid(&error.to_string()))?;
            planner.place(&Value::Known(tensor))
        });
        Ok([grams?, numbers?, weights?])
    }
}
