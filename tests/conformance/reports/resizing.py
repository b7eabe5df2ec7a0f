"""Resize and Upsample: nearest at halves and wholes, the forms of older operator sets, beside NaN and infinities, cubic to
one.

Reports: onnxruntime #28310 #12098, onnx #7841, iree #24264.
"""

import itertools

import numpy as np
from suite import case, f32, i64, label, node, onnxruntime, reference

ROUNDING = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
# half_pixel_symmetric is left out: the reference's own noise in FP64 decides there.
PLACES = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")
SCALES = (2.0, 3.0, 1.5, 2.5, 0.5, 0.75, 0.4, 4.0)


def cases():
    yield from nearest()
    yield from nearest_by_scale()
    yield from nearest_by_size()
    yield from before_opset_11()
    yield from not_finite()
    yield from types()
    yield from to_one()


def by_scale(name, x, scales, expected, opset=13, **attributes):
    nodes = [node("Resize", ["x", "", "s"], ["y"], **attributes)]
    return case(name, nodes, {"x": x}, expected, opset=opset, constants={"s": f32(*scales)})


def by_size(name, x, sizes, expected, opset=13, **attributes):
    nodes = [node("Resize", ["x", "", "", "s"], ["y"], **attributes)]
    return case(name, nodes, {"x": x}, expected, opset=opset, constants={"s": i64(*sizes)})


def row(*values):
    return f32(*values).reshape(1, 1, 1, -1)


def nearest():
    wide, even = row(*range(26)), np.linspace(0, 1, 20, dtype=np.float32).reshape(1, 1, 1, 20)
    square = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
    odd = np.arange(35, dtype=np.float32).reshape(1, 1, 5, 7)
    for rounding, place in itertools.product(ROUNDING, PLACES):
        how = dict(mode="nearest", nearest_mode=rounding, coordinate_transformation_mode=place, opset=19)
        wanted, name = reference(y=1), f"{rounding}_{place}"
        yield by_size(f"26_to_64_{name}", wide, (1, 1, 1, 64), wanted, **how)
        yield by_size(f"20_to_6_{name}", even, (1, 1, 1, 6), wanted, **how)
        yield by_scale(f"times_2_{name}", square, (1, 1, 2, 2), wanted, **how)
        yield by_scale(f"times_1.5_{name}", odd, (1, 1, 1.5, 1.5), wanted, **how)


def nearest_by_scale():
    for scale, rounding, place in itertools.product(SCALES, ROUNDING, PLACES):
        how = dict(mode="nearest", nearest_mode=rounding, coordinate_transformation_mode=place)
        yield by_scale(f"10_times_{scale}_{rounding}_{place}", row(*range(10)), (1, 1, 1, scale), reference(y=1), **how)


def nearest_by_size():
    for size in range(1, 40, 3):
        how = dict(mode="nearest", nearest_mode="round_prefer_ceil")
        yield by_size(f"20_to_{size}_round_prefer_ceil", row(*range(20)), (1, 1, 1, size), reference(y=1), **how)


def before_opset_11():
    """Asymmetric and rounded down, in a form of its own."""
    x = row(*range(10))
    for scale in SCALES:
        places = np.floor(np.arange(int(np.floor(10 * scale))) / np.float64(np.float32(scale))).astype(int)
        y, s = {"y": x[..., np.minimum(places, 9)]}, {"s": f32(1, 1, 1, scale)}
        for mode, expected in (("nearest", y), ("linear", onnxruntime(y=1))):
            nodes = [node("Resize", ["x", "s"], ["y"], mode=mode)]
            yield case(f"opset_10_{mode}_{scale}", nodes, {"x": x}, expected, opset=10, constants=s)
        if scale >= 1:
            nodes = [node("Upsample", ["x", "s"], ["y"], mode="nearest")]
            yield case(f"upsample_9_{scale}", nodes, {"x": x}, y, opset=9, constants=s)
    x = np.arange(4, dtype=np.float32).reshape(1, 1, 2, 2)
    nodes = [node("Upsample", ["x"], ["y"], mode="nearest", scales=[1.0, 1.0, 2.0, 3.0])]
    yield case("upsample_7", nodes, {"x": x}, {"y": x.repeat(2, 2).repeat(3, 3)}, opset=7)
    nodes = [node("Upsample", ["x"], ["y"], mode="linear", scales=[1.0, 1.0, 2.0, 2.0])]
    yield case("upsample_7_linear", nodes, {"x": x}, onnxruntime(y=1), opset=7)
    nodes = [node("Resize", ["x", "s"], ["y"], mode="nearest")]
    y = {"y": x.repeat(2, 2).repeat(3, 3)}
    yield case("opset_10_2_by_3", nodes, {"x": x}, y, opset=10, constants={"s": f32(1, 1, 2, 3)})
    nodes = [node("Resize", ["x", "s"], ["y"], mode="linear")]
    yield case("opset_10_linear", nodes, {"x": x}, onnxruntime(y=1), opset=10, constants={"s": f32(1, 1, 1.5, 2.5)})


