//! Puts other operators in the place of those whose numbers tract gets wrong.

use super::{
    ops::{exact_sigmoid, exact_tanh, extents},
    translate::kind,
};
use tract_onnx::tract_core::{
    bin_to_super_type,
    internal::*,
    ops::{
        binary::TypedBinOp,
        cast::{Cast, cast, wire_cast},
        element_wise::ElementWiseOp,
        fft::Fft,
        logic::{IfThenElse, Iff, comp_ne},
        math::{ShiftLeft, ShiftRight, Tanh},
        nn::{Reduce, Reducer, Sigmoid},
        scan::Scan,
    },
};

/// Mends every operator that needs it, in branches and loops too.
pub(super) fn mend(model: &mut TypedModel) -> TractResult<()> {
    // What a patch puts in comes behind, and needs none.
    for id in 0..model.nodes().len() {
        long(model, id)?;
        shift(model.node_mut(id));
        gate(model.node_mut(id));
        if let Some(scan) = model.node_mut(id).op_as_mut::<Scan>() {
            mend(&mut scan.body)?;
        }
        if let Some(branches) = model.node_mut(id).op_as_mut::<IfThenElse>() {
            mend(&mut branches.then_body)?;
            mend(&mut branches.else_body)?;
        }
        for patch in [widen, extreme] {
            if let Some(patch) = patch(model, model.node(id))? {
                patch.apply(model)?;
            }
        }
    }
    model.compact()
}

/// tract casts INT64 to extents by way of INT32.
fn long(model: &mut TypedModel, id: usize) -> TractResult<()> {
    let node = model.node(id);
    let casts = node.op_as::<Cast>().is_some_and(|op| op.to == TDim::datum_type());
    if casts && model.outlet_fact(node.inputs[0])?.datum_type == DatumType::I64 {
        model.node_mut(id).op = extents();
    }
    Ok(())
}

/// The processor shifts by the amount modulo the width.
fn shift(node: &mut TypedNode) {
    let Some(TypedBinOp(op, _)) = node.op_as::<TypedBinOp>() else { return };
    if op.is::<ShiftLeft>() {
        node.op = Box::new(TypedBinOp(Box::new(Left), None));
    } else if op.is::<ShiftRight>() {
        node.op = Box::new(TypedBinOp(Box::new(Right), None));
    }
}

bin_to_super_type!(left, Left, is_commutative: false,
    [i8, i16, i32, i64, u8, u16, u32, u64] => |to, &from, &by| *to = from.checked_shl(amount(by)).unwrap_or(0));

bin_to_super_type!(right, Right, is_commutative: false,
    // Nothing of the number is left but its sign.
    [i8, i16, i32, i64] => |to, &from, &by| {
        *to = from.checked_shr(amount(by)).unwrap_or(if from < 0 { -1 } else { 0 });
    },
    [u8, u16, u32, u64] => |to, &from, &by| *to = from.checked_shr(amount(by)).unwrap_or(0));

/// Small states are differences of gates, of which tract's approximations leave too few digits.
fn gate(node: &mut TypedNode) {
    let recurrent = matches!(kind(&node.name), Some("GRU" | "LSTM" | "RNN"));
    let single = node.outputs.iter().all(|output| output.fact.datum_type == DatumType::F32);
    let Some(ElementWiseOp(op, _)) = node.op_as::<ElementWiseOp>().filter(|_| recurrent && single) else { return };
    if op.is::<Sigmoid>() {
        node.op = Box::new(exact_sigmoid());
    } else if op.is::<Tanh>() {
        node.op = Box::new(exact_tanh());
    }
}

/// Less than nothing is more than everything.
fn amount(by: impl TryInto<u32>) -> u32 {
    by.try_into().unwrap_or(u32::MAX)
}

/// The sums of a Fourier transform lose what is small beside what is large; backwards they are divided by their number.
fn widen(model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
    let Some(&input) = node.inputs.first() else { return Ok(None) };
    let narrow = model.outlet_fact(input)?.datum_type;
    if narrow != DatumType::F32 || node.op_as::<Fft>().is_none_or(|fft| fft.inverse) {
        return Ok(None);
    }
    let mut patch = TypedModelPatch::default();
    let inputs = patch.taps(model, &node.inputs)?;
    let inputs = wire_cast(format!("{}.wide", node.name), &mut patch, &inputs, DatumType::F64)?;
    let output = patch.wire_node(format!("{}.wide", node.name), node.op.clone(), &inputs)?;
    let output = patch.wire_node(format!("{}.narrow", node.name), cast(narrow), &output)?;
    patch.shunt_outside(model, node.id.into(), output[0])?;
    Ok(Some(patch))
}

/// The largest of nothing but -∞ is -∞, where tract says the lowest finite number; the smallest likewise. Of truths it
/// knows neither.
fn extreme(model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
    let Some(reduce) = node.op_as::<Reduce>() else { return Ok(None) };
    // Other operators are made of these too, and rest on how tract does it.
    let (infinity, of_truths) = match (reduce.reducer, kind(&node.name)) {
        (Reducer::Max, Some("ReduceMax")) => (f64::NEG_INFINITY, Reducer::Any),
        (Reducer::Min, Some("ReduceMin")) => (f64::INFINITY, Reducer::All),
        _ => return Ok(None),
    };
    let fact = model.outlet_fact(node.inputs[0])?;
    if fact.datum_type == DatumType::Bool {
        let op = Reduce { reducer: of_truths, ..reduce.clone() };
        return TypedModelPatch::replace_single_op(model, node, &node.inputs, op).map(Some);
    }
    if !fact.datum_type.is_float() {
        return Ok(None);
    }
    let infinity = tensor0(infinity).cast_to_dt(fact.datum_type)?.into_owned().broadcast_into_rank(fact.rank())?;
    let any = Reduce { reducer: Reducer::Any, ..reduce.clone() };
    let name = |part: &str| format!("{}.{part}", node.name);
    let mut patch = TypedModelPatch::default();
    let input = patch.tap_model(model, node.inputs[0])?;
    let infinity = patch.add_const(name("infinity"), infinity)?;
    let others = patch.wire_node(name("others"), TypedBinOp(comp_ne(), None), &[input, infinity])?;
    let some = patch.wire_node(name("some"), any, &others)?[0];
    let finite = patch.wire_node(name("finite"), reduce.clone(), &[input])?[0];
    let output = patch.wire_node(name("extreme"), Iff, &[some, finite, infinity])?;
    patch.shunt_outside(model, node.id.into(), output[0])?;
    Ok(Some(patch))
}
