"""Operators of com.microsoft as ONNX Runtime's optimiser, its quantisers and its GenAI builder write them.

What is right is what ONNX Runtime gives.
"""

import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import helper
from suite import FLOAT, case, node, normal, of_model, onnxruntime, refused

RANDOM = np.random.RandomState(0)
BATCH, STEPS, WIDTH, HEADS = 2, 6, 16, 4


def cases():
    yield from activations()
    yield from normalisations()
    yield from products()
    yield from attention()
    yield from rotary()
    yield from grouped_attention()
    yield from quantised()
    yield from unknown()
    yield from lengths()


def halved(*shape):
    return normal(RANDOM, *shape) / np.float32(2)


def one(name, op, inputs, constants={}, order=None, outputs=("y",), domain="com.microsoft", **attributes):
    nodes = [node(op, order or [*inputs, *constants], outputs, domain=domain, **attributes)]
    told = onnxruntime(**{output: FLOAT for output in outputs if output})
    near = dict(opset=18, constants=constants, domains={"com.microsoft": 1}, rtol=2e-3, atol=2e-3)
    return case(name, nodes, inputs, told, **near)


def activations():
    x, bias = halved(BATCH, STEPS, WIDTH), {"b": halved(WIDTH)}
    for op in ("Gelu", "QuickGelu"):
        yield one(op, op, {"x": x})
    for op in ("FastGelu", "BiasGelu"):
        yield one(op, op, {"x": x}, bias)


def normalisations():
    x, skip = halved(BATCH, STEPS, WIDTH), halved(BATCH, STEPS, WIDTH)
    scale, shift, bias = ({key: halved(WIDTH)} for key in ("g", "s", "b"))
    both, op = {"x": x, "k": skip}, "SkipLayerNormalization"
    yield one(op, op, both, {**scale, **shift}, epsilon=1e-5)
    outputs = ("y", "", "", "sum")
    yield one(f"{op}_with_sum", op, both, {**scale, **shift, **bias}, outputs=outputs, epsilon=1e-5)
    op = "SkipSimplifiedLayerNormalization"
    yield one(op, op, both, scale, outputs=outputs, epsilon=1e-5)
    op = "SimplifiedLayerNormalization"
    yield one(op, op, {"x": x}, scale, domain="", epsilon=1e-5, axis=-1)


def products():
    x, k = halved(BATCH, STEPS, WIDTH), halved(BATCH, STEPS, WIDTH)
    yield one("FusedMatMul", "FusedMatMul", {"x": x, "k": k}, transB=1, alpha=0.25)
    for activation in ("Relu", "Sigmoid", "Tanh"):
        weights = {"w": halved(4, 3, 3, 3), "b": halved(4)}
        how = dict(activation=activation, kernel_shape=[3, 3], pads=[1] * 4)
        yield one(f"FusedConv_{activation}", "FusedConv", {"x": halved(1, 3, 8, 8)}, weights, **how)
    weights = {"w": halved(5, 4), "b": halved(4)}
    yield one("FusedGemm", "FusedGemm", {"x": halved(3, 5)}, weights, activation="Relu")


def attention():
    x = halved(BATCH, STEPS, WIDTH)
    weights, heads = {"w": halved(WIDTH, 3 * WIDTH), "b": halved(3 * WIDTH)}, dict(num_heads=HEADS)
    yield one("Attention", "Attention", {"x": x}, weights, **heads)
    masked = {"x": x, "mask": np.int32([[1] * 6, [1] * 4 + [0] * 2])}
    yield one("Attention_masked", "Attention", masked, weights, ["x", "w", "b", "mask"], **heads)
    given, op = {key: halved(BATCH, STEPS, WIDTH) for key in "qkv"}, "MultiHeadAttention"
    yield one(op, op, given, **heads)
    yield one(f"{op}_with_bias", op, given, {"b": halved(3 * WIDTH)}, **heads)
    ids = {"ids": RANDOM.randint(0, 9, (BATCH, STEPS)).astype(np.int32)}
    tables = {"we": halved(9, WIDTH), "pe": halved(STEPS, WIDTH), "g": halved(WIDTH), "be": halved(WIDTH)}
    order, op = ["ids", "", "we", "pe", "", "g", "be"], "EmbedLayerNormalization"
    nodes = [node(op, order, ["y", "m"], domain="com.microsoft")]
    how = dict(opset=18, constants=tables, domains={"com.microsoft": 1}, rtol=2e-3, atol=2e-3)
    yield case(op, nodes, ids, onnxruntime(y=FLOAT), **how)


