"""Attention written out as exporters write it: masked rows, masks of minus infinity and of the smallest number, FP16.

Reports: onnxruntime #31626 #26769 #16203.
"""

import itertools

import numpy as np
from suite import case, in_double, label, node, normal

HEADS, STEPS, SIZE = 2, 6, 8
SCORES = [
    node("Transpose", ["k"], ["kt"], perm=[0, 1, 3, 2]),
    node("MatMul", ["q", "kt"], ["s"]),
    node("Div", ["s", "root"], ["d"]),
]
REST = [node("Softmax", ["m"], ["p"], axis=-1), node("MatMul", ["p", "v"], ["y"])]


def cases():
    random = np.random.RandomState(0)
    for dtype, steps in itertools.product((np.float32, np.float16), (1, 3, STEPS)):
        for name, low in (("none", None), ("inf", -np.inf), ("smallest", np.finfo(dtype).min), ("ten_thousand", -1e4)):
            yield one(random, dtype, steps, name, low)
    yield from nowhere_to_look(random)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def attend(q, k, v, mask):
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(SIZE) + mask
    return softmax(scores) @ v


def one(random, dtype, steps, name, low):
    """The last steps of a sequence look at what came before them."""
    q = normal(random, 1, HEADS, steps, SIZE).astype(dtype)
    k, v = (normal(random, 1, HEADS, STEPS, SIZE).astype(dtype) for _ in range(2))
    mask = np.zeros((1, 1, steps, STEPS), dtype)
    if low is not None:
        mask[..., np.triu(np.ones((steps, STEPS), bool), STEPS - steps + 1)] = low
    y = {"y": in_double(attend, q, k, v, mask)}
    nodes = [*SCORES, node("Add", ["d", "mask"], ["m"]), *REST]
    root, near = {"root": dtype(np.sqrt(SIZE))}, dict(rtol=1e-4, atol=1e-5)
    if dtype == np.float16:
        near = dict(rtol=1e-2, atol=2e-2)
    given = {"q": q, "k": k, "v": v, "mask": mask}
    return case(f"{label(dtype)}_{steps}_of_{STEPS}_mask_{name}", nodes, given, y, opset=13, constants=root, **near)


def nowhere_to_look(random):
    """A row that is masked whole: NaN, and as `Where` guards against it, 0."""
    q, k, v = (normal(random, 1, HEADS, STEPS, SIZE) for _ in range(3))
    mask = np.zeros((1, 1, STEPS, STEPS), np.float32)
    mask[0, 0, 2] = -np.inf
    given, root = {"q": q, "k": k, "v": v, "mask": mask}, {"root": np.float32(np.sqrt(SIZE))}
    y = in_double(attend, q, k, v, mask)
    nodes = [*SCORES, node("Add", ["d", "mask"], ["m"]), *REST]
    near = dict(opset=13, rtol=1e-4, atol=1e-5)
    yield case("row_masked_whole", nodes, given, {"y": y}, constants=root, **near)
    guarded = [
        *SCORES,
        node("Add", ["d", "mask"], ["m"]),
        node("Softmax", ["m"], ["r"], axis=-1),
        node("IsNaN", ["r"], ["nan"]),
        node("Where", ["nan", "zero", "r"], ["p"]),
        node("MatMul", ["p", "v"], ["y"]),
    ]
    constants = {**root, "zero": np.float32(0)}
    yield case("row_masked_whole_guarded", guarded, given, {"y": np.nan_to_num(y)}, constants=constants, **near)
