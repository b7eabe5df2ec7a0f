//! ONNX operators whose numbers, types or limits in tract are wrong, built here from their definitions in the standard.

mod around;
mod branches;
mod cast;
mod clamp;
mod compress;
mod curves;
mod deconvolve;
mod extremes;
mod fold;
mod indices;
mod integers;
mod kernel;
mod layer;
mod loops;
mod pools;
mod products;
mod quantize;
mod regions;
mod resize;
mod reversal;
mod runs;
mod sample;
mod scatter;
mod spectrum;
mod standardize;
mod topk;
mod unfolded;

pub(super) use cast::extents;
pub(super) use curves::{exact_root, exact_sigmoid, exact_tanh};
pub(super) use extremes::extreme;
pub(super) use pools::max_pool;
pub(super) use scatter::scatter;
use std::sync::LazyLock;
use tract_onnx::{
    model::{Onnx, OnnxOpRegister, ParsingContext},
    pb::NodeProto,
    tract_hir::internal::*,
};
pub(super) use unfolded::fold;

/// What tract makes of a node.
pub(super) type Built = TractResult<(Box<dyn InferenceOp>, Vec<String>)>;

pub(super) type Builder = fn(&ParsingContext, &NodeProto) -> Built;

/// What stands before an operator that tract must not compute of constants.
pub(super) const UNFOLDED: &str = "Unfolded";

/// What keeps tract's optimiser from fusing an operator with the one before it, or moving it before that one.
pub(super) const APART: &str = "Apart";

/// Builders by operator.
const OPS: &[(&str, Builder)] = &[
    (APART, unfolded::apart),
    ("Acosh", curves::acosh),
    ("Asinh", curves::asinh),
    ("Cast", cast::cast),
    ("Celu", curves::celu),
    ("Clip", clamp::clip),
    ("Compress", compress::compress),
    ("ConvTranspose", deconvolve::conv_transpose),
    ("CumSum", integers::cum_sum),
    ("DequantizeLinear", quantize::dequantize),
    ("Equal", integers::equal),
    ("Erf", curves::erf),
    ("GatherND", indices::gather_nd),
    ("GlobalAveragePool", fold::global_average_pool),
    ("GlobalLpPool", fold::global_lp_pool),
    ("GridSample", sample::grid_sample),
    ("HardSigmoid", curves::hard_sigmoid),
    ("If", branches::branch),
    ("LayerNormalization", layer::layer_norm),
    ("LogSoftmax", standardize::log_softmax),
    ("Loop", loops::repeat),
    ("LpPool", pools::lp_pool),
    ("MatMul", products::mat_mul),
    ("Max", clamp::max),
    ("MeanVarianceNormalization", standardize::mean_variance),
    ("Min", clamp::min),
    ("Mish", curves::mish),
    ("Mul", integers::mul),
    ("OneHot", indices::one_hot),
    ("Pad", indices::pad),
    ("Pow", integers::pow),
    ("QuantizeLinear", quantize::quantize),
    ("ReduceL1", fold::reduce),
    ("ReduceL2", fold::reduce),
    ("ReduceLogSum", fold::reduce),
    ("ReduceLogSumExp", fold::reduce),
    ("ReduceMean", fold::reduce),
    ("ReduceSum", fold::reduce),
    ("ReduceSumSquare", fold::reduce),
    ("Relu", clamp::relu),
    ("Resize", resize::resize),
    ("ReverseSequence", reversal::reverse_sequence),
    ("RoiAlign", regions::roi_align),
    ("STFT", spectrum::stft),
    ("ScatterND", indices::scatter_nd),
    ("Sigmoid", curves::sigmoid),
    ("Softplus", curves::softplus),
    ("Squeeze", indices::squeeze),
    ("Tanh", curves::tanh),
    ("TopK", topk::topk),
    (UNFOLDED, unfolded::unfolded),
];

/// What tract builds by itself.
static STANDARD: LazyLock<OnnxOpRegister> = LazyLock::new(|| tract_onnx::onnx().op_register);

/// tract's reader of ONNX, with these operators in the place of its own.
pub(super) fn framework() -> Onnx {
    let mut onnx = Onnx { op_register: STANDARD.clone(), ..Onnx::default() };
    for (kind, builder) in OPS.iter().chain(super::ml::OPS) {
        onnx.op_register.insert(kind, *builder);
    }
    onnx
}

/// What tract itself makes of a node.
fn standard(context: &ParsingContext, node: &NodeProto) -> Built {
    match STANDARD.0.get(&node.op_type) {
        Some(builder) => builder(context, node),
        None => bail!("no operator {}", node.op_type),
    }
}

fn built(op: impl Expansion) -> Built {
    Ok((expand(op), Vec::new()))
}

/// One input, one output of its type and shape.
fn like_input<'r, 'p: 'r>(
    s: &mut Solver<'r>,
    inputs: &'p [TensorProxy],
    outputs: &'p [TensorProxy],
) -> InferenceResult {
    check_output_arity(outputs, 1)?;
    s.equals(&outputs[0].datum_type, &inputs[0].datum_type)?;
    s.equals(&outputs[0].shape, &inputs[0].shape)
}

/// An axis counted from either end.
fn axis_of(axis: i64, rank: usize) -> TractResult<usize> {
    let found = if axis < 0 { axis + rank as i64 } else { axis };
    ensure!((0..rank as i64).contains(&found), "axis {axis} of {rank}");
    Ok(found as usize)
}
