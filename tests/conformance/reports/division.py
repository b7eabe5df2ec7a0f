"""Remainders of floats, and what whole numbers give when divided: truncation, MIN by -1, by zero, wrap-around.

Reports: tt-metal #56384, esbmc #6896, onnxruntime #26997 #32369 #16998, pytorch #190042.
"""

import numpy as np
from onnx import helper
from suite import INTEGERS, case, f32, label, node, refused


def cases():
    yield from float_remainders()
    for dtype in INTEGERS:
        yield from remainders(dtype)
        yield from quotients(dtype)
        yield from wraps(dtype)
        yield from by_zero(dtype)
        if np.iinfo(dtype).min < 0:
            yield from smallest(dtype)


def float_remainders():
    fmod = [node("Mod", ["x", "y"], ["z"], fmod=1)]
    x = f32(1, 0.3, 5, 1e10, 1e6, 16777217 * 3.0, -1, -7.5, 7.5, 55, 1e20, 6, 359.99997, 720.5)
    y = f32(0.1, 0.1, 0.1, 3, 0.7, 7, 0.1, 2, -2, 0.1, 3, 0.1, 360, 360)
    x = np.append(x, f32(np.inf, 1, np.nan, 0, -0.0, 3e38, 1e-30))
    y = np.append(y, f32(2, np.inf, 1, 5, 5, 1e-3, 1e10))
    yield case("fmod_float32", fmod, {"x": x, "y": y}, {"z": np.fmod(x, y)}, opset=13, atol=1e-9)
    x, y = x.astype(np.float64), y.astype(np.float64)
    y[0], x[3] = 0.1, 1e17
    yield case("fmod_float64", fmod, {"x": x, "y": y}, {"z": np.fmod(x, y)}, opset=13, atol=1e-12)
    x = np.array([1, 5, 100, 2048, -1, 3, 7.5, 60000], np.float16)
    y = np.array([0.1, 0.1, 0.3, 3, 0.1, 0.1, 2, 7], np.float16)
    yield case("fmod_float16", fmod, {"x": x, "y": y}, {"z": np.fmod(x, y)}, opset=13)
    x, y = np.linspace(0, 1e6, 1001, dtype=np.float32), np.array(360, np.float32)
    z = {"z": np.fmod(x, y)}
    yield case("fmod_360", fmod, {"x": x}, z, constants={"y": y}, opset=13, atol=1e-4)


def pairs(dtype, positive, negative):
    """Numerators and denominators; the negative ones only where the type has them."""
    found = positive + (negative if np.iinfo(dtype).min < 0 else [])
    return [np.array(side, dtype) for side in zip(*found)]


def remainders(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    positive = [(low, 3), (high, 3), (7, high), (high, high), (low, high), (5, 7), (0, 9)]
    x, y = pairs(dtype, positive, [(-7, 3), (7, -3), (-7, -3), (low, -3), (-1, high)])
    given = {"x": x, "y": y}
    yield case(f"mod_{label(dtype)}", [node("Mod", ["x", "y"], ["z"])], given, {"z": np.mod(x, y)}, opset=13)
    fmod = [node("Mod", ["x", "y"], ["z"], fmod=1)]
    yield case(f"fmod_{label(dtype)}", fmod, given, {"z": np.fmod(x, y)}, opset=13)


def quotients(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    positive = [(8, 3), (7, 2), (high, high), (high, 2), (0, 5), (100, 7)]
    x, y = pairs(dtype, positive, [(-8, 3), (-7, 2), (8, -3), (7, -2), (low, 2), (low, 3)])
    toward_zero = [abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1) for a, b in zip(x.tolist(), y.tolist())]
    z = {"z": np.array(toward_zero, dtype)}
    yield case(f"div_{label(dtype)}", [node("Div", ["x", "y"], ["z"])], {"x": x, "y": y}, z, opset=14)


def wraps(dtype):
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    x, y = np.array([high, low, high, 3], dtype), np.array([1, high, high, 5], dtype)
    for op, function in (("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply)):
        z = {"z": function(x, y)}
        yield case(f"{op}_wrap_{label(dtype)}", [node(op, ["x", "y"], ["z"])], {"x": x, "y": y}, z, opset=14)


def by_zero(dtype):
    """No number is right: a typed error, and none that ends the program."""
    x, y = np.array([5, 6], dtype), np.array([0, 2], dtype)
    for op in ("Div", "Mod"):
        z = refused(z=helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))
        yield case(f"{op}_by_zero_{label(dtype)}", [node(op, ["x", "y"], ["z"])], {"x": x, "y": y}, z, opset=14)


def smallest(dtype):
    low = np.iinfo(dtype).min
    x, y = np.array([low, 5], dtype), np.array([-1, -1], dtype)
    for op, z in (("Div", [low, -5]), ("Mod", [0, 0])):
        nodes, z = [node(op, ["x", "y"], ["z"])], {"z": np.array(z, dtype)}
        yield case(f"{op}_min_by_minus_1_{label(dtype)}", nodes, {"x": x, "y": y}, z, opset=14)
    for op, z in (("Abs", [low, 5]), ("Neg", [low, -5])):
        nodes, z = [node(op, ["x"], ["z"])], {"z": np.array(z, dtype)}
        yield case(f"{op}_min_{label(dtype)}", nodes, {"x": x}, z, opset=14)
