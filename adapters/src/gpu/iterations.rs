//! How often an invocation of each shader goes round its loops: every dispatch is held to the limit of CPU drivers, which
//! stop an invocation without a word.

use super::{
    family::Family,
    halving::Halves,
    kernels::{Kernel, Shader},
};
use burst_host::nouns::Fault;

/// The most iterations of one invocation; CPU drivers stop it, without a word, after 65,535.
pub const ITERATIONS_MAX: usize = 60_000;

/// How often an invocation of attention goes round its loops.
pub struct Attention {
    /// Keys that are taken at a time.
    pub keys: usize,
    /// Iterations for those, and for what comes before and after all of them.
    pub each: usize,
    pub once: usize,
}

impl Attention {
    /// With keys and values of so many vec4s.
    pub fn of(family: Family, width: usize, columns: usize) -> Self {
        match family {
            // Eight steps at a time are brought and multiplied; scores are weighed; values are brought and added.
            Family::Shared => Self { keys: 32, each: 14 * width.div_ceil(8) + 30 + 4 * 14, once: 40 },
            // A product, and a sum of 4 rows; what is cleared before and scaled after.
            Family::Apart | Family::Together => {
                Self { keys: 4, each: width.saturating_add(columns).saturating_add(1), once: columns.saturating_mul(5) }
            }
        }
    }

    /// Keys that an invocation may go through before a driver stops it.
    pub fn patience(&self) -> usize {
        ITERATIONS_MAX.saturating_sub(self.once) / self.each * self.keys
    }
}

impl Kernel {
    /// `Unsupported` where an invocation could go round more often than it may.
    pub fn check_iterations(&self, parameters: &[u32], family: Family) -> Result<(), Fault> {
        let (_, iterations) = loops(self, parameters, family);
        if iterations <= ITERATIONS_MAX {
            return Ok(());
        }
        let shader = self.shader;
        let why =
            format!("{iterations} iterations of one invocation of {shader:?}, at most {ITERATIONS_MAX}, on the GPU");
        Err(Fault::Unsupported(why))
    }
}

