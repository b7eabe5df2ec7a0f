"""Conv and ConvTranspose by the letter: auto_pad, output_shape, negative pads, groups, a NaN in a corner.

Reports: onnx #4299, onnxruntime #2518 #4698 #4086 #11927 #14208 #13311, tract #991.
"""

import itertools

import numpy as np
from suite import case, node, normal

TOLERANCE = dict(rtol=1e-4, atol=1e-4)


def cases():
    random = np.random.RandomState(0)
    yield from transposed(random)
    yield from same_and_output_shape(random)
    yield from direct(random)
    yield from not_finite(random)


def conv_transpose(x, w, group, strides, dilations, pads, more):
    """Each pixel adds its window; pads cut what sticks out, negative ones add zeros."""
    axes, channels, each = x.ndim - 2, x.shape[1] // group, w.shape[1]
    kernel = w.shape[2:]
    whole = [(x.shape[2 + i] - 1) * strides[i] + (kernel[i] - 1) * dilations[i] + 1 + more[i] for i in range(axes)]
    y = np.zeros((x.shape[0], each * group, *whole))
    for tap in itertools.product(*map(range, kernel)):
        place = tuple(
            slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilations, x.shape[2:], strides)
        )
        for g in range(group):
            inputs, outputs = slice(g * channels, (g + 1) * channels), slice(g * each, (g + 1) * each)
            y[(slice(None), outputs, *place)] += np.einsum(
                "nc...,cm->nm...", x[:, inputs], w[(inputs, slice(None), *tap)]
            )
    return crop(y, pads).astype(np.float32)


def crop(y, pads):
    axes = y.ndim - 2
    for axis in range(axes):
        before, after = pads[axis], pads[axis + axes]
        widths = [(0, 0)] * y.ndim
        widths[2 + axis] = (max(-before, 0), max(-after, 0))
        y = np.pad(y, widths)
        y = y.take(np.arange(max(before, 0), y.shape[2 + axis] - max(after, 0)), 2 + axis)
    return y


def one_transposed(name, x, w, b=None, told=None, **how):
    """`told` are the pads that auto_pad or output_shape come to."""
    axes, group = x.ndim - 2, how.get("group", 1)
    ones, pads = [1] * axes, told or how.get("pads", [0] * 2 * axes)
    strides, dilations = how.get("strides", ones), how.get("dilations", ones)
    y = conv_transpose(x, w, group, strides, dilations, pads, how.get("output_padding", [0] * axes))
    constants, names = {"w": w}, ["x", "w"]
    if b is not None:
        constants["b"], y = b, y + b.reshape(1, -1, *ones)
        names.append("b")
    nodes = [node("ConvTranspose", names, ["y"], **how)]
    return case(f"transposed_{name}", nodes, {"x": x}, {"y": y}, opset=13, constants=constants, **TOLERANCE)


def transposed(random):
    x, w = normal(random, 1, 1, 5, 4), normal(random, 1, 3, 3, 5)
    yield one_transposed("dilation_and_stride", x, w, dilations=[3, 1], strides=[2, 1], pads=[4, 2, 4, 2])
    x, w, b = normal(random, 1, 4, 3, 3), normal(random, 4, 2, 3, 3), normal(random, 4)
    how = dict(group=2, strides=[2, 2], pads=[1] * 4, output_padding=[1, 1])
    yield one_transposed("groups_and_bias", x, w, b, **how)
    x, w = normal(random, 2, 3, 4), normal(random, 3, 2, 3)
    yield one_transposed("negative_end", x, w, strides=[2], pads=[0, -1])
    yield one_transposed("negative_begin", x, w, strides=[2], pads=[-2, 1])
    x, w = normal(random, 1, 2, 2, 3, 2), normal(random, 2, 2, 2, 2, 3)
    how = dict(strides=[2, 1, 3], dilations=[1, 2, 1], pads=[0, 1] * 3, output_padding=[1, 0, 2])
    yield one_transposed("three_axes", x, w, **how)
    x, w = normal(random, 1, 16, 9, 9), normal(random, 16, 8, 4, 4)
    yield one_transposed("twice_the_size", x, w, strides=[2, 2], pads=[1] * 4)
    x, w = normal(random, 1, 6, 5, 5), normal(random, 6, 1, 3, 3)
    yield one_transposed("depthwise", x, w, group=6, strides=[2, 2], pads=[1] * 4)


