//! What a query of attention may see: causes, windows, lengths and masks.

use super::{
    super::{
        super::planner::{Halt, Node, Placed, Planner},
        pointwise::{strides, widened},
    },
    Attention,
};
use burst_host::nouns::Element;

/// What a query may see.
pub struct Bounds {
    pub mask: Option<Placed>,
    pub mask_steps: [u32; 4],
    pub mask_keys: usize,
    pub lengths: Option<Placed>,
    pub left: i32,
    pub right: i32,
}

impl Bounds {
    pub fn of(planner: &mut Planner, node: &Node<'_>, attention: &Attention) -> Result<Self, Halt> {
        let reach = |name: &str| node.int(name, -1).clamp(-1, i64::from(i32::MAX / 2)) as i32;
        let (left, right) = (reach("left_window_size"), reach("right_window_size"));
        let right = if node.int("is_causal", 0) == 1 { 0 } else { right };
        let mut bounds = Self { mask: None, mask_steps: [0; 4], mask_keys: 0, lengths: None, left, right };
        if node.has(3) {
            bounds.mask(planner, node, attention)?;
        }
        if node.has(6) {
            let lengths = planner.place(node.input(6))?;
            if lengths.spec.element != Element::I64 || lengths.extents() != [attention.query.batches] || node.has(4) {
                return Err(node.invalid("a length for each batch, and no past, is needed"));
            }
            planner.check_below(node, 6, attention.key.places + 1)?;
            bounds.lengths = Some(lengths);
        }
        Ok(bounds)
    }

    /// The last axis may be shorter than the keys: what is beyond is not seen.
    fn mask(&mut self, planner: &mut Planner, node: &Node<'_>, attention: &Attention) -> Result<(), Halt> {
        let truths = node.spec(3)?.element == Element::Bool;
        let mask = if truths { planner.place(node.input(3))? } else { widened(planner, node, node.input(3))? };
        let Attention { query, key, .. } = attention;
        let mut whole = [query.batches, query.heads, query.places, key.places];
        self.mask_keys = mask.extents().last().copied().ok_or_else(|| node.invalid("a mask has axes"))?;
        let fits = self.mask_keys <= key.places && mask.extents().len() <= 4;
        whole[3] = self.mask_keys;
        let pairs = mask.extents().iter().rev().zip(whole.iter().rev());
        if !fits || !pairs.into_iter().all(|(own, whole)| own == whole || *own == 1) {
            return Err(node.invalid(&format!("a mask of {} for scores of {whole:?}", mask.spec)));
        }
        let steps = strides(mask.extents(), &whole);
        self.mask_steps = [steps[4], steps[5], steps[6], steps[7]];
        self.mask = Some(mask);
        Ok(())
    }

    pub fn constants(&self) -> [(&'static str, u32); 2] {
        let mask = self.mask.as_ref().map_or(0, |mask| if mask.spec.element == Element::Bool { 2 } else { 1 });
        [("MASK", mask), ("LENGTHS", u32::from(self.lengths.is_some()))]
    }
}
