"""Models to cut in parts: one weight in two layers, values read late, conditions, loops, functions, two directions.

Reports: distributed-llama #167, llama.cpp #26384. Whole they are cases like any; tests/split.rs cuts them.
"""

import numpy as np
from onnx import TensorProto, helper
from suite import BOOL, FLOAT, INT64, case, i64, model, node, normal, of_model, onnxruntime, tensor

RANDOM = np.random.RandomState(0)
X = normal(RANDOM, 2, 8)
NEAR = dict(rtol=1e-3, atol=1e-4)


def cases():
    yield from chains()
    yield from inner_graphs()
    yield from ends()
    yield two_directions()
    yield function()


def square():
    return normal(RANDOM, 8, 8)


def floats(name, extents=(2, 8)):
    return helper.make_tensor_value_info(name, FLOAT, extents)


def matmul(before, weights, after):
    return node("MatMul", [before, weights], [after])


def one(name, nodes, inputs, weights, outputs=("y",), opset=13, **options):
    told = onnxruntime(**{output: FLOAT for output in outputs})
    return case(name, nodes, inputs, told, opset=opset, constants=weights, **options, **NEAR)


def chains():
    nodes = [
        node("Gather", ["E", "i"], ["h0"]),
        matmul("h0", "w1", "h1"),
        node("Relu", ["h1"], ["h2"]),
        matmul("h2", "w2", "h3"),
        node("Transpose", ["E"], ["Et"], perm=[1, 0]),
        matmul("h3", "Et", "y"),
    ]
    weights = {"E": normal(RANDOM, 20, 8), "w1": square(), "w2": square()}
    yield one("tied", nodes, {"i": i64([1, 5, 7])}, weights)
    nodes = [
        matmul("x", "w1", "a"),
        node("Relu", ["a"], ["b"]),
        matmul("b", "w2", "c"),
        matmul("c", "w3", "d"),
        node("Add", ["d", "a"], ["e"]),
        node("Add", ["e", "x"], ["y"]),
    ]
    three = {f"w{layer}": square() for layer in (1, 2, 3)}
    yield one("read_late", nodes, {"x": X}, three, ("y", "b"))
    nodes = [
        node("Shape", ["x"], ["s"]),
        matmul("x", "w1", "a"),
        matmul("a", "w2", "b"),
        node("Reshape", ["b", "flat"], ["c"]),
        node("Reshape", ["c", "s"], ["d"]),
        matmul("d", "w3", "y"),
    ]
    yield one("shapes", nodes, {"x": X}, {**three, "flat": i64(-1)}, extents_x=["n", 8])


def inner_graphs():
    """A condition that reads an early value and a weight, and a loop."""
    three = {f"w{layer}": square() for layer in (1, 2, 3)}
    then = helper.make_graph([matmul("a", "wt", "q")], "then", [], [floats("q")])
    otherwise = helper.make_graph([node("Add", ["a", "x"], ["q"])], "else", [], [floats("q")])
    nodes = [
        matmul("x", "w1", "a"),
        matmul("a", "w2", "b"),
        node("If", ["c"], ["d"], then_branch=then, else_branch=otherwise),
        node("Add", ["b", "d"], ["g"]),
        matmul("g", "w3", "y"),
    ]
    for c in (True, False):
        yield one(f"if_{c}", nodes, {"x": X, "c": np.array(c)}, {**three, "wt": square()})
    count, go_on = helper.make_tensor_value_info("i", INT64, []), helper.make_tensor_value_info("k", BOOL, [])
    last = helper.make_tensor_value_info("l", BOOL, [])
    nodes = [matmul("v", "wl", "u"), node("Identity", ["k"], ["l"])]
    body = helper.make_graph(nodes, "body", [count, go_on, floats("v")], [last, floats("u")])
    nodes = [matmul("x", "w1", "a"), node("Loop", ["M", "", "a"], ["d"], body=body), matmul("d", "w3", "y")]
    weights = {"M": np.array(2), "wl": square() * np.float32(0.1), "w1": square(), "w3": square()}
    yield one("loop", nodes, {"x": X}, weights)


def ends():
    two = {"w1": square(), "w2": square()}
    nodes = [matmul("x", "w1", "a/b:0"), matmul("a/b:0", "w2", "y")]
    yield one("unused_input_and_constant_output", nodes, {"x": X, "z": X}, two, ("y", "w1"))
    yield one("one_operator", [matmul("x", "w1", "y")], {"x": X}, {"w1": square()})
    packed = helper.make_tensor("q", TensorProto.INT4, [3, 5], RANDOM.randint(-8, 8, 15).tolist())
    nodes = [node("DequantizeLinear", ["q", "s"], ["w"]), matmul("x", "w", "a"), matmul("a", "w2", "y")]
    weights = {"q": packed, "s": np.float32(0.1), "w2": normal(RANDOM, 5, 4)}
    yield one("int4_odd", nodes, {"x": normal(RANDOM, 2, 3)}, weights, opset=21, ir=10)


def two_directions():
    """What a fragment's own kernels may not add in another order."""
    nodes = [
        node("LSTM", ["x", "W", "R", "B"], ["l"], hidden_size=8, direction="bidirectional"),
        node("ReduceSum", ["l", "ways"], ["s"], keepdims=0),
        matmul("s", "w1", "a"),
        node("Relu", ["a"], ["b"]),
        matmul("b", "w2", "y"),
    ]
    shapes = {"W": (2, 32, 8), "R": (2, 32, 8), "B": (2, 64)}
    weights = {key: normal(RANDOM, *shape) / np.float32(4) for key, shape in shapes.items()}
    weights |= {"ways": i64(1), "w1": square(), "w2": square()}
    return one("two_directions", nodes, {"x": normal(RANDOM, 10, 1, 8)}, weights, opset=14)


def function():
    """A function of the model's own that spans a cut."""
    opsets = [helper.make_opsetid("", 13)]
    body = [matmul("a", "w", "t"), node("Relu", ["t"], ["b"])]
    layer = helper.make_function("my", "layer", ["a", "w"], ["b"], body, opsets)
    nodes = [node("layer", ["x", "w1"], ["a"], domain="my"), node("layer", ["a", "w2"], ["y"], domain="my")]
    weights = [tensor(name, square()) for name in ("w1", "w2")]
    graph = helper.make_graph(nodes, "g", [floats("x")], [floats("y")], weights)
    return of_model("function", model(graph, 13, 8, {"my": 1}, [layer]), {"x": X}, onnxruntime(y=FLOAT), **NEAR)
