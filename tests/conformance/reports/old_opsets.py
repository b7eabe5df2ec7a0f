"""Operators as they were before they changed: broadcast and axis below opset 7, attributes that became inputs.

Reports: NNEF-Tools #58, pytorch #9874, onnx-tensorrt #24.
"""

import numpy as np
from suite import case, f32, i64, label, node, normal

RANDOM = np.random.RandomState(0)
X = normal(RANDOM, 2, 3, 4, 5)
C = normal(RANDOM, 3)
ARITHMETIC = {"Add": np.add, "Mul": np.multiply, "Sub": np.subtract, "Div": np.divide}


def cases():
    yield from broadcasts()
    yield from square_broadcasts()
    yield from normalisations()
    yield from dropouts()
    yield from clips()
    yield from shapes()
    yield from others()


def one(name, op, opset, y, inputs=None, constants={}, order=None, rtol=1e-5, **attributes):
    inputs = {"x": X} if inputs is None else inputs
    nodes = [node(op, order or [*inputs, *constants], ["y"], **attributes)]
    ir = 3 if opset < 9 and not constants else 8
    return case(name, nodes, inputs, {"y": y}, opset=opset, ir=ir, constants=constants, rtol=rtol)


def channels(values):
    return values.reshape(1, 3, 1, 1)


def broadcasts():
    rows, last = normal(RANDOM, 3, 4), np.full(5, 2, np.float32)
    for op, function in ARITHMETIC.items():
        for name, c, like, how in (
            ("axis_1", C, channels(C), {"axis": 1}),
            ("axis_1_of_two", rows, rows.reshape(1, 3, 4, 1), {"axis": 1}),
            ("suffix", last, last, {}),
        ):
            yield one(f"{op}_6_{name}", op, 6, function(X, like), {"x": X, "c": c}, broadcast=1, **how)
    yield one("Add_6_same", "Add", 6, X + X, {"x": X, "c": X})
    powers = f32(1, 2, 3)
    given = {"x": np.abs(X), "c": powers}
    yield one("Pow_1_axis_1", "Pow", 6, np.abs(X) ** channels(powers), given, rtol=1e-4, broadcast=1, axis=1)
    yield one("Greater_1_axis_1", "Greater", 6, X > channels(C), {"x": X, "c": C}, broadcast=1, axis=1)
    a, b, c = normal(RANDOM, 3, 4), normal(RANDOM, 4, 5), normal(RANDOM, 5)
    yield one("Gemm_6", "Gemm", 6, a @ b + c, {"a": a, "b": b, "c": c}, rtol=1e-4, broadcast=1)


def square_broadcasts():
    """Where numpy's way fits as well, and is wrong."""
    x, c = np.arange(9, dtype=np.float32).reshape(3, 3), f32(10, 20, 30)
    for op, function in ARITHMETIC.items():
        yield one(f"{op}_6_square", op, 6, function(x, c[:, None]), {"x": x, "c": c}, broadcast=1, axis=0)
    x = normal(RANDOM, 1, 3, 2, 3)
    y = np.where(x < 0, x * channels(c), x)
    yield one("PRelu_6_square", "PRelu", 6, y, {"x": x, "c": c})
    yield one("PRelu_9", "PRelu", 9, y, {"x": x, "c": c.reshape(3, 1, 1)})
    yield one("PRelu_6", "PRelu", 6, np.where(X < 0, X * channels(C), X), {"x": X, "c": C})


def normalised(x, s, b, m, v, epsilon=1e-5):
    return ((x - m) / np.sqrt(v + epsilon) * s + b).astype(np.float32)