def angles(rows, columns):
    turns = np.arange(rows * columns).reshape(rows, columns) / 3
    return {"c": np.cos(turns).astype(np.float32), "s": np.sin(turns).astype(np.float32)}


def rotary():
    """Positions of each token, and where the first one stands."""
    x, each = halved(BATCH, HEADS, STEPS, 8), np.tile(np.arange(STEPS), (BATCH, 1))
    for name, places in (("each", each), ("offset", np.array([3]))):
        yield one(f"RotaryEmbedding_{name}", "RotaryEmbedding", {"x": x, "p": places}, angles(10, 4))


def grouped_attention():
    groups, op, outputs = 2, "GroupQueryAttention", ("y", "ok", "ov")
    for name, steps, size, past, more in (("plain", 3, 8, 5, {}), ("rotary", 1, 16, 5, angles(10, 8))):
        given = {
            "q": halved(1, steps, HEADS * size),
            "k": halved(1, steps, groups * size),
            "v": halved(1, steps, groups * size),
            "pk": halved(1, groups, past, size),
            "pv": halved(1, groups, past, size),
        }
        lengths = {"sl": np.int32([past + steps - 1]), "tl": np.int32(past + steps)}
        how = dict(num_heads=HEADS, kv_num_heads=groups, **({"do_rotary": 1} if more else {}))
        yield one(f"{op}_{name}", op, given, {**lengths, **more}, outputs=outputs, **how)


def quantised():
    x = halved(BATCH, STEPS, WIDTH)
    weights = {"w": RANDOM.randint(-63, 64, (WIDTH, 5)).astype(np.int8), "s": np.float32(0.01)}
    yield one("DynamicQuantizeMatMul", "DynamicQuantizeMatMul", {"x": x}, weights)
    yield dynamic_lstm()
    yield from quantised_arithmetic()


