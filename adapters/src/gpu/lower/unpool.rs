//! MaxUnpool: the largest of each window back to where it was, zeros elsewhere.

use super::{
    super::planner::{Halt, Node, Planner, Value},
    pointwise::{convert, widened},
    windows::{Windows, volume},
};
use burst_host::nouns::{Attribute, Element, Spec};

pub fn unpool(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    let element = node.spec(0)?.element;
    let wanted = if node.has(2) { Some(node.numbers(2)?) } else { None };
    let (x, places) = (widened(planner, node, node.input(0))?, planner.place(node.input(1))?);
    if places.extents() != x.extents() {
        return Err(node.invalid("a place for each element is needed"));
    }
    let extents = covered(node, &x.extents()[2.min(x.extents().len())..], volume(node, &x)?.0)?;
    let shape = node.shape(extents.clone())?;
    let (count, whole) = (node.shape(vec![x.spec.shape.elements()])?, node.shape(vec![shape.elements()])?);
    let zeros = planner.cleared(Spec { element: Element::Fp32, shape: whole })?;
    let scattered = vec![zeros.into(), places.reshaped(count.clone()).into(), x.reshaped(count).into()];
    let flat = planner.apply("ScatterElements", Vec::new(), scattered)?;
    let mut y = planner.place(&flat)?.reshaped(shape);
    if let Some(wanted) = wanted {
        // Places count in what the windows cover; what is wanted beyond that is zeros.
        let more: Option<Vec<i64>> = wanted
            .iter()
            .zip(&extents)
            .map(|(&wanted, &had)| wanted.checked_sub(had as i64).filter(|&more| more >= 0))
            .collect();
        let more = more.filter(|more| more.len() == extents.len()).ok_or_else(|| node.invalid("a smaller output"))?;
        let pads = [vec![0; extents.len()], more].concat();
        let padded = planner.apply("Pad", vec![("pads".into(), Attribute::Ints(pads))], vec![y.into()])?;
        y = planner.place(&padded)?;
    }
    Ok(vec![convert(planner, node, &y, element)?.into()])
}

/// The extents that were pooled, as the windows tell.
fn covered(node: &Node<'_>, input: &[usize], outer: [usize; 2]) -> Result<Vec<usize>, Halt> {
    let kernel = node.ints("kernel_shape").unwrap_or_default();
    let kernel: Vec<usize> = kernel.iter().map(|&extent| extent.max(0) as usize).collect();
    if kernel.len() != input.len() {
        return Err(node.invalid("`kernel_shape` needs an extent for each axis"));
    }
    let windows = Windows::<3>::given(node, &kernel)?;
    let mut extents = outer.to_vec();
    for (axis, extent) in (3 - input.len()..3).zip(input) {
        let whole = extent.saturating_sub(1) * windows.strides[axis] + windows.kernel[axis];
        let cut = windows.begin[axis] + windows.end[axis];
        extents.push(whole.checked_sub(cut).ok_or_else(|| node.invalid("more is cut off than there is"))?);
    }
    Ok(extents)
}