def normalisations():
    told = {
        "s": np.abs(normal(RANDOM, 3)) + np.float32(0.5),
        "b": normal(RANDOM, 3),
        "m": normal(RANDOM, 3),
        "v": np.abs(normal(RANDOM, 3)) + np.float32(0.5),
    }
    y = normalised(X, *map(channels, told.values()))
    op, near = "BatchNormalization", dict(constants=told, rtol=1e-4)
    yield one("BatchNormalization_6", op, 6, y, **near, is_test=1)
    yield one("BatchNormalization_6_spatial", op, 6, y, **near, is_test=1, spatial=1)
    yield one("BatchNormalization_7", op, 7, y, **near)
    other = normalised(X, *map(channels, told.values()), epsilon=0.1)
    yield one("BatchNormalization_9_epsilon", op, 9, other, **near, epsilon=0.1)
    yield one("BatchNormalization_9_rank_2", op, 9, y[:, :, 0, 0], {"x": X[:, :, 0, 0]}, **near)
    each = {key: np.abs(normal(RANDOM, 3, 4, 5)) + np.float32(0.5) for key in told}
    y = normalised(X, *each.values())
    yield one("BatchNormalization_7_not_spatial", op, 7, y, constants=each, rtol=1e-4, spatial=0)
    mean, spread = X.mean((2, 3), keepdims=True), X.var((2, 3), keepdims=True)
    y = normalised(X, channels(told["s"]), channels(told["b"]), mean, spread)
    affine = {"s": told["s"], "b": told["b"]}
    yield one("InstanceNormalization_6", "InstanceNormalization", 6, y, constants=affine, rtol=1e-4)
    whole = (1, 2, 3)
    y = normalised(X, 2, 1, X.mean(whole, keepdims=True), X.var(whole, keepdims=True))
    one_group = {"s": f32(2), "b": f32(1)}
    yield one("GroupNormalization_18", "GroupNormalization", 18, y, constants=one_group, rtol=1e-4, num_groups=1)
    after = np.concatenate([X[:, 1:] ** 2, np.zeros_like(X[:, :1])], 1)
    y = (X / (1 + 0.1 / 2 * (X**2 + after)) ** 0.75).astype(np.float32)
    yield one("LRN_even", "LRN", 13, y, rtol=1e-4, size=2, alpha=0.1, beta=0.75, bias=1.0)


def dropouts():
    for opset in (6, 7, 10, 12, 13):
        how = {**({"ratio": 0.5} if opset < 12 else {}), **({"is_test": 1} if opset < 7 else {})}
        yield one(f"Dropout_{opset}", "Dropout", opset, X, **how)
    nodes, y = [node("Dropout", ["x"], ["y", "k"], ratio=0.5)], {"y": X, "k": np.ones_like(X, bool)}
    yield case("Dropout_10_mask", nodes, {"x": X}, y, opset=10)
    half = {"r": np.float32(0.5)}
    yield one("Dropout_12_ratio", "Dropout", 12, X, constants=half)
    yield one("Dropout_12_not_training", "Dropout", 12, X, constants={**half, "t": np.array(False)})
    # A mask that nobody reads, as Caffe2 wrote it.
    nodes = [node("Dropout", ["x"], ["d", "k"], ratio=0.5), node("Relu", ["d"], ["y"])]
    yield case("Dropout_9_unread_mask", nodes, {"x": X}, {"y": np.maximum(X, 0)}, opset=9, ir=3)


def clips():
    yield one("Clip_6", "Clip", 6, np.clip(X, -0.5, 0.5), min=-0.5, max=0.5)
    yield one("Clip_6_none", "Clip", 6, X)
    yield one("Clip_6_max", "Clip", 6, np.minimum(X, 0), max=0.0)
    high = {"h": np.float32(0.3)}
    yield one("Clip_11_max", "Clip", 11, np.minimum(X, np.float32(0.3)), constants=high, order=["x", "", "h"])
    ends = lambda low, high: {"l": np.float32(low), "h": np.float32(high)}
    yield one("Clip_13_min_above_max", "Clip", 13, np.full_like(X, -1), constants=ends(1, -1))
    x, y = f32(np.nan, 5, -5), f32(np.nan, 1, -1)
    yield one("Clip_13_nan", "Clip", 13, y, {"x": x}, constants=ends(-1, 1))
    for dtype in (np.int8, np.uint8, np.int32, np.int64, np.float16, np.float64):
        x, told = np.arange(0, 100, 9).astype(dtype), {"l": np.array(20, dtype), "h": np.array(70, dtype)}
        yield one(f"Clip_12_{label(dtype)}", "Clip", 12, np.clip(x, dtype(20), dtype(70)), {"x": x}, told)


