//! Dropout: nothing at inference; in training, what its seed says.

use super::{
    super::planner::{Halt, Node, Planner, Value},
    pointwise::{Link, chain, code, convert, widened},
};
use burst_host::nouns::{Attribute, Element, Spec, Tensor};

/// Numbers that are drawn while a graph is planned.
const DRAWN_MAX: usize = 1 << 24;

/// Ratio and mode are inputs since opset 12.
pub fn dropout(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let trains = node.has(2) && node.numbers(2)? != [0];
    let ratio = if node.has(1) { node.floats(1)?.first().copied().unwrap_or(0.5) } else { 0.5 };
    let masked = node.op.outputs.get(1).is_some_and(|name| !name.is_empty());
    let spec = node.spec(0)?;
    if !masked && !trains {
        return Ok(vec![node.input(0).clone()]);
    }
    let (kept, y) = if trains && ratio > 0.0 {
        let kept = drawn(node, spec.shape.elements(), ratio)?;
        let y = scaled(planner, node, &kept, ratio)?;
        (kept, y)
    } else {
        (vec![1; spec.shape.elements()], node.input(0).clone())
    };
    let mask = Spec { element: Element::Bool, shape: spec.shape.clone() };
    let mask = Tensor::host(mask, kept).map_err(|error| node.invalid(&error.to_string()))?;
    // Before opset 10 it is of x's element.
    let like = vec![Value::Known(mask.clone()), node.input(0).clone()];
    let mask = if node.opset < 10 { planner.apply("CastLike", Vec::new(), like)? } else { Value::Known(mask) };
    Ok(vec![y, mask])
}

/// 1 for what is kept, as ONNX's reference draws it: NumPy's `RandomState(seed).uniform(0, 1) >= ratio`.
fn drawn(node: &Node<'_>, count: usize, ratio: f64) -> Result<Vec<u8>, Halt> {
    let Some(&Attribute::Int(seed)) = node.op.attribute("seed") else {
        return Err(node.unsupported("training without a seed"));
    };
    let seed = u32::try_from(seed).map_err(|_| node.unsupported("a seed beyond 32 bits"))?;
    if count > DRAWN_MAX || ratio >= 1.0 {
        return Err(node.unsupported("training at that size or ratio"));
    }
    let mut twister = Twister::new(seed);
    Ok((0..count).map(|_| u8::from(twister.uniform() >= ratio)).collect())
}

/// What is kept, the larger for what is not.
fn scaled(planner: &mut Planner, node: &Node<'_>, kept: &[u8], ratio: f64) -> Result<Value, Halt> {
    let element = node.spec(0)?.element;
    let x = widened(planner, node, node.input(0))?;
    let scale = (1.0 / (1.0 - ratio)) as f32;
    let factors: Vec<f32> = kept.iter().map(|&kept| f32::from(kept) * scale).collect();
    let factors = Tensor::from_slice(Element::Fp32, x.extents(), &factors);
    let factors = factors.map_err(|error| node.invalid(&error.to_string()))?;
    let factors = planner.place(&Value::Known(factors))?;
    let y = chain(planner, node, &x, &[Link::tensor(code::MULTIPLY, factors)], Element::Fp32)?;
    Ok(convert(planner, node, &y, element)?.into())
}

/// Matsumoto and Nishimura, "Mersenne Twister" (1998): MT19937, and doubles of 53 bits out of two words.
struct Twister {
    state: [u32; Self::WORDS],
    next: usize,
}

impl Twister {
    const WORDS: usize = 624;
    const MIDDLE: usize = 397;

    fn new(seed: u32) -> Self {
        let mut state = [seed; Self::WORDS];
        for at in 1..Self::WORDS {
            let before = state[at - 1];
            state[at] = 1_812_433_253u32.wrapping_mul(before ^ (before >> 30)).wrapping_add(at as u32);
        }
        Self { state, next: Self::WORDS }
    }

    fn turn(&mut self) {
        for at in 0..Self::WORDS {
            let joined = (self.state[at] & 0x8000_0000) | (self.state[(at + 1) % Self::WORDS] & 0x7fff_ffff);
            let odd = if joined & 1 == 1 { 0x9908_b0df } else { 0 };
            self.state[at] = self.state[(at + Self::MIDDLE) % Self::WORDS] ^ (joined >> 1) ^ odd;
        }
        self.next = 0;
    }

    fn word(&mut self) -> u32 {
        if self.next == Self::WORDS {
            self.turn();
        }
        let mut word = self.state[self.next];
        self.next += 1;
        word ^= word >> 11;
        word ^= (word << 7) & 0x9d2c_5680;
        word ^= (word << 15) & 0xefc6_0000;
        word ^ (word >> 18)
    }

    /// In [0, 1).
    fn uniform(&mut self) -> f64 {
        let (high, low) = (f64::from(self.word() >> 5), f64::from(self.word() >> 6));
        (high * 67_108_864.0 + low) / 9_007_199_254_740_992.0
    }
}

#[cfg(test)]
mod tests {
    use super::Twister;

    /// `numpy.random.RandomState(0).uniform(size=3)`
    #[test]
    fn numbers_are_those_of_numpy() {
        let mut twister = Twister::new(0);
        let drawn: Vec<f64> = (0..3).map(|_| twister.uniform()).collect();
        assert_eq!(drawn, [0.548_813_503_927_324_8, 0.715_189_366_372_419_5, 0.602_763_376_071_643_9]);
    }
}
