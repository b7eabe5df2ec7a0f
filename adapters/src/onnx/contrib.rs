//! Operators that ONNX Runtime adds to ONNX, made of ONNX's own. Source: ContribOperators.md of ONNX Runtime and, where
//! that is silent, its kernels for the CPU.

mod activations;
mod attention;
mod blocks;
mod grouped;
mod mask;
mod norms;
mod products;
mod quantised;
mod recurrent;
mod rotary;

use super::plain::Row;
use burst_host::nouns::Op;

/// Operators of `com.microsoft`.
const OPS: &[(&str, Row)] = &[
    ("Attention", attention::packed),
    ("BiasAdd", activations::bias_add),
    ("BiasGelu", activations::bias_gelu),
    ("BiasSplitGelu", activations::bias_split_gelu),
    ("DequantizeLinear", quantised::dequantize),
    ("DynamicQuantizeLSTM", recurrent::lstm),
    ("DynamicQuantizeMatMul", products::dynamic),
    ("EmbedLayerNormalization", norms::embed),
    ("FastGelu", activations::fast_gelu),
    ("FusedConv", products::conv),
    ("FusedGemm", products::gemm),
    ("FusedMatMul", products::matmul),
    ("GatherBlockQuantized", blocks::gather),
    ("GatherND", activations::standard),
    ("Gelu", activations::gelu),
    ("GroupNorm", norms::group),
    ("GroupQueryAttention", grouped::attention),
    ("MatMulIntegerToFloat", products::to_float),
    ("MatMulNBits", blocks::matmul),
    ("MultiHeadAttention", attention::multi_head),
    ("QGemm", quantised::gemm),
    ("QLinearAdd", quantised::add),
    ("QLinearAveragePool", quantised::average_pool),
    ("QLinearConcat", quantised::concat),
    ("QLinearConv", quantised::conv),
    ("QLinearGlobalAveragePool", quantised::global_average_pool),
    ("QLinearLeakyRelu", quantised::leaky_relu),
    ("QLinearMul", quantised::multiply),
    ("QLinearReduceMean", quantised::reduce_mean),
    ("QLinearSigmoid", quantised::sigmoid),
    ("QLinearSoftmax", quantised::softmax),
    ("QLinearWhere", quantised::choose),
    ("QuantizeLinear", quantised::quantize),
    ("QuickGelu", activations::quick_gelu),
    ("Range", activations::standard),
    ("RotaryEmbedding", rotary::embedding),
    ("SimplifiedLayerNormalization", norms::simplified),
    ("SkipLayerNormalization", norms::skip),
    ("SkipSimplifiedLayerNormalization", norms::skip_simplified),
    ("TransposeMatMul", products::matmul),
    ("Trilu", activations::standard),
];

/// What writes an operator of ONNX Runtime's in others. One it has in ONNX's own domain.
pub(super) fn row(op: &Op) -> Option<Row> {
    if op.domain.is_empty() && op.kind != "SimplifiedLayerNormalization" {
        return None;
    }
    let row = OPS.binary_search_by_key(&op.kind.as_str(), |(kind, _)| kind).ok()?;
    Some(OPS[row].1)
}

#[cfg(test)]
mod tests {
    use super::OPS;

    #[test]
    fn rows_are_sorted() {
        assert!(OPS.is_sorted_by_key(|(kind, _)| kind));
    }
}
