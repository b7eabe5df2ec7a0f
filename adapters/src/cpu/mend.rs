//! Puts other operators in the place of those whose numbers tract gets wrong.

use super::{
    ops::{self, exact_root, exact_sigmoid, exact_tanh, extents, halves},
    translate::kind,
};
use tract_onnx::tract_core::{
    bin_to_super_type,
    internal::*,
    ops::{
        binary::TypedBinOp,
        cast::{Cast, cast, wire_cast},
        cnn::MaxPool,
        element_wise::ElementWiseOp,
        fft::Fft,
        logic::IfThenElse,
        math::{Pow, Rem, ShiftLeft, ShiftRight, Tanh},
        nn::{Reduce, Reducer, Sigmoid},
        scan::Scan,
    },
};

/// Operators of ONNX that are replaced by others. Until then tract must not compute them of constants.
pub(super) const REPLACED: [&str; 11] = [
    "ArgMax",
    "ArgMin",
    "BitShift",
    "GlobalMaxPool",
    "LpPool",
    "MaxPool",
    "ReduceMax",
    "ReduceMin",
    "Scatter",
    "ScatterElements",
    "ScatterND",
];

/// Mends every operator that needs it, in branches and loops too.
pub(super) fn mend(model: &mut TypedModel) -> TractResult<()> {
    // What a patch puts in comes behind, and needs none.
    for id in 0..model.nodes().len() {
        directly(model, id)?;
        shift(model.node_mut(id));
        remainder(model, id)?;
        gate(model.node_mut(id));
        replace(model, id)?;
        ops::fold(model, id);
        if let Some(scan) = model.node_mut(id).op_as_mut::<Scan>() {
            mend(&mut scan.body)?;
        }
        if let Some(branches) = model.node_mut(id).op_as_mut::<IfThenElse>() {
            mend(&mut branches.then_body)?;
            mend(&mut branches.else_body)?;
        }
        for patch in [widen, root] {
            if let Some(patch) = patch(model, model.node(id))? {
                patch.apply(model)?;
            }
        }
    }
    model.compact()
}

/// tract casts INT64 to extents by way of INT32, and FP64 to FP16 by way of FP32.
fn directly(model: &mut TypedModel, id: usize) -> TractResult<()> {
    let node = model.node(id);
    let Some(to) = node.op_as::<Cast>().map(|op| op.to) else { return Ok(()) };
    match model.outlet_fact(node.inputs[0])?.datum_type {
        DatumType::I64 if to == TDim::datum_type() => model.node_mut(id).op = extents(),
        DatumType::F64 if to == DatumType::F16 => model.node_mut(id).op = halves(),
        _ => {}
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

/// tract takes `Rem` for commutative, and swaps its operands where the left one is the smaller one.
fn remainder(model: &mut TypedModel, id: usize) -> TractResult<()> {
    let node = model.node(id);
    let divides = node.op_as::<TypedBinOp>().is_some_and(|op| op.0.is::<Rem>());
    if divides && model.outlet_fact(node.inputs[0])?.datum_type != TDim::datum_type() {
        model.node_mut(id).op = Box::new(TypedBinOp(Box::new(Remainder), None));
    }
    Ok(())
}

bin_to_super_type!(remainder_of, Remainder, is_commutative: false,
    [i8, i16, i32, i64, u8, u16, u32, u64] => |to, a, b| *to = a.wrapping_rem(*b),
    [f32, f16, f64] => |to, a, b| *to = a % b);

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

/// Pools, reductions and scatters of what is largest or smallest, from which tract drops what is no number. Of truths it
/// knows neither.
fn replace(model: &mut TypedModel, id: usize) -> TractResult<()> {
    let node = model.node(id);
    let Some(&input) = node.inputs.first() else { return Ok(()) };
    let of = model.outlet_fact(input)?.datum_type;
    let op = if let Some(reduce) = node.op_as::<Reduce>() {
        // Other operators are made of these too, and rest on how tract does it.
        match (reduce.reducer, kind(&node.name)) {
            (Reducer::Max | Reducer::Min, Some("ReduceMax" | "ReduceMin")) if of == DatumType::Bool => {
                let reducer = if reduce.reducer == Reducer::Max { Reducer::Any } else { Reducer::All };
                Some(Box::new(Reduce { reducer, ..reduce.clone() }) as Box<dyn TypedOp>)
            }
            (_, Some("ArgMax" | "ArgMin" | "GlobalMaxPool" | "ReduceMax" | "ReduceMin")) => ops::extreme(reduce, of),
            _ => None,
        }
    } else if let Some(pool) = node.op_as::<MaxPool>() {
        ops::max_pool(pool, of)
    } else {
        ops::scatter(node.op.as_ref(), of)
    };
    if let Some(op) = op {
        model.node_mut(id).op = op;
    }
    Ok(())
}

/// tract takes the root for a power of a half: they differ at -∞.
fn root(model: &TypedModel, node: &TypedNode) -> TractResult<Option<TypedModelPatch>> {
    if node.op_as::<TypedBinOp>().is_none_or(|op| !op.0.is::<Pow>()) {
        return Ok(None);
    }
    let (base, exponent) = (model.outlet_fact(node.inputs[0])?, model.outlet_fact(node.inputs[1])?);
    let exponent = exponent.uniform.as_ref().filter(|_| base.datum_type.is_float());
    let halved = exponent.map(|exponent| exponent.cast_to_scalar::<f64>()).transpose()? == Some(0.5);
    if !halved || base.shape != node.outputs[0].fact.shape {
        return Ok(None);
    }
    TypedModelPatch::replace_single_op(model, node, &node.inputs[..1], exact_root()).map(Some)
}