/// How many loops a shader has in its source besides its lane's, functions included, so that who adds one has to say
/// here how long it is; and the iterations of those whose length parameters or constants decide. Loops of a fixed
/// length are short, and unrolled.
fn loops(kernel: &Kernel, parameters: &[u32], family: Family) -> (usize, usize) {
    let p = |index: usize| parameters.get(index).map_or(0, |&word| word as usize);
    let c =
        |name: &str| kernel.constants.iter().find(|(known, _)| *known == name).map_or(0, |&(_, value)| value as usize);
    let row = |length: usize| length.div_ceil(c("INVOCATIONS").max(1));
    // Steps that a workgroup has in its memory at once, multiplied by fours.
    let shared = |steps: usize| {
        let side = (c("TILE") / 8).max(1);
        nested(&[steps.div_ceil(side), side.div_ceil(4)])
    };
    // Floats are stored one by one at an edge.
    let put = |halves: Halves| usize::from(!halves.result);
    match kernel.shader {
        Shader::Advance
        | Shader::Cache
        | Shader::Check
        | Shader::Compact
        | Shader::Deform
        | Shader::Invert
        | Shader::Join
        | Shader::Pick
        | Shader::Place
        | Shader::Ranked
        | Shader::RecurrentLast
        | Shader::Rotary
        | Shader::Selected
        | Shader::Triangle
        | Shader::Unravel
        | Shader::WinogradTiles => (0, 0),
        // Words of an element, axes, halvings, a block.
        Shader::Candidates | Shader::Gather | Shader::LocateElements => (1, 0),
        Shader::Random | Shader::Reverse | Shader::Scan => (1, 0),
        Shader::Select | Shader::Strided => (2, 0),
        // Components, channels, elements of a word.
        Shader::View => (6, 0),
        // The elements of the largest tensor are a few hundred for each invocation.
        Shader::GridSample | Shader::Pointwise(_) => (4, 0),
        Shader::LocateRows => (1, p(1)),
        Shader::Arg(_) | Shader::Cumulate(_) | Shader::Fold(_) => (1, p(4)),
        Shader::Boundary => (1, p(2)),
        Shader::Capacity => (1, p(0)),
        Shader::Scatter(_) => (1, p(3)),
        Shader::Taps | Shader::Suppress => (1, p(4)),
        // Elements four at a time, and what is left of them, gone through twice.
        Shader::Reduce => (4, (p(4).div_ceil(4).saturating_add(3)).saturating_mul(2)),
        Shader::ReduceRows => (3, row(p(1)).saturating_mul(2)),
        Shader::SoftmaxRows | Shader::NormalizeRows => (4, row(p(1)).saturating_mul(3)),
        Shader::Softmax | Shader::Normalize | Shader::Multinomial => (3, p(1).saturating_mul(3)),
        Shader::AttentionJoin => (2, p(1).saturating_mul(2)),
        Shader::AttentionScores => (1, c("WIDTH")),
        Shader::Attention => {
            let attention = Attention::of(family, c("WIDTH"), c("COLUMNS"));
            let tiles = p(27).div_ceil(attention.keys).saturating_mul(attention.each);
            (if family == Family::Shared { 13 } else { 16 }, tiles.saturating_add(attention.once))
        }
        // A state is copied, then faded, grown and read by each query at each place.
        Shader::LinearAttention => {
            let place = p(2).saturating_mul(2).saturating_add(nested(&[p(4), p(2)]));
            (6, p(2).saturating_add(place.saturating_add(1).saturating_mul(p(7))))
        }
        // Units of the state, and the gates of each.
        Shader::Recurrent => (3, nested(&[p(1), 4])),
        Shader::MatMul(halves) if family == Family::Shared => (5 + put(halves), shared(p(8))),
        Shader::MatMul(halves) => (6 + put(halves), p(2)),
        Shader::MatVec(halves) if family == Family::Shared => (4 + put(halves), p(8).div_ceil(32)),
        Shader::MatVec(halves) => (3 + put(halves), p(8)),
        Shader::Parts(halves) => (1 + put(halves), p(3)),
        Shader::Cooperative(halves) => (4 + put(halves), nested(&[p(2).div_ceil(32), 2])),
        Shader::Product(_) => (2, p(3)),
        // Words of a column, and the weights of each.
        Shader::PackedMatMul => {
            let each = 32 / c("BITS").clamp(1, 32);
            (3, nested(&[p(3).saturating_mul(p(4)).div_ceil(each), each]))
        }
        Shader::Conv(halves) if family == Family::Shared => (4 + put(halves), shared(p(6))),
        Shader::Conv(halves) => (4 + put(halves), nested(&[p(11).saturating_mul(p(12)), p(1)])),
        Shader::WinogradWeights => (1, 0),
        Shader::WinogradResult(halves) => (put(halves), 0),
        Shader::Depthwise(halves) => (3 + put(halves), nested(&[p(7), p(8)])),
        Shader::Correlate => (4, nested(&[p(8), p(9), p(1)])),
        Shader::Pool => (3, nested(&[p(7), p(8), p(9)])),
        Shader::PoolParts => (1, p(24)),
        Shader::Volume => (8, nested(&[p(10), p(11), p(12), p(1)])),
        Shader::RoiAlign => (2, nested(&[p(10), p(11)])),
        Shader::Determinant => {
            (6, (p(1).saturating_pow(3) / 3).saturating_add(p(1).saturating_pow(2).saturating_mul(4)))
        }
        // Rows of a block, and elements of a row.
        Shader::Sort => (2, nested(&[p(5), p(2)])),
        // Halvings of a block, and elements of a row.
        Shader::Merge => (2, nested(&[1 + p(5).max(1).ilog2() as usize, p(2)])),
        // What is kept already, and the candidates beside those kept since.
        Shader::Keep => (3, p(4).saturating_add(nested(&[p(6), p(6)]))),
        Shader::Grams => (3, nested(&[p(3), p(2), p(4)])),
    }
}

