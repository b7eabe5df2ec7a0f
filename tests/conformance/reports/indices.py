"""Indices, slices and pads: negative ones, repeated ones, ends beyond the ends.

Reports: tvm #20217, candle #2440, onnxruntime #1533.
"""

import numpy as np
from suite import FLOAT, case, f32, i64, label, node, refused

X = np.arange(12, dtype=np.float32).reshape(3, 4)
BIG = 2**63 - 1
REDUCTIONS = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def cases():
    yield from gathers()
    yield from scatters()
    yield from one_hots()
    yield from slices()
    yield from pads()


def one(name, nodes, inputs, y, constants={}, opset=18):
    return case(name, nodes, inputs, {"y": y}, constants=constants, opset=opset)


def gathers():
    places = np.array([[-1, 0], [2, -3]])
    for dtype in (np.int64, np.int32):
        i, name = places.astype(dtype), label(dtype)
        yield one(f"Gather_{name}", [node("Gather", ["x", "i"], ["y"], axis=1)], {"x": X, "i": i}, X[:, i])
        yield one(f"Gather_constant_{name}", [node("Gather", ["x", "i"], ["y"], axis=-2)], {"x": X}, X[i], {"i": i})
        i = np.array([[-1, 0, 1, -4]] * 3, dtype)
        nodes = [node("GatherElements", ["x", "i"], ["y"], axis=1)]
        yield one(f"GatherElements_{name}", nodes, {"x": X, "i": i}, np.take_along_axis(X, i % 4, 1))
    nodes = [node("GatherND", ["x", "i"], ["y"])]
    yield one("GatherND", nodes, {"x": X, "i": i64([-1, -1], [0, -2])}, X[[-1, 0], [-1, -2]])
    z = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nodes = [node("GatherND", ["x", "i"], ["y"], batch_dims=1)]
    yield one("GatherND_batch", nodes, {"x": z, "i": i64([-1], [0])}, np.stack([z[0, -1], z[1, 0]]))
    nodes = [node("Gather", ["x", "i"], ["y"], axis=0)]
    yield one("Gather_scalar", nodes, {"x": X, "i": np.array(-1)}, X[-1])
    for name, place in (("after", 3), ("before", -4)):
        yield case(f"Gather_{name}_the_ends", nodes, {"x": X, "i": i64(place)}, refused(y=FLOAT), opset=18)


def scattered(x, rows, updates, function):
    y = x.copy()
    for row, update in zip(rows, updates):
        y[row] = function(y[row], update)
    return y


def scatters():
    nodes, updates = [node("ScatterND", ["x", "i", "u"], ["y"])], f32([5, 6, 7, 8], [1, 2, 3, 4])
    y = scattered(X, (-1, 0), updates, lambda old, new: new)
    yield one("ScatterND", nodes, {"x": X, "i": i64([-1], [0]), "u": updates}, y)
    rows, updates = i64([1], [1], [-2], [0]), np.arange(16, dtype=np.float32).reshape(4, 4) - 5
    missing = updates.copy()
    missing[1, 2] = np.nan
    for name, function in REDUCTIONS.items():
        nodes = [node("ScatterND", ["x", "i", "u"], ["y"], reduction=name)]
        for suffix, x, u in (("", X, updates), ("_nan", X, missing)) + tuple(
            (f"_{label(dtype)}", X.astype(dtype), np.abs(updates).astype(dtype))
            for dtype in (np.int64, np.int32, np.uint8, np.float16)
        ):
            y = scattered(x, rows[:, 0], u, function)
            yield one(f"ScatterND_{name}{suffix}", nodes, {"x": x, "i": rows, "u": u}, y)
        yield scatter_elements(name, function)
    for count in (4, 200, 5000):
        # Of updates of one place the last stays.
        updates, y = np.arange(count, dtype=np.float32), f32(count - 1, 0, 0)
        given = {"x": np.zeros(3, np.float32), "i": np.zeros((count, 1), np.int64), "u": updates}
        yield one(f"ScatterND_last_of_{count}", [node("ScatterND", ["x", "i", "u"], ["y"])], given, y)


def scatter_elements(name, function):
    i, u, y = i64([0, -1, 0], [1, 1, -3]), f32([1, 2, 3], [4, 5, -6]), X.copy()
    for row, column in np.ndindex(i.shape):
        y[i[row, column], column] = function(y[i[row, column], column], u[row, column])
    nodes = [node("ScatterElements", ["x", "i", "u"], ["y"], axis=0, reduction=name)]
    return one(f"ScatterElements_{name}", nodes, {"x": X, "i": i, "u": u}, y)


