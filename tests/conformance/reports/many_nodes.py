"""Graphs of many operators: long chains, wide sums, shapes computed by thousands of steps.

Reports: onnxruntime #11217 #13240 #14260 #15165.
"""

import itertools

import numpy as np
from suite import case, f32, i64, node

X = f32(1, 2, 3, 4)
SQUARE = (np.arange(16, dtype=np.float32) * np.float32(0.01)).reshape(4, 4)
CONSTANTS = {
    "e": np.eye(4, dtype=np.float32),
    "s": i64(4, 4),
    "from": i64(0),
    "to": i64(4),
    "axis": i64(0),
    "g": i64(0, 1, 2, 3),
}
NEAR = dict(rtol=1e-4, atol=1e-4)
# What a step of a chain is, by the value before it and after it.
STEPS = {
    "MatMul": lambda before, after: node("MatMul", [before, "e"], [after]),
    "Transpose": lambda before, after: node("Transpose", [before], [after]),
    "Relu": lambda before, after: node("Relu", [before], [after]),
    "Sigmoid": lambda before, after: node("Sigmoid", [before], [after]),
    "Softmax": lambda before, after: node("Softmax", [before], [after]),
    "Reshape": lambda before, after: node("Reshape", [before, "s"], [after]),
    "Gather": lambda before, after: node("Gather", [before, "g"], [after]),
    "Add": lambda before, after: node("Add", [before, "zero"], [after]),
    "Concat": lambda before, after: node("Concat", [before, "x"], [after], axis=0),
    "Slice": lambda before, after: node("Slice", [before, "from", "to", "axis"], [after]),
}
# Steps that change nothing but by their count of transposes; `None`: what ONNX Runtime says.
CHAINS = (
    ("Relu", "Sigmoid"),
    ("MatMul",),
    ("MatMul", "Relu"),
    ("MatMul", "Add"),
    ("Softmax",),
    ("Transpose",),
    ("MatMul", "Reshape"),
    ("Gather",),
    ("Concat", "Slice"),
    ("MatMul", "Transpose"),
)


def cases():
    yield from additions()
    yield from chains()
    yield from wide()
    yield from shapes()


def names(count):
    """Names of the values along a chain, its ends included."""
    return ["x", *(f"v{step}" for step in range(1, count)), "y"]


def additions():
    for count in (100, 1000, 5000, 10_000, 19_000):
        values = names(count)
        nodes = [node("Add", [before, "x"], [after]) for before, after in itertools.pairwise(values)]
        yield case(f"Add_{count}", nodes, {"x": X}, {"y": X * (count + 1)}, opset=13, large=count > 1000, **NEAR)


def after_steps(kinds, count):
    """Walks the chain in numpy."""
    x = SQUARE
    for kind in itertools.islice(itertools.cycle(kinds), count):
        match kind:
            case "Transpose":
                x = x.T
            case "Relu":
                x = np.maximum(x, 0)
            case "Sigmoid":
                x = 1 / (1 + np.exp(-x))
            case "Softmax":
                e = np.exp(x - x.max(-1, keepdims=True))
                x = e / e.sum(-1, keepdims=True)
    return x.astype(np.float32)


def chains():
    for kinds, count in itertools.product(CHAINS, (1000, 5000)):
        pairs = zip(itertools.cycle(kinds), itertools.pairwise(names(count)))
        nodes = [STEPS[kind](*ends) for kind, ends in pairs]
        used = {name for each in nodes for name in each.input}
        constants = {key: value for key, value in {**CONSTANTS, "zero": np.float32(0)}.items() if key in used}
        y, name = {"y": after_steps(kinds, count)}, "_".join((*kinds, str(count)))
        yield case(name, nodes, {"x": SQUARE}, y, opset=13, constants=constants, large=count > 1000, **NEAR)


def wide():
    for count in (1000, 5000):
        nodes = [node("Mul", ["x", f"c{step}"], [f"v{step}"]) for step in range(count)]
        nodes.append(node("Sum", [f"v{step}" for step in range(count)], ["y"]))
        ones, y = {f"c{step}": np.float32(1) for step in range(count)}, {"y": X * count}
        yield case(f"Sum_of_{count}", nodes, {"x": X}, y, opset=13, constants=ones, large=count > 1000, **NEAR)
    for count in (200, 1000):
        nodes = [node("Identity", ["x"], [f"v{step}"]) for step in range(count)]
        nodes.append(node("Concat", [f"v{step}" for step in range(count)], ["y"], axis=0))
        yield case(f"Concat_of_{count}", nodes, {"x": X}, {"y": np.tile(X, count)}, opset=13)


def shapes():
    count = 3000
    sums = [node("Add", [f"s{step}", "z"], [f"s{step + 1}"]) for step in range(count)]
    nodes = [node("Shape", ["x"], ["s0"]), *sums, node("Reshape", ["x", f"s{count}"], ["y"])]
    yield case("shape_of_3000_steps", nodes, {"x": X}, {"y": X}, opset=13, constants={"z": i64(0)})
    # Each value is read twice: whoever walks naively walks for ever.
    nodes = []
    for before, after in itertools.pairwise(names(60)):
        nodes += [node("Mul", [before, "h"], [f"{before}h"]), node("Add", [f"{before}h"] * 2, [after])]
    yield case("each_read_twice_60", nodes, {"x": X}, {"y": X}, opset=13, constants={"h": np.float32(0.5)})
