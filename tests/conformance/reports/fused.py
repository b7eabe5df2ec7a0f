"""What optimisers fuse or reorder: a convolution as the right operand, steps after a softmax, remainders of a smaller
left operand, a layer norm with another exponent, and padding before a pool.
"""

import itertools

import numpy as np
from suite import FLOAT, case, f32, i64, node, normal, onnxruntime

BINARY = ("Sub", "Div", "Add", "Mul")
ENDS = {2: (0, 2**62), -1: (-1, -(2**62))}


def cases():
    yield from operands()
    yield from linear_twice()
    yield from steps()
    yield from ends_given()
    yield from remainders()
    yield from powers()
    yield from pads()


def positive(random, *shape):
    """Far enough from 0 to divide by."""
    return (random.rand(*shape) + 0.5).astype(np.float32)


def producers(random):
    """What an optimiser multiplies or adds constants into: nodes from `x` to `q`, an input, constants, and channels."""
    x, w = positive(random, 1, 3, 5, 5), {"w": positive(random, 4, 3, 2, 2)}
    conv, hidden = (node("Conv", ["x", "w"], [name]) for name in "qp")
    norm = node("BatchNormalization", ["p", "g", "h", "m", "v"], ["q"])
    affine = {key: positive(random, 4) for key in "ghmv"}
    yield "Conv", [conv], x, w, 4
    yield "Conv_with_bias", [node("Conv", ["x", "w", "b"], ["q"])], x, {**w, "b": positive(random, 4)}, 4
    each = {"w": positive(random, 3, 1, 2, 2)}
    yield "Conv_by_channel", [node("Conv", ["x", "w"], ["q"], group=3)], x, each, 3
    yield "Conv_normalised", [hidden, norm], x, {**w, **affine}, 4
    scaled = [hidden, node("Mul", ["p", "k"], ["q"])]
    yield "Conv_scaled", scaled, x, {**w, "k": positive(random, 4, 1, 1)}, 4
    yield "Conv_passed_on", [hidden, node("Identity", ["p"], ["q"])], x, w, 4
    row = {"w": positive(random, 4, 3, 2)}
    yield "Conv_of_a_row", [conv], positive(random, 1, 3, 5), row, 4
    turned = {"w": positive(random, 3, 4, 2, 2)}
    yield "ConvTranspose", [node("ConvTranspose", ["x", "w"], ["q"])], x, turned, 4


def operands():
    """A number by channel on the left of a convolution; of a plain one on either side, and given at run, too."""
    random = np.random.RandomState(0)
    for name, nodes, x, weights, channels in producers(random):
        c = positive(random, channels, *[1] * (x.ndim - 2))
        plain = name == "Conv"
        for op, order in itertools.product(BINARY if plain else ("Sub", "Div"), ("cq", "qc") if plain else ("cq",)):
            both, side = [*nodes, node(op, list(order), ["y"])], "left" if order == "cq" else "right"
            near, told, title = dict(opset=15, rtol=1e-4), onnxruntime(y=FLOAT), f"{op}_{side}_of_{name}"
            yield case(title, both, {"x": x}, told, constants={**weights, "c": c}, **near)
            if plain:
                yield case(f"{title}_given", both, {"x": x, "c": c}, told, constants=weights, **near)


def linear_twice():
    """Constants on both sides, one after another, of what is linear."""
    random = np.random.RandomState(1)
    x, w, c, d = (positive(random, *shape) for shape in ((2, 3, 4), (4, 5), (5,), (3, 1)))
    after = [node("Sub", ["c", "q"], ["r"]), node("Mul", ["r", "d"], ["s"]), node("Sub", ["d", "s"], ["y"])]
    y = {"y": d - (c - x @ w) * d}
    product = node("MatMul", ["x", "w"], ["q"])
    yield case("twice_of_MatMul", [product, *after], {"x": x}, y, constants={"w": w, "c": c, "d": d}, rtol=1e-4)
    kernel = positive(random, 5, 3, 1)
    y = {"y": c[:, None] - np.einsum("bcl,oc->bol", x, kernel[..., 0])}
    given, turned = {"w": kernel, "c": c[:, None]}, [node("Conv", ["x", "w"], ["q"]), node("Sub", ["c", "q"], ["y"])]
    yield case("Sub_left_of_Conv_of_1", turned, {"x": x}, y, constants=given, rtol=1e-4)
    turned.append(node("CumSum", ["y", "a"], ["z"], reverse=1))
    y["z"] = y["y"][..., ::-1].cumsum(2)[..., ::-1]
    yield case("Sub_left_of_Conv_summed", turned, {"x": x}, y, constants={**given, "a": np.array(2)}, rtol=1e-4)


def softmax(x, axis):
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def layer_norm(x, axis):
    """Over the axis and what follows it."""
    axes = tuple(range(axis, x.ndim))
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)


def rms_norm(x, axis):
    return x / np.sqrt((x * x).mean(tuple(range(axis, x.ndim)), keepdims=True) + 1e-5)


ALONG = {
    "Softmax": softmax,
    "LogSoftmax": lambda x, axis: np.log(softmax(x, axis)),
    "LayerNormalization": layer_norm,
    "RMSNormalization": rms_norm,
    "ReduceMean": lambda x, axis: x.mean(axis, keepdims=True),
}


def along(op, axis, x):
    """The operator from `x` to `q`, its constants, and what it gives."""
    constants, how = {}, {"axis": axis}
    if op == "ReduceMean":
        constants, how = {"axes": i64(axis)}, {}
    elif op.endswith("Normalization"):
        constants = {"scale": np.ones(x.shape[axis:], np.float32)}
    return node(op, ["x", *constants], ["q"], **how), constants, ALONG[op](x.astype(np.float64), axis)


