//! Non-maximum suppression: of boxes that overlap, the one with the highest score stays.

use super::{
    super::{
        kernels::{Kernel, Shader},
        planner::{Halt, Node, Placed, Planner, Value, grid},
    },
    compact::{known, marks, places, running_sums},
    pointwise::{Link, chain, code, convert, widened},
    rank::{Runs, ranking},
};
use burst_host::nouns::{Element, Spec, Tensor};

/// Candidates of a class that are looked at in one step: first beside what is kept, then beside each other.
const PART: usize = 128;

/// Boxes and what is wanted of them.
struct Boxes {
    boxes: Placed,
    scores: Placed,
    images: usize,
    classes: usize,
    count: usize,
    /// Of each class.
    kept: usize,
    overlap_max: f32,
    centred: bool,
}

/// Candidates of each class: numbers of boxes from 1 on, 0 where there is none, and the order of their scores.
struct Candidates {
    numbers: Placed,
    order: Placed,
    /// Places of each class.
    places: usize,
}

/// Image, class and box of all that are kept.
pub fn non_max(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let kept = if node.has(2) { node.numbers(2)?.first().copied().unwrap_or(0) } else { 0 };
    let overlap_max = number(node, 3)?.unwrap_or(0.0);
    let score_min = number(node, 4)?;
    let (boxes, scores) = (node.spec(0)?.shape.extents(), node.spec(1)?.shape.extents());
    let (&[images, count, 4], &[_, classes, _]) = (boxes, scores) else {
        return Err(node.invalid("boxes of four numbers and scores of classes are needed"));
    };
    if scores != [images, classes, count] {
        return Err(node.invalid("a score for each class and box is needed"));
    }
    let kept = usize::try_from(kept).unwrap_or(0).min(count);
    if kept == 0 || images * classes == 0 {
        return none(node);
    }
    let (boxes, scores) = (widened(planner, node, node.input(0))?, widened(planner, node, node.input(1))?);
    let centred = node.int("center_point_box", 0) == 1;
    let boxes = Boxes { boxes, scores, images, classes, count, kept, overlap_max, centred };
    let Some(kept) = boxes.kept(planner, node, score_min)? else { return none(node) };
    boxes.selected(planner, node, &kept)
}

/// A threshold, where it is given.
fn number(node: &Node<'_>, index: usize) -> Result<Option<f32>, Halt> {
    if !node.has(index) {
        return Ok(None);
    }
    Ok(node.tensor(index)?.to_vec::<f32>().and_then(|values| values.first().copied()))
}

fn none(node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let empty = Tensor::from_slice::<i64>(Element::I64, [0, 3], &[]);
    Ok(vec![Value::Known(empty.map_err(|error| node.invalid(&error.to_string()))?)])
}

impl Boxes {
    /// Numbers of the boxes that stay, `[images · classes, kept]`; `None` where there is no candidate.
    fn kept(&self, planner: &mut Planner, node: &Node<'_>, score_min: Option<f32>) -> Result<Option<Placed>, Halt> {
        let sums = planner.once(|planner| {
            let marks = self.high_enough(planner, node, score_min)?;
            running_sums(planner, node, &marks)
        })?;
        let places = match score_min {
            Some(_) => self.capacity(planner, node, &sums)?.min(self.count),
            None => self.count,
        };
        if places == 0 {
            return Ok(None);
        }
        let kept = planner.once(|planner| {
            let candidates = self.candidates(planner, node, &sums, places)?;
            self.suppress(planner, node, &candidates)
        })?;
        Ok(Some(kept))
    }

    fn high_enough(&self, planner: &mut Planner, node: &Node<'_>, score_min: Option<f32>) -> Result<Placed, Halt> {
        match score_min {
            Some(score) => {
                let links = [Link::number(code::GREATER, score)];
                let high = chain(planner, node, &self.scores, &links, Element::Bool)?;
                convert(planner, node, &high, Element::U32)
            }
            None => planner.place(&known(node, &vec![1; self.scores.spec.shape.elements()])?),
        }
    }