/// Rounds of loops inside of each other, the outermost first.
pub fn nested(lengths: &[usize]) -> usize {
    lengths.iter().rev().fold(0, |rounds: usize, &length| rounds.saturating_add(1).saturating_mul(length))
}

#[cfg(test)]
mod tests {
    use super::{
        super::{halving::Halving, kernels::Lane, lane::Reach},
        *,
    };
    use naga::{Block, Statement};

    /// Loops in a block, those inside of others too.
    fn count(block: &Block) -> usize {
        let inside = |statement: &Statement| match statement {
            Statement::Loop { body, continuing, .. } => 1 + count(body) + count(continuing),
            Statement::Block(block) => count(block),
            Statement::If { accept, reject, .. } => count(accept) + count(reject),
            Statement::Switch { cases, .. } => cases.iter().map(|case| count(&case.body)).sum(),
            _ => 0,
        };
        block.iter().map(inside).sum()
    }

    /// Loops over the bits of a number, of a fixed length.
    fn of_lane(lane: Option<Lane>) -> usize {
        match lane {
            None => 0,
            Some(Lane::F32 | Lane::F8 | Lane::I32) => 1,
            Some(Lane::I64) => 2,
            Some(Lane::F64) => 3,
        }
    }

    #[test]
    fn no_loop_is_forgotten() {
        let lanes = Shader::ALL.iter().flat_map(|shader| Lane::ALL.map(|lane| shader.in_lane(lane)));
        let every = lanes.flat_map(|shader| Halves::ALL.map(|halves| shader.of_halves(halves)));
        for (shader, family) in every.flat_map(|shader| Family::ALL.map(|family| (shader, family))) {
            let source = shader.source(family, Halving::Native, Reach::ALL);
            let module = naga::front::wgsl::parse_str(&source).unwrap_or_else(|error| panic!("{shader:?}: {error}"));
            let functions = module.functions.iter().map(|(_, function)| function);
            let functions = functions.chain(module.entry_points.iter().map(|entry| &entry.function));
            let found: usize = functions.map(|function| count(&function.body)).sum();
            let expected = loops(&Kernel::new(shader, []), &[], family).0 + of_lane(shader.lane());
            assert_eq!(found, expected, "{shader:?}");
        }
    }

    #[test]
    fn what_lengthens_a_loop_is_refused() {
        let constants = |value| [("WIDTH", value), ("COLUMNS", value), ("BITS", 4)];
        for (shader, family) in Shader::ALL.iter().flat_map(|&shader| Family::ALL.map(|family| (shader, family))) {
            let of = |value| Kernel::new(shader, constants(value));
            assert_eq!(of(1).check_iterations(&[1; 64], family), Ok(()), "{shader:?}");
            let fixed = loops(&of(1), &[], family).1 == 0 && loops(&of(1), &[1; 64], family).1 == 0;
            let refused = of(u32::MAX).check_iterations(&[u32::MAX; 64], family);
            assert_eq!(matches!(refused, Err(Fault::Unsupported(_))), !fixed, "{shader:?}");
        }
        let reduce = Kernel::new(Shader::Reduce, []);
        assert_eq!(reduce.check_iterations(&[1, 119_988, 1, 1, 119_988], Family::Apart), Ok(()));
        assert!(reduce.check_iterations(&[1, 119_989, 1, 1, 119_989], Family::Apart).is_err());
    }

    #[test]
    fn nested_loops_multiply() {
        assert_eq!(nested(&[3, 4]), 3 * (1 + 4));
        assert_eq!(nested(&[2, 0, 5]), 2);
        assert_eq!(nested(&[usize::MAX, usize::MAX]), usize::MAX);
    }
}