def steps():
    """Every second, or all in reverse, along the axis that was looked at and along another."""
    x = normal(np.random.RandomState(2), 2, 5, 4)
    for op, step, (axis, stepped) in itertools.product(ALONG, ENDS, ((1, 1), (2, 2), (1, 0))):
        producer, constants, q = along(op, axis, x)
        start, end = ENDS[step]
        constants |= {"s": i64(start), "e": i64(end), "a": i64(stepped), "t": i64(step)}
        nodes = [producer, node("Slice", ["q", "s", "e", "a", "t"], ["y"])]
        y = {"y": q[(slice(None),) * stepped + (slice(None, None, step),)].astype(np.float32)}
        name = f"step_{step}_along_{stepped}_after_{op}_{axis}"
        yield case(name, nodes, {"x": x}, y, opset=23, ir=10, constants=constants, rtol=1e-4, atol=1e-5)


def ends_given():
    """Starts and ends that only the run tells."""
    x = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    nodes = [node("Slice", ["x", "s", "e", "a", "t"], ["y"])]
    for name, starts, ends, axes, by, y in (
        ("2", [0], [4], [2], [2], x[..., ::2]),
        ("minus_1", [-1], [-9], [1], [-1], x[:, ::-1]),
        ("minus_2_and_2", [3, 0], [-9, 9], [-1, 1], [-2, 2], x[:, ::2, 3::-2]),
        ("minus_2_to_nothing", [0, 2], [9, 3], [0, 2], [1, -2], x[..., 2:3:-2]),
    ):
        told = {"a": i64(*axes), "t": i64(*by)}
        given = {"x": x, "s": i64(*starts), "e": i64(*ends)}
        yield case(f"ends_given_step_{name}", nodes, given, {"y": y}, opset=13, constants=told)


def remainders():
    """A left operand that is broadcast: constant, given, computed."""
    for dtype, fmod in ((np.int32, 0), (np.int32, 1), (np.float32, 1)):
        right, left = np.array([[3, 4, 5], [6, 7, 8]], dtype), np.array([-20, 19, 37], dtype)
        y, how = {"y": (np.fmod if fmod else np.mod)(left, right)}, {"fmod": fmod} if fmod else {}
        nodes, name = [node("Mod", ["l", "x"], ["y"], **how)], f"{np.dtype(dtype).name}_fmod_{fmod}"
        yield case(f"Mod_constant_{name}", nodes, {"x": right}, y, opset=13, constants={"l": left})
        yield case(f"Mod_given_{name}", nodes, {"x": right, "l": left}, y, opset=13)
        computed = [node("Neg", ["n"], ["l"]), *nodes]
        yield case(f"Mod_computed_{name}", computed, {"x": right, "n": -left}, y, opset=13)


def powers():
    """Written out as a layer norm is, with an exponent that makes it another function."""
    # Rows lean to one side, so that their third powers have a mean above 0.
    x = np.random.RandomState(3).exponential(1, (2, 3, 8)).astype(np.float32)
    wide, scale, shift = x.astype(np.float64), f32(*range(1, 9)), f32(*range(8))
    centred = wide - wide.mean(-1, keepdims=True)
    nodes = [
        node("ReduceMean", ["x"], ["m"], axes=[-1]),
        node("Sub", ["x", "m"], ["d"]),
        node("Pow", ["d", "p"], ["q"]),
        node("ReduceMean", ["q"], ["v"], axes=[-1]),
        node("Add", ["v", "e"], ["ve"]),
        node("Sqrt", ["ve"], ["s"]),
        node("Div", ["d", "s"], ["n"]),
        node("Mul", ["n", "g"], ["h"]),
        node("Add", ["h", "b"], ["y"]),
    ]
    # The mean of half powers of negative numbers is NaN, and that of first powers next to 0.
    for power in (2, 3, 4, 1, 0.5):
        spread = np.sqrt((centred**power).mean(-1, keepdims=True) + 2)
        constants = {"p": np.float32(power), "e": np.float32(2), "g": scale, "b": shift}
        y = {"y": (centred / spread * scale + shift).astype(np.float32)}
        near = dict(opset=13, rtol=1e-4, atol=1e-4)
        yield case(f"layer_norm_of_power_{power}", nodes, {"x": x}, y, constants=constants, **near)


def windows(x, function):
    """A function of each 2 by 2 of the last two axes."""
    return function(np.lib.stride_tricks.sliding_window_view(x, (2, 2), (-2, -1)), (-2, -1))


def pads():
    """Of negative numbers, 0 at the edge is the largest and counts in a mean."""
    x, edges = -1 - positive(np.random.RandomState(4), 1, 2, 4, 4), i64(0, 0, 1, 1, 0, 0, 1, 1)
    for op, how, function in (
        ("MaxPool", {}, np.max),
        ("AveragePool", {}, np.mean),
        ("AveragePool", {"count_include_pad": 1}, np.mean),
    ):
        pool, name = node(op, ["q"], ["y"], kernel_shape=[2, 2], **how), f"{op}{'_counting' if how else ''}"
        for value in (None, 0, 1):
            told = {} if value is None else {"v": np.float32(value)}
            wide = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=value or 0)
            nodes, y = [node("Pad", ["x", "p", *told], ["q"]), pool], {"y": windows(wide, function)}
            title = f"Pad_{'default' if value is None else value}_before_{name}"
            yield case(title, nodes, {"x": x}, y, opset=13, constants={"p": edges, **told})
        nodes = [node("Pad", ["x"], ["q"], pads=edges.tolist()), pool]
        y = {"y": windows(np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), function)}
        yield case(f"Pad_10_before_{name}", nodes, {"x": x}, y, opset=10)
