"""More than 65,535 workgroups, and bindings of more than 128 MiB.

Reports: tract #2820, tfjs #8373 #6507, llama.cpp #19965 #19535, burn #4966, tinygrad #13624.
"""

import numpy as np
from suite import FLOAT, case, i64, node

# 65,535 groups of 64.
GROUPS = 4_194_240


def cases():
    yield from many_groups()
    yield from many_rows()
    yield from large_bindings()
    yield from long_runs()


def numbers(count):
    return np.arange(count, dtype=np.float32)


def one(name, nodes, inputs, y, constants={}, **options):
    return case(name, nodes, inputs, {"y": y}, constants=constants, large=True, **options)


def many_groups():
    for count in (GROUPS - 1, GROUPS, GROUPS + 1, 2 * GROUPS + 77):
        yield one(f"Neg_{count}", [node("Neg", ["x"], ["y"])], {"x": numbers(count)}, -numbers(count))
    x = numbers(5_000_000).reshape(5, 1000, 1000)
    yield one("Transpose_5000000", [node("Transpose", ["x"], ["y"], perm=[2, 0, 1])], {"x": x}, x.transpose(2, 0, 1))
    i = np.arange(5_000_000) % 10
    yield one("Gather_5000000", [node("Gather", ["x", "i"], ["y"])], {"x": numbers(10), "i": i}, i.astype(np.float32))
    given = {
        "c": (np.arange(5000) % 2 == 0)[:, None],
        "x": np.ones((1, 1000), np.float32),
        "z": np.zeros((5000, 1), np.float32),
    }
    yield one("Where_5000000", [node("Where", ["c", "x", "z"], ["y"])], given, np.where(*given.values()))
    x = (np.arange(9_000_001) % 251).astype(np.uint8)
    yield one("Cast_9000001", [node("Cast", ["x"], ["y"], to=FLOAT)], {"x": x}, x.astype(np.float32))


def many_rows():
    x = numbers(5_000_000)
    nodes = [node("ReduceMax", ["x"], ["y"], axes=[1], keepdims=0)]
    yield one("ReduceMax_5000000_rows", nodes, {"x": x[:, None].repeat(2, 1)}, x, opset=13)
    y = np.full((2_200_000, 2), 0.5, np.float32)
    yield one("Softmax_2200000_rows", [node("Softmax", ["x"], ["y"])], {"x": np.zeros_like(y)}, y)
    nodes = [node("MatMul", ["x", "w"], ["y"])]
    given = {"x": np.ones((70_000, 1, 2), np.float32), "w": np.ones((70_000, 2, 1), np.float32)}
    yield one("MatMul_70000_batches", nodes, given, np.full((70_000, 1, 1), 2, np.float32))
    x, w = numbers(4_300_000)[:, None] % 97, np.float32([[1, 2]])
    yield one("MatMul_4300000_rows", nodes, {"x": x}, x * w, {"w": w})


def large_bindings():
    x, w = numbers(34_000_000), (np.arange(34_000_000) % 13).astype(np.float32).reshape(34_000, 1000)
    yield one("Neg_136_MB", [node("Neg", ["x"], ["y"])], {"x": x}, -x)
    nodes, y = [node("MatMul", ["x", "w"], ["y"])], w.sum(0, keepdims=True)
    yield one("MatMul_136_MB", nodes, {"x": np.ones((1, 34_000), np.float32)}, y, {"w": w}, rtol=1e-4)
    i = i64(0, 33_999, 12_345)
    yield one("Gather_136_MB", [node("Gather", ["w", "i"], ["y"])], {"i": i}, w[i], {"w": w})


def long_runs():
    edges = np.full(2100, 3, np.float32)
    edges[[0, -1]] = 2
    nodes, w = [node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], {"w": np.ones((1, 1, 3, 3), np.float32)}
    x = np.ones((1, 1, 2100, 2100), np.float32)
    yield one("Conv_2100", nodes, {"x": x}, np.outer(edges, edges)[None, None], w)
    x = (np.arange(1_000_000) * 7919 % 1_000_003).astype(np.float32)
    nodes = [node("TopK", ["x", "k"], ["y", "i"])]
    yield one("TopK_1000000", nodes, {"x": x}, np.sort(x)[::-1][:5], {"k": i64(5)})
    nodes, ones = [node("CumSum", ["x", "a"], ["y"])], np.ones(1_000_000, np.float32)
    yield one("CumSum_1000000", nodes, {"x": ones}, numbers(1_000_001)[1:], {"a": np.array(0)})
    x = (np.arange(1_000_000) % 1000 == 3).astype(np.float32)
    yield one("NonZero_1000000", [node("NonZero", ["x"], ["y"])], {"x": x}, np.arange(3, 1_000_000, 1000)[None])