def dynamic_lstm():
    """What `quantize_dynamic` makes of an LSTM."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    nodes = [node("LSTM", ["x", "w", "r", "b"], ["y"], hidden_size=8)]
    weights = {key: halved(1, *shape) for key, shape in {"w": (32, 4), "r": (32, 8), "b": (64,)}.items()}
    x = halved(5, 1, 4)
    made = case("", nodes, {"x": x}, refused(y=FLOAT), opset=14, constants=weights)
    # The quantiser wants shapes.
    made.model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", FLOAT, [5, 1, 1, 8]))
    with tempfile.TemporaryDirectory() as directory:
        before, after = Path(directory, "before.onnx"), Path(directory, "after.onnx")
        onnx.save(made.model, before)
        quantize_dynamic(before, after, weight_type=QuantType.QInt8, reduce_range=True)
        return of_model("DynamicQuantizeLSTM", onnx.load(after), {"x": x}, onnxruntime(y=FLOAT), rtol=1e-3, atol=1e-3)


def quantised_arithmetic():
    """Operators of the QOperator form."""
    a, b = (RANDOM.randint(0, 256, (2, 8)).astype(np.uint8) for _ in range(2))
    ends = {
        **{"as": np.float32(0.02), "az": np.uint8(120)},
        **{"bs": np.float32(0.03), "bz": np.uint8(100)},
        **{"ys": np.float32(0.05), "yz": np.uint8(128)},
    }
    near = dict(opset=18, domains={"com.microsoft": 1}, atol=1)
    for op in ("QLinearAdd", "QLinearMul"):
        nodes = [node(op, ["a", "as", "az", "b", "bs", "bz", "ys", "yz"], ["y"], domain="com.microsoft")]
        yield case(op, nodes, {"a": a, "b": b}, onnxruntime(y=2), constants=ends, **near)
    some = {key: ends[key] for key in ("as", "az", "ys", "yz")}
    for op in ("QLinearSigmoid", "QLinearLeakyRelu"):
        nodes = [node(op, ["a", "as", "az", "ys", "yz"], ["y"], domain="com.microsoft")]
        yield case(op, nodes, {"a": a}, onnxruntime(y=2), constants=some, **near)
    image = {"a": RANDOM.randint(0, 256, (1, 3, 6, 6)).astype(np.uint8)}
    nodes = [node("QLinearGlobalAveragePool", ["a", "as", "az", "ys", "yz"], ["y"], domain="com.microsoft")]
    yield case("QLinearGlobalAveragePool", nodes, image, onnxruntime(y=2), constants=some, **near)
    weights = {"b": RANDOM.randint(-63, 64, (8, 3)).astype(np.int8), "bs": np.float32(0.01), "bz": np.int8(0)}
    told = {**some, **weights, "c": np.int32([100, -200, 300])}
    nodes = [node("QGemm", ["a", "as", "az", "b", "bs", "bz", "c", "ys", "yz"], ["y"], domain="com.microsoft")]
    yield case("QGemm", nodes, {"a": a}, onnxruntime(y=2), constants=told, **near)


def unknown():
    """Operators that this domain does not have, though ONNX does."""
    for op, inputs in (("Relu", {"x": halved(2, 3)}), ("MatMul", {"x": halved(2, 3), "w": halved(3, 2)})):
        nodes, domains = [node(op, list(inputs), ["y"], domain="com.microsoft")], {"com.microsoft": 1}
        yield case(f"unknown_{op}", nodes, inputs, refused(y=FLOAT), domains=domains)


def lengths():
    """How long each sequence is, and all with what came before, as constants and given at run."""
    q, k, v = (halved(BATCH, steps, WIDTH) for steps in (3, 5, 5))
    long, op = {"m": np.int32([4, 2])}, "MultiHeadAttention"
    how = dict(order=["q", "k", "v", "", "m"], num_heads=HEADS)
    yield one(f"{op}_lengths", op, {"q": q, "k": k, "v": v}, long, **how)
    yield one(f"{op}_lengths_given", op, {"q": q, "k": k, "v": v, **long}, **how)
    x, weights, op = halved(BATCH, 5, WIDTH), {"w": halved(WIDTH, 3 * WIDTH), "b": halved(3 * WIDTH)}, "Attention"
    how = dict(order=["x", "w", "b", "m"], num_heads=HEADS)
    yield one(f"{op}_lengths", op, {"x": x}, {**weights, **long}, **how)
    yield one(f"{op}_lengths_given", op, {"x": x, **long}, weights, **how)
    op, groups, past, size = "GroupQueryAttention", 2, 5, 8
    how = dict(order=["q", "k", "v", "pk", "pv", "sl", "tl"], outputs=("y", "ok", "ov"))
    how |= dict(num_heads=HEADS, kv_num_heads=groups)
    for steps in (1, 3):
        given = {"q": halved(1, steps, HEADS * size), "k": halved(1, steps, groups * size)}
        given |= {"v": halved(1, steps, groups * size)}
        given |= {key: halved(1, groups, past, size) for key in ("pk", "pv")}
        last, all_of_them = {"sl": np.int32([past + steps - 1])}, {"tl": np.int32(past + steps)}
        yield one(f"{op}_{steps}_total_given", op, {**given, **all_of_them}, last, **how)
        yield one(f"{op}_{steps}_lengths_given", op, {**given, **last, **all_of_them}, **how)