def same_and_output_shape(random):
    x, w, twos = normal(random, 1, 2, 3, 3), normal(random, 2, 1, 3, 3), [2, 2]
    begin, end, both = [1, 1, 0, 0], [0, 0, 1, 1], [1] * 4
    yield one_transposed("same_upper", x, w, told=end, strides=twos, auto_pad="SAME_UPPER")
    yield one_transposed("same_lower", x, w, told=begin, strides=twos, auto_pad="SAME_LOWER")
    for auto in ("SAME_UPPER", "SAME_LOWER"):
        how = dict(strides=twos, auto_pad=auto, output_padding=[1, 1])
        yield one_transposed(f"{auto}_with_output_padding".lower(), x, w, told=both, **how)
    yield one_transposed("same_stride_1", x, w, told=both, strides=[1, 1], auto_pad="SAME_UPPER")
    yield one_transposed("valid", x, w, strides=twos, auto_pad="VALID")
    # One is to be cut. Without auto_pad the larger half comes first.
    six = dict(strides=twos, output_shape=[6, 6])
    yield one_transposed("output_shape", x, w, told=begin, **six)
    yield one_transposed("output_shape_upper", x, w, told=end, auto_pad="SAME_UPPER", **six)
    yield one_transposed("output_shape_lower", x, w, told=begin, auto_pad="SAME_LOWER", **six)
    how = dict(dilations=twos, pads=[3] * 4, output_padding=[1, 1])
    yield one_transposed("output_padding_of_dilation", x, w, **how)


def conv(x, w, group, strides, dilations, pads):
    axes, kernel = x.ndim - 2, w.shape[2:]
    x = np.pad(x, [(0, 0), (0, 0)] + [(pads[i], pads[i + axes]) for i in range(axes)]).astype(np.float64)
    whole = [(x.shape[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(axes)]
    y, channels, each = np.zeros((x.shape[0], w.shape[0], *whole)), w.shape[1], w.shape[0] // group
    for tap in itertools.product(*map(range, kernel)):
        place = tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilations, whole, strides))
        for g in range(group):
            inputs, outputs = slice(g * channels, (g + 1) * channels), slice(g * each, (g + 1) * each)
            # Each product is added by itself: a NaN stays where it is seen.
            y[:, outputs] += np.einsum(
                "nc...,mc->nm...", x[(slice(None), inputs, *place)], w[(outputs, slice(None), *tap)]
            )
    return y.astype(np.float32)


def one_direct(name, x, w, told=None, **how):
    axes, group = x.ndim - 2, how.get("group", 1)
    ones, pads = [1] * axes, told or how.get("pads", [0] * 2 * axes)
    y = {"y": conv(x, w, group, how.get("strides", ones), how.get("dilations", ones), pads)}
    nodes, more = [node("Conv", ["x", "w"], ["y"], **how)], dict(opset=13, **TOLERANCE)
    yield case(f"{name}_constant", nodes, {"x": x}, y, constants={"w": w}, **more)
    yield case(name, nodes, {"x": x, "w": w}, y, **more)


def direct(random):
    for name, image, weights, how in (
        ("even_lower", (1, 2, 5, 5), (3, 2, 2, 2), dict(told=[1, 1, 0, 0], auto_pad="SAME_LOWER")),
        ("even_upper", (1, 2, 5, 5), (3, 2, 2, 2), dict(told=[0, 0, 1, 1], auto_pad="SAME_UPPER")),
        ("asymmetric", (1, 2, 5, 6), (3, 2, 3, 3), dict(strides=[2, 1], dilations=[1, 2], pads=[0, 2, 1, 0])),
        ("point_stride_2", (2, 3, 7, 7), (4, 3, 1, 1), dict(strides=[2, 2])),
        ("groups_3", (1, 6, 9, 9), (6, 2, 3, 3), dict(group=3, pads=[1] * 4)),
        ("depthwise_times_2", (1, 3, 9, 9), (6, 1, 3, 3), dict(group=3, pads=[1] * 4)),
        ("depthwise_5", (1, 8, 15, 13), (8, 1, 5, 5), dict(group=8, pads=[2] * 4, strides=[2, 2], dilations=[2, 2])),
        ("one_axis", (2, 3, 20), (5, 3, 4), dict(strides=[3], dilations=[2], pads=[1, 2])),
        ("three_axes", (1, 2, 4, 5, 6), (3, 2, 2, 3, 2), dict(strides=[1, 2, 1], dilations=[1, 1, 2], pads=[0, 1] * 3)),
        ("odd_extents", (1, 8, 13, 11), (16, 8, 3, 3), dict(pads=[1] * 4)),
        ("no_pads", (3, 16, 7, 9), (8, 16, 3, 3), {}),
        ("kernel_larger_than_image", (1, 1, 2, 2), (1, 1, 5, 5), dict(pads=[2] * 4)),
        ("pads_larger_than_kernel", (1, 1, 2, 2), (1, 1, 2, 2), dict(pads=[4] * 4, strides=[3, 3])),
    ):
        yield from one_direct(name, normal(random, *image), normal(random, *weights), **how)


def not_finite(random):
    """Only the windows that see it."""
    for weights in ((2, 2, 3, 3), (8, 8, 3, 3), (4, 8, 1, 1)):
        x = normal(random, 1, weights[1], 9, 9)
        x[0, 0, 0, 0], x[0, 1, 8, 8] = np.inf, np.nan
        yield from one_direct(f"not_finite_{weights}", x, normal(random, *weights), pads=[weights[2] // 2] * 4)
