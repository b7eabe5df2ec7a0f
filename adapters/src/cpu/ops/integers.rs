//! Operators of integers and truths that tract lacks or gets by way of others that it lacks.

use super::{Built, around::around};
use tract_onnx::{
    model::ParsingContext,
    pb::NodeProto,
    tract_hir::{
        internal::*,
        tract_core::{
            bin_to_super_type,
            ops::{
                binary::TypedBinOp,
                cast::wire_cast,
                change_axes::wire_with_rank_broadcast,
                logic::{Xor, not},
            },
        },
    },
};

bin_to_super_type!(product, Product,
    [i8, i16, i32, i64, u8, u16, u32, u64] => |to, a, b| *to = a.wrapping_mul(*b));

bin_to_super_type!(power, Power,
is_commutative: false,
[i32, i64] => |to, &base, &exponent| *to = match u32::try_from(exponent) {
    Ok(exponent) => base.wrapping_pow(exponent),
    // As a double, without its fraction: 1 / 0 is the largest of all, which no integer is.
    Err(_) if exponent > 0 => (base as f64).powf(exponent as f64) as _,
    Err(_) if base == 0 => if base.count_zeros() == 32 { i32::MIN as _ } else { i64::MIN as _ },
    Err(_) if base == 1 => 1,
    Err(_) if base == -1 => if exponent % 2 == 0 { 1 } else { -1 },
    Err(_) => 0,
});

/// tract makes squares of `x · x`, which it has of floats only.
pub(super) fn mul(context: &ParsingContext, node: &NodeProto) -> Built {
    around(context, node, |inner, prefix, model, inputs| {
        let types = types(model, inputs)?;
        let extents = inputs[0] == inputs[1] && types[0] == TDim::datum_type();
        if !extents && (types.contains(&TDim::datum_type()) || !types.iter().all(DatumType::is_integer)) {
            return inner.wire(prefix, model, inputs);
        }
        let of = if extents { DatumType::I64 } else { DatumType::super_type_for(&types).context("no common type")? };
        let wires = wire_cast(prefix, model, inputs, of)?;
        let wire = wire_with_rank_broadcast(prefix, model, product(), &wires)?;
        if extents { model.wire_node(format!("{prefix}.extents"), super::extents(), &wire) } else { Ok(wire) }
    })
}

pub(super) fn pow(context: &ParsingContext, node: &NodeProto) -> Built {
    around(context, node, |inner, prefix, model, inputs| {
        let types = types(model, inputs)?;
        let whole = |of: &DatumType| of.is_integer() || *of == TDim::datum_type();
        if !types.iter().all(whole) {
            return inner.wire(prefix, model, inputs);
        }
        let of = if types[0] == DatumType::I32 { DatumType::I32 } else { DatumType::I64 };
        let mut wires = wire_cast(prefix, model, inputs, of)?;
        if of == DatumType::I32 && types[1] != DatumType::I32 {
            wires = wire_cast(format!("{prefix}.wide"), model, inputs, DatumType::I64)?;
        }
        let wire = wire_with_rank_broadcast(format!("{prefix}.power"), model, power(), &wires)?;
        wire_cast(prefix, model, &wire, types[0])
    })
}

/// Truths are equal where not one of them alone holds.
pub(super) fn equal(context: &ParsingContext, node: &NodeProto) -> Built {
    around(context, node, |inner, prefix, model, inputs| {
        if types(model, inputs)? != [DatumType::Bool, DatumType::Bool] {
            return inner.wire(prefix, model, inputs);
        }
        let op = TypedBinOp(Box::new(Xor), None);
        let unlike = wire_with_rank_broadcast(format!("{prefix}.unlike"), model, op, inputs)?;
        model.wire_node(prefix, not(), &unlike)
    })
}

/// Extents are summed up as the integers that they are.
pub(super) fn cum_sum(context: &ParsingContext, node: &NodeProto) -> Built {
    around(context, node, |inner, prefix, model, inputs| {
        if types(model, inputs)?[0] != TDim::datum_type() {
            return inner.wire(prefix, model, inputs);
        }
        let long = wire_cast(format!("{prefix}.long"), model, &inputs[..1], DatumType::I64)?;
        let sums = inner.wire(prefix, model, &[long[0], inputs[1]])?;
        model.wire_node(format!("{prefix}.extents"), super::extents(), &sums)
    })
}

fn types(model: &TypedModel, inputs: &[OutletId]) -> TractResult<Vec<DatumType>> {
    inputs.iter().map(|input| Ok(model.outlet_fact(*input)?.datum_type)).collect()
}
