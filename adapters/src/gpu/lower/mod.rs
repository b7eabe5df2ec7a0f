//! How each operator becomes dispatches: a row here, a function in one of the files.

mod attention;
mod body;
mod cache;
mod choose;
mod compact;
mod control;
mod convolve;
mod cut;
mod deep;
mod dropout;
mod einsum;
pub mod element;
mod exact;
mod flex;
mod fold;
mod gate;
mod gather;
mod grams;
mod halves;
mod linear_attention;
mod local;
mod locate;
mod loss;
mod matrix;
mod movement;
mod normalize;
mod order;
mod packed;
mod pixels;
pub mod pointwise;
mod pool;
mod quantize;
mod random;
mod range;
mod rank;
mod recurrent;
mod reduce;
mod resize;
mod reverse;
mod rotary;
pub mod rounds;
mod runs;
mod sample;
mod scatter;
mod shuffle;
mod signal;
mod slices;
mod sparse;
mod suppress;
mod tall;
mod transposed;
mod unique;
mod unpool;
mod volume;
mod windows;
mod winograd;

pub use attention::written_out as written_out_attention;
pub use gather::index_words;

use super::{
    planner::{Halt, Node, Planner, Value},
    task::Task,
};
use burst_host::nouns::{Fault, Op};

/// Lowers one op: what its outputs are.
type Lower = fn(&mut Planner, &Node<'_>) -> Result<Vec<Value>, Halt>;

/// Operators of ONNX's own domain, besides the pointwise ones.
const OPS: &[(&str, Lower)] = &[
    ("AffineGrid", sample::affine_grid),
    ("ArgMax", choose::arg_max),
    ("ArgMin", choose::arg_min),
    ("Attention", attention::attention),
    ("AveragePool", pool::average),
    ("BatchNormalization", normalize::batch),
    ("Bernoulli", random::bernoulli),
    ("BitCast", element::bit_cast),
    ("BlackmanWindow", signal::blackman),
    ("Cast", element::cast),
    ("CastLike", element::cast_like),
    ("CausalConvWithState", cache::convolve),
    ("CenterCropPad", cut::centred),
    ("Clip", pointwise::clip),
    ("Col2Im", transposed::columns_to_image),
    ("Compress", compact::compress),
    ("Concat", movement::concat),
    ("ConstantOfShape", control::constant_of_shape),
    ("Conv", convolve::conv),
    ("ConvInteger", exact::conv_integer),
    ("ConvTranspose", transposed::conv),
    ("CumProd", order::cumulative_product),
    ("CumSum", order::cumulative_sum),
    ("DFT", signal::fourier),
    ("DeformConv", sample::deformed),
    ("DepthToSpace", pixels::depth_to_space),
    ("DequantizeLinear", quantize::dequantize),
    ("Det", sample::determinant),
    ("Dropout", dropout::dropout),
    ("DynamicQuantizeLinear", quantize::dynamic),
    ("Einsum", einsum::einsum),
    ("Expand", movement::expand),
    ("EyeLike", sparse::eye_like),
    ("Flatten", movement::flatten),
    ("GRU", recurrent::gru),
    ("Gather", gather::gather),
    ("GatherElements", locate::gather_elements),
    ("GatherND", locate::gather_nd),
    ("Gemm", matrix::gemm),
    ("GlobalAveragePool", reduce::global_average),
    ("GlobalLpPool", pool::global_lp),
    ("GlobalMaxPool", reduce::global_max),
    ("GridSample", sample::grid_sample),
    ("GroupNormalization", normalize::group),
    ("HammingWindow", signal::hamming),
    ("HannWindow", signal::hann),
    ("Hardmax", reduce::hardmax),
    ("Identity", movement::identity),
    ("InstanceNormalization", normalize::instance),
    ("LRN", local::response),
    ("LSTM", recurrent::lstm),
    ("LayerNormalization", normalize::layer),
    ("LinearAttention", linear_attention::linear_attention),
    ("LogSoftmax", reduce::log_softmax),
    ("LpNormalization", local::norm),
    ("LpPool", pool::lp),
    ("MatMul", matrix::matmul),
    ("MatMulInteger", exact::matmul_integer),
    ("MaxPool", pool::max),
    ("MaxUnpool", unpool::unpool),
    ("MeanVarianceNormalization", local::mean_variance),
    ("MelWeightMatrix", signal::mel),
    ("Multinomial", random::multinomial),
    ("NegativeLogLikelihoodLoss", loss::likelihood),
    ("NonMaxSuppression", suppress::non_max),
    ("NonZero", compact::non_zero),
    ("OneHot", sparse::one_hot),
    ("OptionalGetElement", control::get_element),
    ("OptionalHasElement", control::has_element),
    ("Pad", movement::pad),
    ("QLinearConv", exact::conv_quantised),
    ("QLinearMatMul", exact::matmul_quantised),
    ("QuantizeLinear", quantize::quantize),
    ("RMSNormalization", normalize::rms),
    ("RNN", recurrent::rnn),
    ("RandomNormal", random::normal),
    ("RandomNormalLike", random::normal),
    ("RandomUniform", random::uniform),
    ("RandomUniformLike", random::uniform),
    ("Range", range::range),
    ("ReduceL1", reduce::reduce),
    ("ReduceL2", reduce::reduce),
    ("ReduceLogSum", reduce::reduce),
    ("ReduceLogSumExp", reduce::reduce),
    ("ReduceMax", reduce::reduce),
    ("ReduceMean", reduce::reduce),
    ("ReduceMin", reduce::reduce),
    ("ReduceProd", reduce::reduce),
    ("ReduceSum", reduce::reduce),
    ("ReduceSumSquare", reduce::reduce),
    ("Reshape", movement::reshape),
    ("Resize", resize::resize),
    ("ReverseSequence", reverse::sequence),
    ("RoiAlign", sample::roi_align),
    ("RotaryEmbedding", rotary::rotary),
    ("STFT", signal::short_time),
    ("Scatter", locate::scatter_elements),
    ("ScatterElements", locate::scatter_elements),
    ("ScatterND", locate::scatter_nd),
    ("Slice", movement::slice),
    ("Softmax", reduce::softmax),
    ("SoftmaxCrossEntropyLoss", loss::cross_entropy),
    ("SpaceToDepth", pixels::space_to_depth),
    ("Split", movement::split),
    ("Squeeze", movement::squeeze),
    ("SwiGLU", gate::swiglu),
    ("TensorScatter", cache::scatter),
    ("TfIdfVectorizer", grams::vectorize),
    ("Tile", movement::tile),
    ("TopK", rank::top_k),
    ("Transpose", movement::transpose),
    ("Trilu", order::triangle),
    ("Unique", unique::unique),
    ("Unsqueeze", movement::unsqueeze),
    ("Upsample", resize::resize),
    ("Where", choose::select),
];

/// Operators of ONNX Runtime's domain, `com.microsoft`.
const CONTRIBUTED: &[(&str, Lower)] = &[("MatMulNBits", packed::matmul)];

/// What is done in the place of one op.
type Spell = fn(&mut Planner, &Node<'_>) -> Result<Vec<Task>, Halt>;

/// Operators that other operators stand in for, by domain.
const SPELLED: &[(&str, &str, Spell)] = &[
    ("", "If", control::branch),
    ("", "Loop", rounds::repeat),
    ("", "Scan", rounds::scan),
    ("ai.onnx.preview", "FlexAttention", flex::flex),
];

/// The function for an operator that others stand in for.
pub fn spelled(op: &Op) -> Option<Spell> {
    let domain = if op.domain == "ai.onnx" { "" } else { &op.domain };
    SPELLED.iter().find(|(home, kind, _)| *home == domain && *kind == op.kind).map(|(.., spell)| *spell)
}

/// The function for an operator; `Unsupported` with its name where there is none.
pub fn find(domain: &str, kind: &str) -> Result<Lower, Fault> {
    let row = |table: &[(&str, Lower)]| {
        let row = table.binary_search_by_key(&kind, |(name, _)| name).ok();
        row.map(|row| table[row].1)
    };
    let known = match domain {
        "" | "ai.onnx" => row(OPS).or_else(|| pointwise::find(kind)),
        "com.microsoft" => row(CONTRIBUTED),
        _ => None,
    };
    known.ok_or_else(|| {
        let dot = if domain.is_empty() { "" } else { "." };
        Fault::Unsupported(format!("operator `{domain}{dot}{kind}` on the GPU"))
    })
}

/// Every operator that has a function, with its domain.
#[cfg(test)]
pub fn names() -> impl Iterator<Item = (&'static str, &'static str)> {
    let own = OPS.iter().map(|(name, _)| *name).chain(pointwise::names()).map(|name| ("", name));
    own.chain(CONTRIBUTED.iter().map(|(name, _)| ("com.microsoft", *name)))
}

/// `Unsupported` with the operator's name, unless it is known here.
pub fn known(op: &Op) -> Result<(), Fault> {
    let ours = matches!(op.domain.as_str(), "" | "ai.onnx");
    let folded = ours && matches!(op.kind.as_str(), "Constant" | "Shape" | "Size");
    if folded || spelled(op).is_some() { Ok(()) } else { find(&op.domain, &op.kind).map(drop) }
}

/// Lowers an op whose inputs are not all known.
pub fn lower(planner: &mut Planner, node: &Node<'_>) -> Result<Vec<Value>, Halt> {
    match slices::split(planner, node)? {
        Some(outputs) => Ok(outputs),
        None => find(&node.op.domain, &node.op.kind)?(planner, node),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_are_sorted() {
        assert!(super::OPS.is_sorted_by_key(|(name, _)| name));
        assert!(super::CONTRIBUTED.is_sorted_by_key(|(name, _)| name));
    }
}