def shapes():
    yield one("Concat_1_default_axis", "Concat", 1, np.concatenate([X, X], 1), {"x": X, "z": X})
    yield one("Reshape_1", "Reshape", 1, X.reshape(2, -1), shape=[2, -1])
    yield one("Reshape_5", "Reshape", 5, X.reshape(2, -1), constants={"s": i64(0, -1)})
    nodes = [node("Split", ["x"], ["y", "z"], axis=1, split=[1, 2])]
    yield case("Split_2", nodes, {"x": X}, {"y": X[:, :1], "z": X[:, 1:]}, opset=2)
    yield case("Split_2_default", [node("Split", ["x"], ["y", "z"])], {"x": X}, {"y": X[:1], "z": X[1:]}, opset=2)
    nodes, x = [node("Split", ["x"], ["y", "z"], axis=2, num_outputs=2)], X[:, :, :3]
    yield case("Split_18_uneven", nodes, {"x": x}, {"y": x[:, :, :2], "z": x[:, :, 2:]}, opset=18)
    counts = {"t": f32(2), "a": f32(1)}
    yield one("Tile_1", "Tile", 1, np.tile(X, (1, 2, 1, 1)), constants=counts)
    yield one("Tile_6", "Tile", 6, np.tile(X, (1, 2, 1, 3)), constants={"t": i64(1, 2, 1, 3)})
    yield one("Flatten_9_axis_0", "Flatten", 9, X.reshape(1, -1), axis=0)
    yield one("Flatten_11_negative", "Flatten", 11, X.reshape(24, 5), axis=-1)
    yield one("Flatten_11_end", "Flatten", 11, X.reshape(-1, 1), axis=4)
    y = np.pad(X, ((0, 0), (0, 0), (1, 0), (0, 2)), constant_values=3)
    yield one("Pad_1", "Pad", 1, y, paddings=[0, 0, 1, 0, 0, 0, 0, 2], value=3.0)
    x = np.arange(16, dtype=np.float32).reshape(1, 4, 2, 2)
    y = x.reshape(1, 2, 2, 1, 2, 2).transpose(0, 3, 4, 1, 5, 2).reshape(1, 1, 4, 4)
    yield one("DepthToSpace_1", "DepthToSpace", 1, y, {"x": x}, blocksize=2)
    x = np.arange(6, dtype=np.float32).reshape(1, 2, 1, 3)
    yield one("Squeeze_11_every_1", "Squeeze", 11, x.reshape(2, 3), {"x": x})


def others():
    yield one("Max_6", "Max", 6, np.abs(X), {"x": X, "c": -X})
    yield one("Sum_1", "Sum", 1, X)
    yield one("Mean_6", "Mean", 6, X * 2, {"x": X, "c": X * 2, "d": X * 3})
    yield one("ArgMax_1", "ArgMax", 1, X.argmax(0)[None])
    yield one("Cast_1_in_words", "Cast", 1, (X * 3).astype(np.int32), {"x": X * 3}, to="INT32")
    how = dict(height_scale=2.0, width_scale=3.0, mode="nearest")
    yield one("Upsample_1", "Upsample", 1, X.repeat(2, 2).repeat(3, 3), **how)
    told = {"d": i64(4), "v": f32(0, 1)}
    yield one("OneHot_9", "OneHot", 9, np.eye(4, dtype=np.float32)[[1, 2]], {"i": i64(1, 2)}, told)
    given = {"x": np.zeros((1, 4), np.float32), "i": i64([1, 3]), "u": f32([5, 6])}
    yield one("Scatter_9", "Scatter", 9, f32([0, 5, 0, 6]), given, axis=1)
    y = sum(np.abs(X[:, :, row : row + 3, column : column + 4]) for row, column in np.ndindex(2, 2))
    yield one("LpPool_2", "LpPool", 2, y, rtol=1e-4, kernel_shape=[2, 2], p=1)
    y = np.sqrt((X**2).sum((2, 3), keepdims=True))
    yield one("GlobalLpPool_2", "GlobalLpPool", 2, y, rtol=1e-4)
