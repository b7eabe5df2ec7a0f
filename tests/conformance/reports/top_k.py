"""TopK with NaN, ties, infinities and extremes: a NaN is above every number, of equals the first comes first.

Reports: onnx #4716 #3501, onnxruntime #9843.
"""

import numpy as np
from suite import FLOATS, case, i64, label, node

INF, NAN = np.inf, np.nan


def cases():
    yield from one_nan()
    yield from ties_and_ends()


def top(name, x, count, expected, **how):
    nodes = [node("TopK", ["x", "k"], ["v", "i"], **how)]
    return case(name, nodes, {"x": x}, expected, opset=11, constants={"k": i64(count)})


def one_nan():
    random = np.random.RandomState(0)
    for length in (9, 50, 1000):
        x = random.randn(1, length).astype(np.float32)
        x[0, length // 3] = NAN
        order = np.concatenate([[length // 3], np.argsort(-np.nan_to_num(x[0], nan=-INF), kind="stable")[:4]])
        yield top(f"one_nan_of_{length}", x, 5, {"v": x[:, order], "i": order[None]})


def ties_and_ends():
    rows = {
        "equal": (3, 3, 3, 3, 3, 3),
        "ties": (1, 3, 2, 3, 1, 3),
        "infinities": (INF, 1, -INF, INF, 0, -INF),
        "zeros": (0, -1, 0, 1, 0, -1),
    }
    for (name, values), dtype in ((row, dtype) for row in rows.items() for dtype in FLOATS):
        for largest in (0, 1):
            x = np.array([values], dtype)
            keys = -x[0] if largest else x[0]
            order = np.argsort(keys, kind="stable")[:4]
            expected = {"v": x[:, order], "i": order[None]}
            yield top(f"{name}_{label(dtype)}_largest_{largest}", x, 4, expected, largest=largest)
    for dtype in (np.int64, np.int32):
        limits = np.iinfo(dtype)
        x = np.array([[limits.min, 0, limits.max, limits.max, -1, limits.min]], dtype)
        order = np.array([2, 3, 1, 4])
        yield top(f"extremes_{label(dtype)}", x, 4, {"v": x[:, order], "i": order[None]})