    /// Room for the candidates of any class: the run stops to read it.
    fn capacity(&self, planner: &mut Planner, node: &Node<'_>, sums: &Placed) -> Result<usize, Halt> {
        let spec = Spec { element: Element::U32, shape: node.shape(vec![1])? };
        let parameters = [self.images * self.classes, self.count].map(|value| value as u32).to_vec();
        let kernel = Kernel::new(Shader::Capacity, []);
        let most = planner.read(|planner| planner.dispatch(kernel, parameters, &[sums], spec, [1, 1, 1]))?;
        Ok(most.to_vec::<u32>().and_then(|most| most.first().copied()).unwrap_or_default() as usize)
    }

    fn candidates(
        &self,
        planner: &mut Planner,
        node: &Node<'_>,
        sums: &Placed,
        places: usize,
    ) -> Result<Candidates, Halt> {
        let shape = node.shape(vec![self.images * self.classes, places])?;
        let count = shape.elements();
        let mut of = |scores: bool| {
            let element = if scores { Element::Fp32 } else { Element::U32 };
            let kernel = Kernel::new(Shader::Candidates, [("SCORES", u32::from(scores))]);
            let parameters = [count, places, self.count].map(|value| value as u32).to_vec();
            let spec = Spec { element, shape: shape.clone() };
            planner.dispatch(kernel, parameters, &[sums, &self.scores], spec, grid(count))
        };
        let (numbers, scores) = (of(false)?, of(true)?);
        let runs = Runs { x: &scores, count: self.images * self.classes, length: places, inner: 1, row: 1 };
        let order = ranking(planner, node, &runs, places, true)?;
        Ok(Candidates { numbers, order, places })
    }

    /// Part by part, from the highest score down.
    fn suppress(&self, planner: &mut Planner, node: &Node<'_>, candidates: &Candidates) -> Result<Placed, Halt> {
        let classes = self.images * self.classes;
        let spec =
            |extent: usize| Ok::<_, Halt>(Spec { element: Element::U32, shape: node.shape(vec![classes, extent])? });
        let kept = planner.cleared(spec(self.kept)?)?;
        let constants = [("CENTRED", u32::from(self.centred))];
        let Candidates { numbers, order, places } = candidates;
        for first in (0..*places).step_by(PART) {
            let part = PART.min(places - first);
            let parameters = |count: usize| {
                let words = [count, self.classes, self.count, *places, self.kept, first, part];
                let words = words.into_iter().map(|value| value as u32);
                words.chain([self.overlap_max.to_bits()]).collect::<Vec<_>>()
            };
            let kernel = Kernel::new(Shader::Suppress, constants);
            let reads = [&self.boxes, numbers, order, &kept];
            let count = classes * part;
            let left = planner.dispatch(kernel, parameters(count), &reads, spec(part)?, grid(count))?;
            let kernel = Kernel::new(Shader::Keep, constants);
            let reads = [&self.boxes, &left];
            planner.dispatch_into(kernel, parameters(classes), &reads, &kept, grid(classes));
        }
        Ok(kept)
    }

    /// The run stops to read how many there are.
    fn selected(&self, planner: &mut Planner, node: &Node<'_>, kept: &Placed) -> Result<Vec<Value>, Halt> {
        let sums = planner.once(|planner| {
            let marks = marks(planner, node, kept)?;
            running_sums(planner, node, &marks)
        })?;
        let places = places(planner, node, &sums)?;
        let count = places.spec.shape.elements();
        let spec = Spec { element: Element::I64, shape: node.shape(vec![count, 3])? };
        let parameters = [count, self.classes, self.kept].map(|value| value as u32).to_vec();
        let kernel = Kernel::new(Shader::Selected, []);
        Ok(vec![planner.dispatch(kernel, parameters, &[&places, kept], spec, grid(count))?.into()])
    }
}
