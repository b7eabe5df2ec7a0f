"""Results that fit though their steps don't: Softplus, Mish, ReduceLogSumExp; sums of 64-bit whole numbers.

Reports: tract's Softplus and ReduceLogSumExp, onnxruntime #26288 #22031, openvino #38238, onnx #6103.
"""

import numpy as np
from special_values import softplus
from suite import FLOATS, case, f32, i64, in_double, label, node, normal

INF, NAN = np.inf, np.nan


def cases():
    yield from soft()
    yield from log_sum_exp()
    yield from whole_sums()
    yield from whole_squares()
    yield from without_axes()
    yield from global_lp_pools()


def one(name, nodes, x, y, opset=13, constants={}, **tolerance):
    return case(name, nodes, {"x": x}, {"y": y}, opset=opset, constants=constants, **tolerance)


def soft():
    far = (10, 20, 30, 50, 80, 87, 88, 88.7, 89, 90, 100, 1000, 1e10, -100, -20, -5)
    for dtype, values in (
        (np.float32, far),
        (np.float16, (5, 9, 10, 11, 11.2, 12, 20, 100, 1000, -20)),
        (np.float64, (700, 709, 710, 800, 1e10, -40)),
    ):
        x, half = np.array(values, dtype), dtype == np.float16
        y = in_double(softplus, x)
        nodes = [node("Softplus", ["x"], ["y"])]
        yield one(f"Softplus_{label(dtype)}", nodes, x, y, rtol=2e-3 if half else 1e-5)
        y = in_double(lambda x: x * np.tanh(softplus(x)), x)
        near = dict(rtol=2e-3 if half else 1e-4, atol=1e-5)
        yield one(f"Mish_{label(dtype)}", [node("Mish", ["x"], ["y"])], x, y, 18, **near)


def log_sum_exp_of(x):
    most = x.max(1, keepdims=True)
    shift = np.where(np.isfinite(most), most, 0)
    return np.log(np.exp(x - shift).sum(1, keepdims=True)) + shift


def log_sum_exp():
    rows = [[90, 89], [-110, -111], [1000, 1000.5], [INF, 1], [-INF, -INF], [-INF, 3], [NAN, 1]]
    for dtype in FLOATS:
        x = np.array(rows, dtype)
        y = in_double(log_sum_exp_of, x)
        for axis, given, expected in ((1, x, y), (0, x.T.copy(), y.T)):
            nodes = [node("ReduceLogSumExp", ["x"], ["y"], axes=[axis])]
            yield one(f"ReduceLogSumExp_{label(dtype)}_axis_{axis}", nodes, given, expected, rtol=2e-3)


WHOLE = {
    "near_2_53": (2**53 + 1, 1, 1),
    "near_2_63": (2**62, 2**62 - 1),
    "over_2_63": (2**62, 2**62),
    "max_and_1": (2**63 - 1, 1),
    "min_and_minus_1": (-(2**63), -1),
    "small": (-5, 3),
    "max": (2**63 - 1,),
    "min": (-(2**63),),
    "max_and_minus_max": (2**63 - 1, -(2**63 - 1)),
    "three_billion": (3_000_000_000,),
    "six_billion": (2_000_000_000,) * 3,
}


def whole_sums():
    for name, values in WHOLE.items():
        x = i64(values)
        total = {"ReduceSum": x.sum, "ReduceMax": x.max, "ReduceMin": x.min}
        for op, function in total.items():
            yield one(f"{op}_{name}", [node(op, ["x"], ["y"])], x, np.reshape(function(), (1, 1)))
        for op, y in (("Add", x + x), ("Mul", x * x)):
            yield one(f"{op}_{name}", [node(op, ["x", "x"], ["y"])], x, y)
        nodes, axis = [node("CumSum", ["x", "a"], ["y"])], {"a": np.array(1)}
        yield one(f"CumSum_{name}", nodes, x, np.cumsum(x, 1), 14, axis)
    x = i64([3_000_000_000, 3_000_000_002])
    yield one("ReduceMean_three_billion", [node("ReduceMean", ["x"], ["y"])], x, i64([3_000_000_001]))
    yield one("ReduceL1_three_billion", [node("ReduceL1", ["x"], ["y"])], -x, i64([6_000_000_002]))
    nodes = [node("ReduceSum", ["x", "a"], ["y"])]
    for opset in (13, 18):
        name = f"ReduceSum_open_extents_opset_{opset}"
        y, axes = {"y": i64([6_000_000_002])}, {"a": i64(1)}
        yield case(name, nodes, {"x": x}, y, opset=opset, constants=axes, open_extents=True)


def whole_squares():
    for dtype in (np.int64, np.int32, np.int16, np.uint16, np.uint32, np.uint64, np.uint8, np.int8):
        x = np.array([[2, 3, 11]], dtype)
        yield one(f"Mul_by_itself_{label(dtype)}", [node("Mul", ["x", "x"], ["y"])], x, x * x, 14)
        nodes, two = [node("Pow", ["x", "two"], ["y"])], {"two": np.array(2, dtype)}
        if dtype in (np.int32, np.int64):
            yield one(f"Pow_2_{label(dtype)}", nodes, x, x * x, 15, two)
    for dtype in (np.int32, np.int64):
        x = np.array([[2, 3, 11]], dtype)
        y = np.array([[134]], dtype)
        yield one(f"ReduceSumSquare_{label(dtype)}", [node("ReduceSumSquare", ["x"], ["y"])], x, y)


def without_axes():
    """Nothing is reduced, but the steps of each element are taken."""
    x = f32([-0.25, 2, 0.5])
    for op, y in (
        ("ReduceSum", x),
        ("ReduceMean", x),
        ("ReduceMax", x),
        ("ReduceProd", x),
        ("ReduceSumSquare", x * x),
        ("ReduceL1", np.abs(x)),
        ("ReduceL2", np.abs(x)),
    ):
        for name, axes in (("left_out", {}), ("empty", {"a": np.zeros(0, np.int64)})):
            nodes = [node(op, ["x", *axes], ["y"], noop_with_empty_axes=1)]
            yield one(f"{op}_axes_{name}", nodes, x, y, 18, axes)
    nodes = [node("ReduceLogSum", ["x"], ["y"], noop_with_empty_axes=1)]
    yield one("ReduceLogSum_axes_left_out", nodes, np.abs(x), np.log(np.abs(x)), 18)


def global_lp_pools():
    x = normal(np.random.RandomState(0), 2, 3, 4, 5)
    for p in (1, 2, 3):
        y = in_double(lambda x: (np.abs(x) ** p).sum((2, 3), keepdims=True) ** (1 / p), x)
        yield one(f"GlobalLpPool_{p}", [node("GlobalLpPool", ["x"], ["y"], p=p)], x, y, rtol=1e-4)
    row = x[:, :, :, 0]
    y = in_double(lambda x: np.sqrt((x**2).sum(2, keepdims=True)), row)
    yield one("GlobalLpPool_one_axis", [node("GlobalLpPool", ["x"], ["y"])], row, y, rtol=1e-4)
