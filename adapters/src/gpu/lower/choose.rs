//! Operators that choose: between two tensors, or among the elements of a run.

use super::{
    super::{
        kernels::{Kernel, Lane, Shader},
        planner::{Halt, Node, Placed, Planner, Value, axis, grid},
    },
    element::in_lane,
    pointwise::{broadcast, padded, strides},
    runs,
};
use burst_host::nouns::{Element, Spec};

pub fn select(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let condition = planner.place(node.input(0))?;
    let (x, z) = (planner.place(node.input(1))?, planner.place(node.input(2))?);
    if condition.spec.element != Element::Bool || x.spec.element != z.spec.element {
        return Err(node.invalid("a condition and two tensors of one type are needed"));
    }
    let shape = broadcast(node, &broadcast(node, &condition.spec.shape, &x.spec.shape)?, &z.spec.shape)?;
    let size = x.spec.element.size().ok_or_else(|| node.lacks("BYTES"))?;
    let mut parameters = vec![shape.elements() as u32];
    parameters.extend(padded(shape.extents(), 1));
    for operand in [&condition, &x, &z] {
        parameters.extend(strides(operand.extents(), shape.extents()));
    }
    let groups = grid((shape.elements() * size).div_ceil(4));
    let spec = Spec { element: x.spec.element, shape };
    let kernel = Kernel::new(Shader::Select, [("SIZE", size as u32)]);
    Ok(vec![planner.dispatch(kernel, parameters, &[&condition, &x, &z], spec, groups)?.into()])
}

pub fn arg_max(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    arg(planner, node, 0)
}

pub fn arg_min(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    arg(planner, node, 1)
}

fn arg(planner: &mut Planner, node: &Node<'_>, smallest: u32) -> Result<Vec<Value>, Halt> {
    let (x, lane) = in_lane(planner, node, node.input(0))?;
    let at = axis(node, node.int("axis", 0), x.extents().len())?;
    let run = x.extents()[at];
    if run == 0 {
        return Err(node.invalid("a run of nothing"));
    }
    let inner: usize = x.extents()[at + 1..].iter().product();
    let mut extents = x.extents().to_vec();
    if node.int("keepdims", 1) == 1 {
        extents[at] = 1;
    } else {
        extents.remove(at);
    }
    let spec = Spec { element: Element::I64, shape: node.shape(extents)? };
    let flags = [("SMALLEST", smallest), ("LAST", node.int("select_last_index", 0) as u32)];
    let sizes = [spec.shape.elements(), run, inner];
    let among = Among { x: &x, lane, flags, whole: run, found: None };
    Ok(vec![among.winners(planner, node, sizes, spec)?.into()])
}

/// Which of these places in `x` the largest of each run of them is at, the first of equal ones.
pub fn among(planner: &mut Planner, node: &Node<'_>, x: &Placed, places: Placed, spec: Spec) -> Result<Placed, Halt> {
    let sizes = [spec.shape.elements(), places.extents()[1], 1];
    let flags = [("SMALLEST", 0), ("LAST", 0)];
    let among = Among { x, lane: Lane::F32, flags, whole: 0, found: Some(places) };
    among.winners(planner, node, sizes, spec)
}

/// What is compared: all elements of runs, or those at places that were found in parts of them.
struct Among<'a> {
    x: &'a Placed,
    lane: Lane,
    flags: [(&'static str, u32); 2],
    /// Elements of a run.
    whole: usize,
    found: Option<Placed>,
}

impl Among<'_> {
    /// Where the winner of each run is: long ones part by part, then among the winners of the parts.
    fn winners(
        self,
        planner: &mut Planner,
        node: &Node<'_>,
        sizes @ [count, _, inner]: [usize; 3],
        spec: Spec,
    ) -> Result<Placed, Halt> {
        let parts = runs::shares(sizes);
        let mut constants = self.lane.constants(self.x, &self.flags);
        constants.extend([("FOUND", u32::from(self.found.is_some())), ("PARTIAL", u32::from(parts > 1))]);
        let kernel = Kernel::new(Shader::Arg(self.lane), constants);
        let mut parameters = runs::parameters(sizes, parts);
        parameters[5] = self.whole as u32;
        let reads = [self.x, self.found.as_ref().unwrap_or(self.x)];
        if parts == 1 {
            return planner.dispatch(kernel, parameters, &reads, spec, grid(count));
        }
        let shape = node.shape(vec![count / inner, parts, inner])?;
        let places = Spec { element: Element::U32, shape };
        let places = planner.dispatch(kernel, parameters, &reads, places, grid(count * parts))?;
        Self { found: Some(places), ..self }.winners(planner, node, [count, parts, inner], spec)
    }
}