def one_hots():
    i = i64(0, 2, 4, -1, -5, 7, -9)
    y = np.array([[-5 <= place < 5 and place % 5 == column for column in range(5)] for place in i], np.float32)
    values = f32(0, 1)
    last = [node("OneHot", ["i", "d", "v"], ["y"], axis=-1)]
    first = [node("OneHot", ["i", "d", "v"], ["y"], axis=0)]
    yield one("OneHot", last, {"i": i}, y, {"d": np.array(5), "v": values})
    yield one("OneHot_axis_0", first, {"i": i}, y.T, {"d": i64(5), "v": values})
    yield one("OneHot_float", last, {"i": i.astype(np.float32)}, y, {"d": np.float32(5), "v": values})


def slices():
    nodes = [node("Slice", ["x", "s", "e", "a", "p"], ["y"])]
    for name, starts, ends, axes, steps, y in (
        ("step_minus_1", [-1], [-BIG], [1], [-1], X[:, ::-1]),
        ("step_minus_2", [3], [-5], [1], [-2], X[:, 3::-2]),
        ("end_int64_max", [1], [BIG], [0], [1], X[1:]),
        ("end_int64_min", [BIG], [-(2**63)], [0], [-1], X[::-1]),
        ("step_int64_max", [0], [BIG], [1], [BIG], X[:, :1]),
        ("step_int64_min", [3], [-BIG], [1], [-(2**63)], X[:, 3:]),
        ("axis_minus_1", [-2], [4], [-1], [1], X[:, -2:]),
        ("beyond", [-10], [10], [0], [1], X),
        ("two_axes", [0, 1], [3, BIG], [1, 0], [2, 1], X[1:, 0:3:2]),
        ("nothing", [2], [1], [0], [1], X[2:1]),
    ):
        told = {"s": i64(*starts), "e": i64(*ends), "a": i64(*axes), "p": i64(*steps)}
        yield one(f"Slice_{name}", nodes, {"x": X}, y, told)
    yield one("Slice_1", [node("Slice", ["x"], ["y"], starts=[0, -3], ends=[2, 1000])], {"x": X}, X[:2, -3:], opset=9)
    nodes = [node("Slice", ["x"], ["y"], axes=[1], starts=[-3], ends=[-1])]
    yield one("Slice_1_axes", nodes, {"x": X}, X[:, -3:-1], opset=1)
    nodes = [node("Slice", ["x", "s", "e"], ["y"])]
    yield one("Slice_at_run", nodes, {"x": X, "s": i64(1), "e": i64(3)}, X[1:3])
    told = {"s": np.int32([1]), "e": np.int32([3]), "a": np.int32([1])}
    yield one("Slice_int32", [node("Slice", ["x", "s", "e", "a"], ["y"])], {"x": X}, X[:, 1:3], told)
    nodes, told = [node("Slice", ["x", "s", "e", "", "p"], ["y"])], {"s": i64(0), "e": i64(9), "p": i64(2)}
    yield one("Slice_no_axes", nodes, {"x": X}, X[::2], told)


def pads():
    nodes, y = [node("Pad", ["x", "p"], ["y"])], np.pad(X[1:, :-1], ((0, 1), (2, 0)))
    yield one("Pad_negative", nodes, {"x": X}, y, {"p": i64(-1, 2, 1, -1)})
    for mode in ("reflect", "edge", "wrap"):
        y = np.pad(X, ((1, 2), (3, 2)), mode=mode)
        yield one(f"Pad_{mode}", [node("Pad", ["x", "p"], ["y"], mode=mode)], {"x": X}, y, {"p": i64(1, 3, 2, 2)}, 19)
    for mode in ("reflect", "edge"):
        how, y = [node("Pad", ["x", "p"], ["y"], mode=mode)], np.pad(X, ((1, 0), (0, 0)), mode=mode)[:, 1:]
        yield one(f"Pad_{mode}_negative", how, {"x": X}, y, {"p": i64(1, -1, 0, 0)})
    y = np.pad(X, ((0, 1), (1, 0)), constant_values=7)
    yield one("Pad_2", [node("Pad", ["x"], ["y"], pads=[0, 1, 1, 0], value=7.0)], {"x": X}, y, opset=2)
    y = np.pad(X, ((0, 0), (1, 2)), constant_values=3)
    told = {"p": i64(1, 2), "v": np.float32(3), "a": i64(-1)}
    yield one("Pad_axes", [node("Pad", ["x", "p", "v", "a"], ["y"])], {"x": X}, y, told)
    y, told = np.pad(X, ((0, 0), (1, 0)), constant_values=-np.inf), {"p": i64(0, 1, 0, 0), "v": np.float32(-np.inf)}
    yield one("Pad_inf", [node("Pad", ["x", "p", "v"], ["y"])], {"x": X}, y, told)
    x = np.full((2, 2), np.nan, np.float32)
    yield one("Pad_nan", nodes, {"x": x}, np.pad(x, ((0, 0), (1, 0))), {"p": i64(0, 1, 0, 0)})
