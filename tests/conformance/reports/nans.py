"""A NaN among what a reduction, a pool, Max or Min looks at, by type and place.

Reports: onnxruntime #10514 #21455, iree #24503, tvm #19572.
"""

import numpy as np
from suite import FLOATS, INT64, case, f32, label, node

NAN, INF = np.nan, np.inf
ROWS = np.array(
    [
        [NAN, NAN, NAN, 42, 1],
        [42, NAN, 1, 2, 3],
        [1, 2, 3, 4, NAN],
        [NAN, 1, 2, 3, 4],
        [1, 2, 3, 4, 5],
        [-INF, NAN, INF, 0, -0.0],
        [NAN] * 5,
    ],
    np.float32,
)


def cases():
    yield from reductions()
    yield from indices()
    yield from pools()
    yield from max_and_min()


def reductions():
    long = np.arange(3000, dtype=np.float32)
    long[1777] = NAN
    columns = ROWS.T.copy()
    for op, function in (("ReduceMax", np.max), ("ReduceMin", np.min)):
        for dtype in FLOATS:
            x = ROWS.astype(dtype)
            y = function(x, axis=1, keepdims=True)
            yield case(f"{op}_{label(dtype)}", [node(op, ["x"], ["y"], axes=[1])], {"x": x}, {"y": y}, opset=13)
        y = function(columns, axis=0, keepdims=True)
        yield case(f"{op}_axis0", [node(op, ["x"], ["y"], axes=[0])], {"x": columns}, {"y": y}, opset=13)
        yield case(f"{op}_3000", [node(op, ["x"], ["y"])], {"x": long}, {"y": f32(NAN)}, opset=13)


def indices():
    for op, function in (("ArgMax", np.argmax), ("ArgMin", np.argmin)):
        y = function(ROWS, axis=1)[:, None].astype(np.int64)
        yield case(op, [node(op, ["x"], ["y"], axis=1)], {"x": ROWS}, {"y": y}, opset=13)


def pools():
    x = ROWS.reshape(1, 7, 5)
    pairs = np.maximum(x[..., :-1], x[..., 1:])
    yield case("MaxPool", [node("MaxPool", ["x"], ["y"], kernel_shape=[2])], {"x": x}, {"y": pairs}, opset=12)
    whole = np.max(x, 2, keepdims=True)
    yield case("GlobalMaxPool", [node("GlobalMaxPool", ["x"], ["y"])], {"x": x}, {"y": whole}, opset=12)


def max_and_min():
    shapes = (((1,), (5,)), ((5,), (1,)), ((5,), (5,)), ((), (5,)), ((2, 5), (2, 1)))
    for op, function in (("Max", np.maximum), ("Min", np.minimum)):
        for left, right in shapes:
            a = np.resize(f32(NAN, 1, 2), left).astype(np.float32)
            b = np.resize(f32(3, NAN, -1, INF), right).astype(np.float32)
            y = {"y": function(a, b)}
            yield case(f"{op}_{left}_{right}", [node(op, ["a", "b"], ["y"])], {"a": a, "b": b}, y, opset=13)
        a, c = f32([NAN], [1], [20]), f32(10, 10, 10)
        y = {"y": function(a, c)}
        yield case(f"{op}_constant", [node(op, ["a", "c"], ["y"])], {"a": a}, y, constants={"c": c}, opset=13)
