"""Pools at the edges: pads that count or not, ceil_mode, dilations, auto_pad, indices of ties.

Reports: onnxruntime #24681 #16203 #16351, onnx #4958 #5276, tract #2851.
"""

import itertools

import numpy as np
from suite import INT64, case, f32, label, node, onnxruntime


def cases():
    yield from averages()
    yield from smallest()
    yield from same_as_input()
    yield from auto_pads()
    yield from maxima()
    yield from doubles()


def pool(x, kernel, stride=1, pads=(0, 0), dilation=1, ceil=False, padded=False, kind="average", p=2):
    """Pools one axis, by the letter: what lies in the input or its pads counts where `padded`."""
    before, after = pads
    reach = len(x) + before + after - ((kernel - 1) * dilation + 1)
    length = (-(-reach // stride) if ceil else reach // stride) + 1
    if ceil and (length - 1) * stride >= len(x) + before:
        length -= 1
    found = []
    for start in range(-before, -before + length * stride, stride):
        places = [start + step * dilation for step in range(kernel)]
        values = [x[place] for place in places if 0 <= place < len(x)]
        counted = sum(-before <= place < len(x) + after for place in places) if padded else len(values)
        match kind:
            case "average":
                found.append(sum(values) / counted if counted else None)
            case "max":
                found.append(max(values))
            case "lp":
                found.append(sum(abs(value) ** p for value in values) ** (1 / p))
    return None if None in found else f32(*found)


def averages():
    random = np.random.RandomState(0)
    options = itertools.product((7, 9), (2, 3), (2, 3), ((0, 0), (1, 1), (1, 0)), (1, 2), (0, 1), (0, 1))
    for length, kernel, stride, pads, dilation, ceil, padded in options:
        x = random.randn(length).astype(np.float32)
        y = pool(x, kernel, stride, pads, dilation, ceil, padded)
        if y is None:
            continue
        name = f"average_{length}_kernel_{kernel}_stride_{stride}_pads_{pads}_dilation_{dilation}_ceil_{ceil}_{padded}"
        nodes = [
            node(
                *("AveragePool", ["x"], ["y"]),
                kernel_shape=[kernel],
                strides=[stride],
                pads=pads,
                dilations=[dilation],
                ceil_mode=ceil,
                count_include_pad=padded,
            )
        ]
        yield case(name, nodes, {"x": x.reshape(1, 1, -1)}, {"y": y.reshape(1, 1, -1)}, opset=19)


def smallest():
    x = f32(1, 2, 3, 4, 5)
    for opset in (7, 10, 11, 19, 22):
        ceil = {"ceil_mode": 1} if opset >= 10 else {}
        nodes = [node("AveragePool", ["x"], ["y"], kernel_shape=[2], strides=[2], count_include_pad=1, **ceil)]
        y = pool(x, 2, 2, ceil=bool(ceil), padded=True)
        yield case(f"smallest_opset_{opset}", nodes, {"x": x.reshape(1, 1, 5)}, {"y": y.reshape(1, 1, -1)}, opset=opset)


def same_as_input():
    x = np.arange(12, dtype=np.float32).reshape(1, 1, 6, 2)
    for auto, padded, opset in itertools.product(("SAME_LOWER", "SAME_UPPER"), (0, 1), (11, 19)):
        for kernel, stride, pads in ((5, 1, (2, 2)), (4, 2, (1, 1))):
            columns = [pool(x[0, 0, :, column], kernel, stride, pads, padded=padded) for column in range(2)]
            how = dict(kernel_shape=[kernel, 1], strides=[stride, 1], auto_pad=auto, count_include_pad=padded)
            name = f"{auto}_kernel_{kernel}_padded_{padded}_opset_{opset}"
            y = {"y": np.stack(columns, 1)[None, None]}
            yield case(name, [node("AveragePool", ["x"], ["y"], **how)], {"x": x}, y, opset=opset)


def auto_pads():
    x = np.arange(7, dtype=np.float32)
    for auto, pads in (("SAME_LOWER", (1, 0)), ("SAME_UPPER", (0, 1)), ("VALID", (0, 0))):
        for op, kind in (("AveragePool", "average"), ("MaxPool", "max"), ("LpPool", "lp")):
            nodes = [node(op, ["x"], ["y"], kernel_shape=[2], auto_pad=auto)]
            y = pool(x, 2, pads=pads, kind=kind).reshape(1, 1, -1)
            yield case(f"{op}_{auto}", nodes, {"x": x.reshape(1, 1, 7)}, {"y": y}, opset=18)


def maxima():
    falling = -np.arange(1, 26, dtype=np.float32).reshape(1, 1, 5, 5)
    two = [2, 2]
    for name, x, how in (
        ("padded", falling, dict(kernel_shape=[3, 3], strides=two, pads=[1] * 4)),
        ("ceil", falling, dict(kernel_shape=two, strides=two, ceil_mode=1)),
        ("dilated", falling, dict(kernel_shape=two, dilations=two)),
        ("columns", falling, dict(kernel_shape=two, storage_order=1)),
        ("ties", np.ones((1, 1, 3, 3), np.float32), dict(kernel_shape=two)),
    ):
        nodes = [node("MaxPool", ["x"], ["y", "i"], **how)]
        yield case(f"MaxPool_indices_{name}", nodes, {"x": x}, onnxruntime(y=1, i=INT64), opset=12)
    # Where the largest of nothing but minus infinity lies, is nobody's word.
    x = np.full((1, 1, 4), -np.inf, np.float32)
    yield case("MaxPool_inf", [node("MaxPool", ["x"], ["y"], kernel_shape=[2])], {"x": x}, {"y": x[..., 1:]}, opset=12)
    for dtype in (np.int8, np.uint8):
        x = (np.arange(25) - 12).astype(dtype).reshape(1, 1, 5, 5)
        nodes = [node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1] * 4)]
        expected = onnxruntime(y=2 if dtype == np.uint8 else 3)
        yield case(f"MaxPool_{label(dtype)}", nodes, {"x": x}, expected, opset=12)


def doubles():
    """In FP64, of numbers that FP32 takes for equal."""
    x = 1 + np.random.RandomState(5).rand(1, 2, 4, 4) * 1e-9
    near = dict(opset=13, rtol=1e-14, atol=0)
    for op, function in (("GlobalAveragePool", np.mean), ("GlobalMaxPool", np.max)):
        y = {"y": function(x, (2, 3), keepdims=True)}
        yield case(f"{op}_float64", [node(op, ["x"], ["y"])], {"x": x}, y, **near)
    corners = np.stack([x[..., row::2, column::2] for row, column in np.ndindex(2, 2)])
    for op, function in (("AveragePool", np.mean), ("MaxPool", np.max)):
        nodes, y = [node(op, ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], {"y": function(corners, 0)}
        yield case(f"{op}_float64", nodes, {"x": x}, y, **near)
