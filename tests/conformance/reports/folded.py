"""Constants that are computed when a model is loaded come out as they would at run."""

import numpy as np
from suite import FLOAT, INT64, case, f32, i64, node, onnxruntime

X, WHOLE = f32(1, 2), i64(1, 2)


def cases():
    yield from added()
    yield from reshaped()
    yield chain()


def one(name, nodes, c, added, x=X):
    """A constant through an operator, added to an input."""
    nodes = [*nodes, node("Add", ["x", "k"], ["y"])]
    return case(name, nodes, {"x": x}, {"y": (x + added).astype(x.dtype)}, opset=13, constants={"c": c})


def added():
    to_long = [node("Cast", ["c"], ["k"], to=INT64)]
    yield one("Cast_float32_to_int64", to_long, f32(3e9, 5e9), i64(3_000_000_000, 5_000_000_000), WHOLE)
    yield one("Cast_uint32_to_int64", to_long, np.uint32([4294967295, 1]), i64(4294967295, 1), WHOLE)
    yield one("Softplus", [node("Softplus", ["c"], ["k"])], f32(100, 200), f32(100, 200))
    yield one("Einsum", [node("Einsum", ["c"], ["k"], equation="ij->")], np.ones((2, 3), np.float32), 6)
    nodes = [node("ReduceLogSumExp", ["c"], ["k"], axes=[0], keepdims=0)]
    yield one("ReduceLogSumExp", nodes, f32(100, 100), np.float32(100 + np.log(2)))
    nodes = [node("ReduceSum", ["c"], ["k"], keepdims=0)]
    yield one("ReduceSum_int64", nodes, i64(2**53 + 1, 1, 1), 2**53 + 3, WHOLE)
    yield one("Relu_nan", [node("Relu", ["c"], ["k"])], f32(np.nan, 1), f32(np.nan, 1))


def reshaped():
    half = np.full((1, 1, 64, 64), 100, np.float16)
    nodes = [
        node("GlobalAveragePool", ["c"], ["p"]),
        node("Reshape", ["p", "s"], ["q"]),
        node("Cast", ["q"], ["k"], to=FLOAT),
        node("Add", ["x", "k"], ["y"]),
    ]
    constants = {"c": half, "s": i64(1)}
    yield case("GlobalAveragePool_float16", nodes, {"x": X}, {"y": X + 100}, opset=13, constants=constants)
    nodes = [
        node("Resize", ["c", "s"], ["p"], mode="nearest"),
        node("Reshape", ["p", "t"], ["k"]),
        node("Add", ["x", "k"], ["y"]),
    ]
    constants = {"c": f32(1, 2).reshape(1, 1, 1, 2), "s": f32(1, 1, 1, 3), "t": i64(6)}
    given, y = {"x": np.zeros(6, np.float32)}, {"y": f32(1, 1, 1, 2, 2, 2)}
    yield case("Resize_10", nodes, given, y, opset=10, constants=constants)


def chain(depth=12):
    """`mask[0:7, 0:7] = i` again and again, as torch exports the windows of a Swin transformer."""
    nodes, constants = [], {"m0": np.zeros((56, 56), np.float32), "rows": np.arange(7)[:, None]}
    constants |= {"zero": i64(0), "one": i64(1), "seven": i64(7)}
    for step in range(depth):
        constants[f"v{step}"] = np.full((7, 7), step + 1, np.float32)
        nodes += [
            node("Slice", [f"m{step}", "zero", "seven", "zero", "one"], [f"a{step}"]),
            node("Transpose", [f"a{step}"], [f"b{step}"], perm=[1, 0]),
            node("ScatterND", [f"b{step}", "rows", f"v{step}"], [f"c{step}"]),
            node("Transpose", [f"c{step}"], [f"d{step}"], perm=[1, 0]),
            node("ScatterND", [f"m{step}", "rows", f"d{step}"], [f"m{step + 1}"]),
        ]
    nodes.append(node("Add", ["x", f"m{depth}"], ["y"]))
    x = np.random.RandomState(0).rand(56, 56).astype(np.float32)
    return case(f"chain_of_{depth}_assignments", nodes, {"x": x}, onnxruntime(y=FLOAT), opset=18, constants=constants)