def not_finite():
    x = row(1, np.inf, 3, np.nan, -np.inf, 6)
    twice, doubled, scales = {"y": np.repeat(x, 2, 3)}, (1, 1, 1, 2), {"s": f32(1, 1, 1, 2)}
    how = dict(mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")
    yield by_scale("not_finite_asymmetric", x, doubled, twice, **how)
    yield by_scale("not_finite_default", x, doubled, twice, mode="nearest")
    nodes = [node("Upsample", ["x", "s"], ["y"], mode="nearest")]
    yield case("not_finite_upsample_9", nodes, {"x": x}, twice, opset=9, constants=scales)
    nodes = [node("Upsample", ["x"], ["y"], mode="nearest", scales=[1.0, 1.0, 1.0, 2.0])]
    yield case("not_finite_upsample_7", nodes, {"x": x}, twice, opset=7)
    x = row(1, np.inf, 3, 5)
    yield by_scale("not_finite_linear_same", x, (1, 1, 1, 1), {"y": x}, mode="linear")
    how = dict(mode="linear", coordinate_transformation_mode="align_corners")
    yield by_scale("not_finite_linear_corners", x, doubled, onnxruntime(y=1), **how)


def types():
    far = {np.int64: 2**40 + 1, np.int32: 2**24 + 1}
    for dtype in (np.uint8, np.int8, np.int32, np.int64, np.float16, np.float64):
        x = (np.arange(4) + far.get(dtype, 0)).astype(dtype).reshape(1, 1, 2, 2)
        y = {"y": x.repeat(2, 2).repeat(2, 3)}
        yield by_scale(f"type_{label(dtype)}", x, (1, 1, 2, 2), y, mode="nearest")


def cubic(x, place):
    """A row where it would be at a place between its elements: of four of them, the last ones repeated."""
    first = int(np.floor(place))
    distances = np.abs(place - np.arange(first - 1, first + 3))
    inner = 1.25 * distances**3 - 2.25 * distances**2 + 1
    outer = -0.75 * (distances**3 - 5 * distances**2 + 8 * distances - 4)
    weights = np.where(distances <= 1, inner, outer)
    return x[np.clip(np.arange(first - 1, first + 3), 0, len(x) - 1)].astype(np.float64) @ weights


def to_one():
    """pytorch_half_pixel takes an extent of 1 from place 0, by its text, and others as half_pixel does.

    ONNX's reference takes it from half a pixel before.
    """
    for length in (2, 3, 6):
        x = np.random.RandomState(length).rand(length).astype(np.float32)
        how = dict(mode="cubic", coordinate_transformation_mode="pytorch_half_pixel", opset=18)
        yield by_size(f"cubic_{length}_to_1", row(*x), (1, 1, 1, 1), {"y": row(x[0])}, **how)
        places = (np.arange(5) + 0.5) * length / 5 - 0.5
        wide = f32(*(cubic(x, place) for place in places)).reshape(1, 1, 1, 5)
        square = np.stack([x, x[::-1]])[None, None]
        yield by_size(f"cubic_2_by_{length}_to_1_by_5", square, (1, 1, 1, 5), {"y": wide}, **how)
