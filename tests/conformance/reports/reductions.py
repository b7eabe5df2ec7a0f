"""Reductions along axes: through the operator sets, negative, repeated by name, none, and Pow, Sin and GridSample beside.

Reports: openvino #38238, onnxruntime #22031 #7375 #28090, webgpu-torch #11, tinygrad #17885.
"""

import numpy as np
from suite import case, f32, i64, in_double, node, onnxruntime

RANDOM = np.random.RandomState(0)
X = (RANDOM.rand(2, 3, 4) + 0.5).astype(np.float32)
OPERATORS = {
    "ReduceSum": np.sum,
    "ReduceMean": np.mean,
    "ReduceMax": np.max,
    "ReduceMin": np.min,
    "ReduceProd": np.prod,
    "ReduceL1": lambda x, **how: np.abs(x).sum(**how),
    "ReduceL2": lambda x, **how: np.sqrt((x * x).sum(**how)),
    "ReduceSumSquare": lambda x, **how: (x * x).sum(**how),
    "ReduceLogSum": lambda x, **how: np.log(x.sum(**how)),
    "ReduceLogSumExp": lambda x, **how: np.log(np.exp(x).sum(**how)),
}


def cases():
    yield from axes()
    yield from powers()
    yield from other_powers()
    yield from far_angles()
    yield from grids()


def axes():
    """As an attribute until opset 13 or 18, then as an input."""
    for op, function in OPERATORS.items():
        moved = 13 if op == "ReduceSum" else 18
        for opset in (7, 11, 13, 18):
            for name, along in (("all", None), ("0", (0,)), ("minus_1", (-1,)), ("0_and_2", (0, 2))):
                if opset < 11 and name == "minus_1":
                    continue
                for keep in (0, 1):
                    y = {"y": in_double(lambda x: function(x, axis=along, keepdims=bool(keep)), X)}
                    how, told = {"keepdims": keep}, {}
                    if along and opset < moved:
                        how["axes"] = along
                    elif along:
                        told["a"] = i64(*along)
                    nodes = [node(op, ["x", *told], ["y"], **how)]
                    title = f"{op}_opset_{opset}_axes_{name}_keepdims_{keep}"
                    yield case(title, nodes, {"x": X}, y, opset=opset, constants=told, rtol=1e-4)


def powers():
    x = f32(np.nan, 2, -2, 0, -0.0, np.inf, -np.inf, 1, -1, 0.5)
    for power in (0, 1, 2, 3, -1, -2, 0.5, 2.5, np.nan, np.inf):
        nodes, told = [node("Pow", ["x", "p"], ["y"])], {"p": np.float32(power)}
        # numpy takes a square root, and says NaN where IEEE 754's power is infinite.
        y = {"y": np.where(np.isneginf(x) & (power == 0.5), np.float32(np.inf), np.power(x, np.float32(power)))}
        yield case(f"Pow_{power}", nodes, {"x": x}, y, opset=13, constants=told)
        yield case(f"Pow_{power}_at_run", nodes, {"x": x, **told}, y, opset=13)
    for dtype in (np.int32, np.int64):
        x, power = np.array([2, -3, 7, 0], dtype), np.array([3, 3, 0, 5], dtype)
        nodes = [node("Pow", ["x", "p"], ["y"])]
        yield case(f"Pow_{np.dtype(dtype).name}", nodes, {"x": x, "p": power}, {"y": x**power}, opset=13)


# What C99 says of the function, Annex F.
C99 = (
    *((-np.inf, 0.5, np.inf), (-np.inf, -0.5, 0.0), (-np.inf, 3, -np.inf), (-np.inf, -3, -0.0), (-np.inf, 2, np.inf)),
    *((-0.0, 0.5, 0.0), (-0.0, 3, -0.0), (-0.0, -1, -np.inf), (-0.0, -2, np.inf), (-0.0, -0.5, np.inf)),
    *((-1, np.inf, 1), (-1, -np.inf, 1), (1, np.nan, 1), (np.nan, 0, 1), (np.nan, 1, np.nan), (-8, 1 / 3, np.nan)),
    *((0.5, np.inf, 0.0), (0.5, -np.inf, np.inf), (-2, np.inf, np.inf), (2, -np.inf, 0.0), (np.inf, -0.5, 0.0)),
)


def other_powers():
    """Pairs at the ends of the function, and exponents of another type than what is raised."""
    nodes = [node("Pow", ["x", "p"], ["y"])]
    for dtype in (np.float64, np.float32):
        x, power, y = (np.array(side, dtype) for side in zip(*C99))
        title = f"Pow_pairs_{np.dtype(dtype).name}"
        yield case(title, nodes, {"x": x, "p": power}, {"y": y}, opset=15, sign_of_zero=True)
    # FP32 has no 2147483647: it is 2147483648, which is even.
    far, whole = 2**31 - 1, np.int32([2, 4, 9, -3])
    for title, x, power, y in (
        ("int32_by_half", whole[:3], f32(0.5), np.int32([1, 2, 3])),
        ("int32_by_float32", whole, f32(1.5, 1.5, 0.5, 3), np.int32([2, 8, 3, -27])),
        ("far_float32", f32(-1, -1), f32(far, -far), f32(1, 1)),
        ("float32_by_far_int32", f32(-1, -1, 1), np.int32([far, far - 1, far]), f32(-1, 1, 1)),
        ("int32_by_far_int32", np.int32([-1, -1, 1]), np.int32([far, far - 1, far]), np.int32([-1, 1, 1])),
        ("float64_by_far_int32", np.array([-1.0, -1]), np.int32([far, far - 1]), np.array([-1.0, 1])),
    ):
        yield case(f"Pow_{title}", nodes, {"x": x, "p": power}, {"y": y}, opset=15)
        yield case(f"Pow_{title}_constant", nodes, {"x": x}, {"y": y}, opset=15, constants={"p": power})


def far_angles():
    x = f32(0, 1, 10, 100, 1000, 10_000, 100_000, -3.5, -1e4)
    for op, function in (("Sin", np.sin), ("Cos", np.cos)):
        y = {"y": in_double(function, x)}
        yield case(f"{op}_far", [node(op, ["x"], ["y"])], {"x": x}, y, opset=13, rtol=1e-3, atol=1e-4)


def grids():
    """Places within, beyond the border, and beyond the first reflection."""
    x = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    grid = f32(*[(a, b) for a in (-1.5, -0.95, 0, 0.5) for b in (-1.2, 0.1, 0.95, 1.4)]).reshape(1, 4, 4, 2)
    for opset, modes in ((16, ("bilinear", "nearest", "bicubic")), (20, ("linear", "nearest", "cubic"))):
        for mode in modes:
            for padding in ("zeros", "border", "reflection"):
                for corners in (0, 1):
                    how = dict(mode=mode, padding_mode=padding, align_corners=corners)
                    nodes, name = [node("GridSample", ["x", "g"], ["y"], **how)], f"{mode}_{padding}_corners_{corners}"
                    given, told = {"x": x, "g": grid}, onnxruntime(y=1)
                    near = dict(opset=opset, rtol=1e-4, atol=1e-4)
                    yield case(f"GridSample_{opset}_{name}", nodes, given, told, **near)
