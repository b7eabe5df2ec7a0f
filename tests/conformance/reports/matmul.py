"""Products: Gemm and MatMul of odd shapes, broadcast batches, whole numbers, NaN and infinities.

Reports: wonnx #94 #197, burn #4966.
"""

import itertools

import numpy as np
from suite import case, f32, label, node, normal

SHAPES = (
    ((3,), (3,)),
    ((3,), (3, 4)),
    ((2, 3), (3,)),
    ((5, 2, 3), (3,)),
    ((3,), (5, 3, 2)),
    ((1, 7, 5), (5, 6)),
    ((2, 3), (4, 3, 5)),
    ((4, 1, 2, 3), (5, 3, 2)),
    ((2, 1, 3, 4), (1, 6, 4, 2)),
    ((0, 2, 3), (3, 4)),
    ((1, 1, 1), (1, 1, 1)),
    ((535, 64), (64, 33)),
    ((1, 512, 384), (384, 384)),
    ((1, 1024), (1024, 1000)),
    ((7, 1000), (1000, 1)),
    ((65, 129), (129, 67)),
    ((2, 65, 129), (2, 129, 67)),
    ((33, 1), (1, 35)),
)


def cases():
    random = np.random.RandomState(0)
    yield from gemm(random)
    yield from shapes(random)
    yield from whole_numbers(random)
    yield from not_finite(random)


def gemm(random):
    for m, n, k in itertools.product((1, 2, 3, 5), (1, 2, 3, 4, 5, 7), (1, 2, 3, 9)):
        a_turned, b_turned = random.randint(2), random.randint(2)
        a = normal(random, *((k, m) if a_turned else (m, k)))
        b = normal(random, *((n, k) if b_turned else (k, n)))
        c = normal(random, *((), (1,), (n,), (1, n), (m, 1), (m, n), (1, 1))[random.randint(7)])
        alpha, beta = ((1.0, 1.0), (0.5, 2.0), (1.0, 0.0), (2.0, 1.0))[random.randint(4)]
        y = alpha * ((a.T if a_turned else a) @ (b.T if b_turned else b)) + beta * c
        how = dict(alpha=alpha, beta=beta, transA=a_turned, transB=b_turned)
        nodes = [node("Gemm", ["a", "b", "c"], ["y"], **how)]
        name = f"Gemm_{m}_{n}_{k}_turned_{a_turned}{b_turned}_plus_{c.shape}_{alpha}_{beta}"
        y = {"y": y.astype(np.float32)}
        yield case(name, nodes, {"a": a, "b": b, "c": c}, y, opset=13, rtol=1e-4, atol=1e-5)


def shapes(random):
    nodes, tolerance = [node("MatMul", ["a", "b"], ["y"])], dict(opset=13, rtol=1e-3, atol=1e-4)
    for left, right in SHAPES:
        a, b = normal(random, *left), normal(random, *right)
        name, y = f"MatMul_{left}_{right}", {"y": np.matmul(a, b)}
        yield case(name, nodes, {"a": a, "b": b}, y, **tolerance)
        yield case(f"{name}_constant", nodes, {"a": a}, y, constants={"b": b}, **tolerance)


def whole_numbers(random):
    nodes = [node("MatMul", ["a", "b"], ["y"])]
    for dtype in (np.int32, np.int64, np.uint32, np.float16, np.float64):
        a, b = random.randint(0, 50, (3, 5)).astype(dtype), random.randint(0, 50, (5, 4)).astype(dtype)
        y = {"y": np.matmul(a, b)}
        yield case(f"MatMul_{label(dtype)}", nodes, {"a": a, "b": b}, y, opset=13, rtol=1e-3)
    a, b = np.full((1, 4), 2**31 - 1, np.int32), np.full((4, 1), 3, np.int32)
    yield case("MatMul_int32_wraps", nodes, {"a": a, "b": b}, {"y": a @ b}, opset=13)


def not_finite(random):
    nodes = [node("MatMul", ["a", "b"], ["y"])]
    a, b = f32([np.inf, 1], [0, 2]), f32([0, 1], [1, 1])
    yield case("MatMul_inf", nodes, {"a": a, "b": b}, {"y": a @ b}, opset=13)
    for k in (16, 64, 512):
        a, b = np.zeros((4, k), np.float32), normal(random, k, 4)
        a[0, 0], a[1, k - 1], b[k - 1, 2] = np.nan, np.inf, 0
        yield case(f"MatMul_nan_{k}", nodes, {"a": a, "b": b}, {"y": a @ b}, opset=13)
