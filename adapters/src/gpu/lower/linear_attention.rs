//! Linear attention: a state that grows with each place of a sequence and is read there.

use super::{
    super::{
        iterations::ITERATIONS_MAX,
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    movement::{part, permute},
    pointwise::{convert, widened},
};
use burst_host::nouns::{Attribute, Element, Spec};

pub fn linear_attention(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let kept = if node.has(3) { node.spec(3)?.element } else { element };
    let recurrence = Recurrence::of(planner, node)?;
    let (y, state) = recurrence.run(planner, node)?;
    Ok(vec![convert(planner, node, &y, element)?.into(), convert(planner, node, &state, kept)?.into()])
}

struct Recurrence {
    queries: Placed,
    keys: Placed,
    values: Placed,
    past: Option<Placed>,
    decay: Option<Placed>,
    beta: Option<Placed>,
    batches: usize,
    places: usize,
    /// Heads of keys, and of queries that share one.
    heads: usize,
    shared: usize,
    /// Elements of a key and of a value.
    width: usize,
    columns: usize,
    scale: f32,
}

/// Where the state lies: the tensor, rows of a list in it, and the state's first.
type State<'a> = (&'a Placed, usize, usize);

impl Recurrence {
    fn of(planner: &mut Planner, node: &Node<'_>) -> Result<Self, Halt> {
        let mut given = |index: usize| match node.has(index) {
            true => widened(planner, node, node.input(index)).map(Some),
            false => Ok(None),
        };
        let missing = || node.invalid("queries, keys and values are needed");
        let [queries, keys, values] = [given(0)?, given(1)?, given(2)?].map(|value| value.ok_or_else(missing));
        let (queries, keys, values) = (queries?, keys?, values?);
        let (past, decay, beta) = (given(3)?, given(4)?, given(5)?);
        let count = |name: &str| usize::try_from(node.int(name, 0)).unwrap_or(0).max(1);
        let (all, heads) = (count("q_num_heads"), count("kv_num_heads"));
        let &[batches, places, hidden] = queries.extents() else {
            return Err(node.invalid("queries have three axes"));
        };
        let (width, columns) = (hidden / all, values.extents().last().map_or(0, |last| last / heads));
        let scale = match node.float("scale", 0.0) {
            0.0 => 1.0 / (width as f32).sqrt(),
            scale => scale,
        };
        let shared = all / heads;
        let recurrence =
            Self { queries, keys, values, past, decay, beta, batches, places, heads, shared, width, columns, scale };
        if recurrence.fits(all, &node.text("update_rule", "gated_delta")) {
            Ok(recurrence)
        } else {
            Err(node.invalid("inputs that do not fit each other or the rule"))
        }
    }

    fn fits(&self, all: usize, rule: &str) -> bool {
        let Self { batches, places, heads, width, columns, .. } = *self;
        let long = |placed: &Placed, last: usize| placed.extents() == [batches, places, last];
        let gated = matches!(rule, "gated" | "gated_delta");
        let corrected = matches!(rule, "delta" | "gated_delta");
        let faded = self.decay.as_ref().map(|decay| long(decay, heads) || long(decay, heads * width));
        let updated = self.beta.as_ref().map(|beta| long(beta, heads) || long(beta, 1));
        let past = self.past.as_ref().is_none_or(|past| past.extents() == [batches, heads, width, columns]);
        let rows = long(&self.queries, all * width) && long(&self.keys, heads * width);
        rows && long(&self.values, heads * columns)
            && all.is_multiple_of(heads)
            && past
            && faded == gated.then_some(true)
            && updated == corrected.then_some(true)
            && matches!(rule, "linear" | "gated" | "delta" | "gated_delta")
    }

    /// In pieces of as many places as an invocation may go through; each begins with the state of the one before.
    fn run(&self, planner: &mut Planner, node: &Node<'_>) -> Result<(Placed, Placed), Halt> {
        let place = self.width * (2 + self.shared) + self.shared + 1;
        let piece = ITERATIONS_MAX.saturating_sub(self.width) / place;
        if piece == 0 || self.places == 0 {
            return Err(node.unsupported("a state of that size, or no place"));
        }
        let (mut parts, mut last): (Vec<Value>, Option<(Placed, usize)>) = (Vec::new(), None);
        for first in (0..self.places).step_by(piece) {
            let steps = piece.min(self.places - first);
            let state = match &last {
                Some((placed, steps)) => Some((placed, steps * self.shared + self.width, steps * self.shared)),
                None => self.past.as_ref().map(|past| (past, self.width, 0)),
            };
            let result = self.piece(planner, node, first, steps, state)?;
            parts.push(self.outputs(planner, node, &result, steps)?.into());
            last = Some((result, steps));
        }
        let (last, steps) = last.ok_or_else(|| node.unsupported("no place"))?;
        let state = part(planner, node, &last, 1, steps * self.shared, self.width)?;
        let state = state.reshaped(node.shape(vec![self.batches, self.heads, self.width, self.columns])?);
        let joined = planner.apply("Concat", vec![("axis".into(), Attribute::Int(1))], parts)?;
        Ok((planner.place(&joined)?, state))
    }

    /// What queries read at each place, then the state.
    fn piece(
        &self,
        planner: &mut Planner,
        node: &Node<'_>,
        first: usize,
        steps: usize,
        state: Option<State<'_>>,
    ) -> Result<Placed, Halt> {
        let lists = self.batches * self.heads;
        let shape = node.shape(vec![lists, steps * self.shared + self.width, self.columns])?;
        let (past, state_rows, state_first) = state.unwrap_or((&self.keys, 0, 0));
        let count = lists * self.columns;
        let counts = [count, self.columns, self.width, self.heads, self.shared, self.places, first, steps];
        let mut parameters = counts.map(|value| value as u32).to_vec();
        let beta_heads = self.beta.as_ref().map_or(1, |beta| beta.extents()[2]);
        parameters.extend([state_rows, state_first, beta_heads].map(|value| value as u32));
        parameters.push(self.scale.to_bits());
        let each = |decay: &Placed| if decay.extents()[2] == self.heads { 1 } else { 2 };
        let constants = [
            ("DECAY", self.decay.as_ref().map_or(0, each)),
            ("DELTA", u32::from(self.beta.is_some())),
            ("PAST", u32::from(state.is_some())),
        ];
        let (decay, beta) = (self.decay.as_ref().unwrap_or(&self.keys), self.beta.as_ref().unwrap_or(&self.keys));
        let reads = [&self.queries, &self.keys, &self.values, past, decay, beta];
        let spec = Spec { element: Element::Fp32, shape };
        planner.dispatch(Kernel::new(Shader::LinearAttention, constants), parameters, &reads, spec, grid(count))
    }

    /// The outputs of a piece, heads after places.
    fn outputs(&self, planner: &mut Planner, node: &Node<'_>, piece: &Placed, steps: usize) -> Result<Placed, Halt> {
        let rows = part(planner, node, piece, 1, 0, steps * self.shared)?;
        let split = vec![self.batches, self.heads, steps, self.shared * self.columns];
        let turned = permute(planner, node, &rows.reshaped(node.shape(split)?), &[0, 2, 1, 3])?;
        Ok(turned.reshaped(node.shape(vec![self.batches, steps, self.heads * self.shared * self.columns])?))
    }
}
