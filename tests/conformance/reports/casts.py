"""Cast where it is defined: to 64 bits from everything, between whole numbers, and rounded once.

Reports: tvm #19542, onnxruntime #25207.
"""

import numpy as np
from suite import FLOAT, FLOATS, HALF, INT64, case, element, f32, i64, label, node

MILLISECONDS = np.array([1.764468e12])
BILLIONS = f32(3e9, 5e9)


def cases():
    yield from floats_to_whole()
    yield from unsigned()
    yield from rounded_once()
    yield from inside_of_graphs()


def cast(x, dtype):
    name = f"{label(x.dtype)}_to_{label(dtype)}"
    return case(name, [node("Cast", ["x"], ["y"], to=element(dtype))], {"x": x}, {"y": x.astype(dtype)}, opset=13)


def floats_to_whole():
    far = (2147483520, 2147483648, -2147483648, 3e9, -3e9, 4294967296, 1e10, 1.5e10, 2.0**53)
    for dtype in FLOATS:
        x = np.array((1, -1, 65504, 30000) if dtype == np.float16 else far, dtype)
        yield cast(x, np.int64)
        if dtype != np.float16:
            yield cast(np.abs(x), np.uint64)
        for whole in (np.int32, np.uint32, np.int16, np.uint8):
            limits = np.iinfo(whole)
            # Beyond the type anything goes; towards zero, -0.5 is within each.
            x = np.array([0, 1, limits.max // 2, limits.min // 2, 100.7, -0.5], dtype)
            x = x[np.isfinite(x)]
            yield cast(x[(x >= limits.min) & (x <= limits.max) | (x == -0.5)], whole)


def unsigned():
    for dtype in (np.uint32, np.uint64, np.uint16, np.uint8):
        most = np.iinfo(dtype).max
        x = np.array([0, 1, most, most // 2 + 1], dtype)
        for to in (np.int64, np.float32, np.float64, np.int32, np.uint64, np.uint32):
            if to != dtype:
                yield cast(x, to)


def rounded_once():
    """By way of FP64, a 64-bit number would be rounded twice."""
    random = np.random.RandomState(0)
    edges = [2**k + d for k in range(24, 62) for d in (-1, 0, 1, (1 << max(k - 24, 0)) + 1)]
    x = np.concatenate([random.randint(-(2**62), 2**62, 4000), np.array(edges)])
    for given in (x, np.abs(x).astype(np.uint64)):
        y = np.array([np.float32(value) for value in given])
        name, nodes = f"{label(given.dtype)}_to_float32_once", [node("Cast", ["x"], ["y"], to=FLOAT)]
        yield case(name, nodes, {"x": given}, {"y": y}, opset=13, rtol=0, atol=0)
    # By way of FP32, these would lie halfway between two numbers of FP16.
    x = np.array([2049 + 1e-7, 2051 - 1e-7, 1 + 2**-11 + 2**-40, -1 - 2**-11 - 2**-40, 65520 - 1e-7, 2**-25 + 2**-60])
    y = {"y": np.array([2050, 2050, 1 + 2**-10, -1 - 2**-10, 65504, 2**-24], np.float16)}
    nodes = [node("Cast", ["x"], ["y"], to=HALF)]
    yield case("float64_to_float16_once", nodes, {"x": x}, y, opset=13, rtol=0, atol=0)
    nodes = [node("CastLike", ["x", "like"], ["y"])]
    given = {"x": x, "like": np.zeros(1, np.float16)}
    yield case("float64_like_float16_once", nodes, given, y, opset=15, rtol=0, atol=0)


def inside_of_graphs():
    to_long = node("Cast", ["x"], ["a"], to=INT64)
    given = {"x": BILLIONS, "l": i64(0)}
    y = {"y": BILLIONS.astype(np.int64)}
    yield case("like_int64", [node("CastLike", ["x", "l"], ["y"])], given, y, opset=15)
    # Milliseconds since 1970 to seconds.
    y = {"y": MILLISECONDS.astype(np.int64) // 1000}
    nodes = [to_long, node("Div", ["a", "k"], ["y"])]
    yield case("milliseconds", nodes, {"x": MILLISECONDS}, y, opset=13, constants={"k": np.array(1000)})
    nodes = [to_long, node("Cast", ["a"], ["y"], to=FLOAT)]
    yield case("there_and_back", nodes, {"x": BILLIONS}, {"y": BILLIONS}, opset=13)
    y = {"y": BILLIONS.astype(np.int64) % 1_000_003}
    nodes = [node("Floor", ["x"], ["f"]), node("Cast", ["f"], ["a"], to=INT64), node("Mod", ["a", "k"], ["y"])]
    yield case("hash", nodes, {"x": BILLIONS}, y, opset=13, constants={"k": np.array(1_000_003)})
