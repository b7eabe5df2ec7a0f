"""Softmax, LogSoftmax and Hardmax: before opset 13 over flattened axes, at extremes, by length.

Reports: tvm #20183, openvino #37823, onnxruntime #26391.
"""

import numpy as np
from suite import case, f32, in_double, node

INF = np.inf


def cases():
    yield from flattened()
    yield from extremes()
    yield from lengths()


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def log_softmax(x):
    shifted = x - x.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def hardmax(x):
    return np.eye(x.shape[1])[x.argmax(1)]


def flattened():
    """Everything from the axis on is one, 1 where it is left out."""
    x = np.random.RandomState(0).randn(2, 3, 4, 5).astype(np.float32)
    for opset in (1, 7, 9, 11, 12):
        for axis in (None, 0, 1, 2, 3) + ((-1, -2, -3) if opset >= 11 else ()):
            given = {} if axis is None else {"axis": axis}
            rows = x.reshape(int(np.prod(x.shape[: (1 if axis is None else axis) % 4])), -1)
            for op, function in (("Softmax", softmax), ("LogSoftmax", log_softmax), ("Hardmax", hardmax)):
                y = {"y": in_double(function, rows).reshape(x.shape)}
                yield case(
                    f"{op}_opset_{opset}_axis_{axis}", [node(op, ["x"], ["y"], **given)], {"x": x}, y, opset=opset
                )


def extremes():
    x = f32(
        [1e30, 1e30, -1e30],
        [INF, 1, 2],
        [-INF, -INF, -INF],
        [-INF, 0, -INF],
        [np.nan, 1, 2],
        [1000, 1001, 1002],
        [-1000, -1001, -1002],
    )
    for opset in (11, 13):
        for op, function in (("Softmax", softmax), ("LogSoftmax", log_softmax)):
            y = {"y": in_double(function, x)}
            yield case(f"{op}_extremes_opset_{opset}", [node(op, ["x"], ["y"])], {"x": x}, y, opset=opset)


def lengths():
    for length in (1, 2, 63, 64, 65, 255, 256, 257, 1023, 1025, 5000):
        x = np.random.RandomState(length).randn(3, length).astype(np.float32) * 10
        y = in_double(softmax, x)
        yield case(f"length_{length}", [node("Softmax", ["x"], ["y"], axis=-1)], {"x": x}, {"y": y}, opset=13)
        turned = {"x": x.T.copy()}
        yield case(f"length_{length}_axis_0", [node("Softmax", ["x"], ["y"], axis=0)], turned, {"y": y.T}, opset=13)
