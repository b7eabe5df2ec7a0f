"""Tensors without elements.

Reports: onnxruntime #4559 #7563 #681 #11024 #2217.
"""

import numpy as np
from suite import case, f32, i64, node

INF = np.inf
NEUTRAL = {
    "ReduceSum": 0,
    "ReduceProd": 1,
    "ReduceMax": -INF,
    "ReduceMin": INF,
    "ReduceL1": 0,
    "ReduceL2": 0,
    "ReduceSumSquare": 0,
    "ReduceLogSum": -INF,
    "ReduceLogSumExp": -INF,
    "ReduceMean": np.nan,
}


def cases():
    yield from reductions()
    yield from inner_reductions()
    yield from products()
    yield from joined()
    yield from elementwise()
    yield from windows()
    yield from indices()
    yield from shapes()
    yield from others()


def none(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


def ones(*shape):
    return np.ones(shape, np.float32)


def one(name, op, inputs, y, constants={}, order=None, **attributes):
    """One operator with one result; inputs are in the order given, constants last."""
    names = order or [*inputs, *constants]
    return case(name, [node(op, names, ["y"], **attributes)], inputs, {"y": y}, constants=constants)


def reductions():
    x = none(0, 4)
    for op, value in NEUTRAL.items():
        for keep, shape in ((0, (4,)), (1, (1, 4))):
            nodes, y = [node(op, ["x", "a"], ["y"], keepdims=keep)], np.full(shape, value, np.float32)
            yield case(f"{op}_keepdims_{keep}", nodes, {"x": x}, {"y": y}, opset=18, constants={"a": i64(0)})
    smallest = np.full(2, np.iinfo(np.int64).min)
    for name, op, x, y, axis in (
        ("ReduceSum_other_axis", "ReduceSum", x, none(0), 1),
        ("ReduceMax_int64", "ReduceMax", none(0, 2, dtype=np.int64), smallest, 0),
        ("ReduceMin_uint8", "ReduceMin", none(0, 2, dtype=np.uint8), np.full(2, 255, np.uint8), 0),
    ):
        nodes = [node(op, ["x", "a"], ["y"], keepdims=0)]
        yield case(name, nodes, {"x": x}, {"y": y}, opset=18, constants={"a": i64(axis)})


def inner_reductions():
    """Of 2 by 0 by 3: over the empty extent, and beside it. A mean of nothing is left open."""
    for op in ("ReduceSum", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceMean", "ReduceL2", "ReduceLogSum"):
        for name, axis, y in (
            ("inner", 1, np.full((2, 1, 3), NEUTRAL[op], np.float32)),
            ("inner_negative", -2, np.full((2, 1, 3), NEUTRAL[op], np.float32)),
            ("beside", -1, none(2, 0, 1)),
        ):
            if op != "ReduceMean" or name == "beside":
                nodes, given = [node(op, ["x", "a"], ["y"])], {"x": none(2, 0, 3)}
                yield case(f"{op}_{name}", nodes, given, {"y": y}, opset=18, constants={"a": i64(axis)})


def products():
    a, b = none(2, 0), none(0, 3)
    yield one("MatMul_over_nothing", "MatMul", {"a": a, "b": b}, none(2, 3))
    yield one("MatMul_over_nothing_batch", "MatMul", {"a": none(5, 2, 0), "b": b}, none(5, 2, 3))
    yield one("MatMul_no_batch", "MatMul", {"a": none(0, 2, 4), "b": ones(4, 3)}, none(0, 2, 3))
    yield one("Gemm_over_nothing", "Gemm", {"a": a, "b": b, "c": ones(3)}, ones(2, 3))
    yield one("Gemm_no_rows", "Gemm", {"a": none(0, 4), "b": ones(4, 3), "c": ones(3)}, none(0, 3))
    yield one("Einsum_over_nothing", "Einsum", {"a": a, "b": b}, none(2, 3), equation="ij,jk->ik")
    nodes = [node("Softmax", ["x"], ["s"], axis=-1), node("MatMul", ["s", "v"], ["y"])]
    yield case("attention_to_nothing", nodes, {"x": a, "v": b}, {"y": none(2, 3)})


def joined():
    two = f32(1, 2)
    yield one("Concat_front", "Concat", {"b": none(0), "a": two}, two, axis=0)
    yield one("Concat_back", "Concat", {"a": two, "b": none(0)}, two, axis=0)
    yield one("Concat_all", "Concat", {"a": none(0), "b": none(0)}, none(0), axis=0)


def elementwise():
    yield one("Mul_rows", "Mul", {"a": none(0, 4), "b": ones(1, 4)}, none(0, 4))
    yield one("Mul_columns", "Mul", {"a": none(3, 0), "b": ones(3, 1)}, none(3, 0))
    x = none(0, 4)
    for op in ("Relu", "Softmax", "LogSoftmax", "Sigmoid", "Erf", "Neg", "Identity"):
        yield one(op, op, {"x": x}, x)
    yield one("Transpose", "Transpose", {"x": x}, x.T)
    yield one("Not", "Not", {"x": x.astype(bool)}, x.astype(bool))
    yield one("Softmax_along_nothing", "Softmax", {"x": none(3, 0)}, none(3, 0), axis=1)
    yield one("CumSum", "CumSum", {"x": x}, x, {"a": np.array(0, np.int64)})
    yield one("LayerNormalization", "LayerNormalization", {"x": x, "s": ones(4)}, x)
    yield one("Where", "Where", {"c": none(0, 1, dtype=bool), "a": ones(1, 3), "b": ones(1, 1)}, none(0, 3))


def windows():
    x = none(0, 2, 5, 5)
    yield one("Conv", "Conv", {"x": x, "w": ones(3, 2, 3, 3)}, none(0, 3, 3, 3))
    yield one("MaxPool", "MaxPool", {"x": x}, none(0, 2, 4, 4), kernel_shape=[2, 2])
    s = {"s": f32(1, 1, 2, 2)}
    yield one("Resize", "Resize", {"x": none(0, 1, 2, 2)}, none(0, 1, 4, 4), s, order=["x", "", "s"])


def indices():
    whole, nothing = ones(3, 2), none(0, dtype=np.int64)
    yield one("NonZero_of_zeros", "NonZero", {"x": none(3, 2)}, none(2, 0, dtype=np.int64))
    yield one("NonZero_of_nothing", "NonZero", {"x": none(0, 4)}, none(2, 0, dtype=np.int64))
    yield one("Gather", "Gather", {"x": whole, "i": nothing}, none(0, 2))
    yield one("ScatterND", "ScatterND", {"x": whole, "i": nothing.reshape(0, 1), "u": none(0, 2)}, whole)
    yield one("Slice", "Slice", {"x": whole}, none(0, 2), {"s": i64(2), "e": i64(1)})
    nodes, x = [node("TopK", ["x", "k"], ["v", "i"], axis=0)], none(0, 4)
    y = {"v": x, "i": none(0, 4, dtype=np.int64)}
    yield case("TopK", nodes, {"x": x}, y, constants={"k": i64(0)})
    given = {"b": none(1, 0, 4), "s": none(1, 1, 0)}
    limits = {"m": i64(3), "i": f32(0.5), "t": f32(0.1)}
    yield one("NonMaxSuppression", "NonMaxSuppression", given, none(0, 3, dtype=np.int64), limits)
    # The limit is 0 where it is left out, which means no boxes.
    given, op = {"b": f32([[0, 0, 1, 1], [0, 10, 1, 11]]), "s": f32([[0.9, 0.8]])}, "NonMaxSuppression"
    for name, inputs, constants in (
        ("left_out", given, {}),
        ("left_out_before_another", given, {"i": f32(0.5)}),
        ("0", given, {"m": i64(0)}),
        ("0_given", {**given, "m": i64(0)}, {}),
    ):
        order = ["b", "s", *(["", "i"] if "i" in constants else ["m"] if "0" in name else [])]
        yield one(f"{op}_limit_{name}", op, inputs, none(0, 3, dtype=np.int64), constants, order)


def shapes():
    yield one("Pad", "Pad", {"x": none(0, 2)}, none(2, 3), {"p": i64(1, 0, 1, 1)})
    yield one("Expand", "Expand", {"x": ones(1, 2)}, none(0, 2), {"s": i64(0, 2)})
    yield one("Reshape", "Reshape", {"x": none(0, 6)}, none(0, 2, 3), {"s": i64(0, 2, 3)})
    yield one("Reshape_allowzero", "Reshape", {"x": none(0, 6)}, none(3, 0), {"s": i64(3, 0)}, allowzero=1)
    yield one("Reshape_rest", "Reshape", {"x": none(0, 6)}, none(0, 3), {"s": i64(-1, 3)})
    yield one("Tile", "Tile", {"x": ones(2, 2)}, none(0, 2), {"s": i64(0, 1)})
    yield one("ConstantOfShape", "ConstantOfShape", {"s": i64(0, 3)}, none(0, 3))
    ends = {"a": np.array(5), "b": np.array(5), "c": np.array(1)}
    yield one("Range", "Range", ends, none(0, dtype=np.int64))


def others():
    nodes, whole = [node("Split", ["x", "s"], ["y", "z"], axis=0)], ones(3, 2)
    yield case("Split", nodes, {"x": whole}, {"y": none(0, 2), "z": whole}, constants={"s": i64(0, 3)})
    weights = {"w": ones(1, 8, 2), "r": ones(1, 8, 2)}
    yield one("LSTM_no_batch", "LSTM", {"x": none(3, 0, 2), **weights}, none(3, 1, 0, 2), hidden_size=2)
