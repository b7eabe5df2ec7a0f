"""Names, scopes, defaults and domains: what a graph and the graphs inside of it may be called.

Reports: onnx #2303 #6955, MIGraphX #5078, onnxruntime #1324 #200, burn-onnx #434, burn #2592, tract #1062.
"""

import numpy as np
from onnx import helper
from suite import BOOL, FLOAT, f32, model, node, of_model, tensor

X, W = f32(1, -2, 3), f32(10, 20, 30)
RELU = np.maximum(X, 0)
NEGATED = -RELU


def cases():
    yield from defaults()
    yield from ends()
    yield from odd_names()
    yield from domains()
    yield from scopes()
    yield from branches()
    yield from wrong_shapes()


def floats(name, shape=(3,)):
    return helper.make_tensor_value_info(name, FLOAT, shape)


def graph(nodes, inputs, outputs, constants={}, name="g", **more):
    """A graph; ports that are told by name alone are three FP32 numbers."""
    ports = ([floats(port) if isinstance(port, str) else port for port in side] for side in (inputs, outputs))
    return helper.make_graph(nodes, name, *ports, [tensor(key, value) for key, value in constants.items()], **more)


def one(name, nodes, inputs, expected, constants={}, **options):
    made = model(graph(nodes, list(inputs), list(expected), constants), **options)
    return of_model(name, made, inputs, expected)


def defaults():
    """Before IR 4 each constant is an input as well; later such a one may be given or left out."""
    made, y = graph([node("Add", ["x", "w"], ["y"])], ["x", "w"], ["y"], {"w": W}), {"y": X + W}
    yield of_model("default_ir_3", model(made, 7, 3), {"x": X}, y)
    yield of_model("default_left_out", model(made), {"x": X}, y)
    yield of_model("default_given", model(made), {"x": X, "w": W * 2}, {"y": X + W * 2})


def ends():
    relu = [node("Relu", ["x"], ["y"])]
    yield one("output_is_input", relu, {"x": X}, {"x": X, "y": RELU})
    yield one("output_is_constant", relu, {"x": X}, {"w": W, "y": RELU}, {"w": W})
    yield one("no_nodes", [], {"x": X}, {"x": X})
    yield one("unused_input", relu, {"x": X, "z": X}, {"y": RELU})
    yield one("no_inputs", [node("Constant", [], ["y"], value=tensor("", W))], {}, {"y": W})


def odd_names():
    yield one("odd_names", [node("Relu", ["a/b:0"], ["c d/é"])], {"a/b:0": X}, {"c d/é": RELU})
    numbered = [node("Relu", ["0"], ["1"]), node("Neg", ["1"], ["2"])]
    yield one("names_are_numbers", numbered, {"0": X}, {"2": NEGATED})
    for name, first, second in (("same_node_names", "n", "n"), ("nodes_named_as_values", "y", "x")):
        nodes = [node("Relu", ["x"], ["a"], name=first), node("Neg", ["a"], ["y"], name=second)]
        yield one(name, nodes, {"x": X}, {"y": NEGATED})
    nodes = [node("Relu", ["x"], ["Relu@a"]), node("Neg", ["Relu@a"], ["y@product"])]
    yield one("names_with_marks", nodes, {"x": X}, {"y@product": NEGATED})
    yield one("wrong_order", [node("Neg", ["a"], ["y"]), node("Relu", ["x"], ["a"])], {"x": X}, {"y": NEGATED})


def domains():
    relu = [node("Relu", ["x"], ["y"])]
    yield one("domain_ai.onnx", relu, {"x": X}, {"y": RELU}, opset=0, domains={"ai.onnx": 13})
    yield one("node_domain_ai.onnx", [node("Relu", ["x"], ["y"], domain="ai.onnx")], {"x": X}, {"y": RELU})
    unused = {"ai.onnx.ml": 2, "com.microsoft": 1}
    yield one("unused_domains", relu, {"x": X}, {"y": RELU}, domains=unused)
    scaler = node("Scaler", ["x"], ["y"], domain="ai.onnx.ml", offset=[1.0] * 3, scale=[2.0] * 3)
    made = model(graph([scaler], [floats("x", (1, 3))], [floats("y", (1, 3))]), 0, domains={"ai.onnx.ml": 2})
    yield of_model("only_domain_ai.onnx.ml", made, {"x": X[None]}, {"y": (X[None] - 1) * 2})


def condition(then, otherwise, output="y"):
    return node("If", ["c"], [output], then_branch=then, else_branch=otherwise)


BOOLEAN = helper.make_tensor_value_info("c", BOOL, [])
SHADOWING = graph([node("Add", ["x", "w"], ["i"])], [], ["i"], {"w": W * 100}, "then")
SHADOWED = graph([node("Sub", ["x", "w"], ["i"])], [], ["i"], name="else")


def scopes():
    """Values from two levels up, and inner constants with an outer name."""
    added = graph([node("Add", ["x", "w"], ["i"])], [], ["i"])
    negated = graph([node("Neg", ["x"], ["i"])], [], ["i"])
    middle = graph([condition(added, negated, "m")], [], ["m"])
    other = graph([node("Identity", ["w"], ["m"])], [], ["m"])
    deep = model(graph([condition(middle, other)], ["x", BOOLEAN], ["y"], {"w": W}))
    nodes = [condition(SHADOWING, SHADOWED, "a"), node("Add", ["a", "w"], ["y"])]
    shadow = model(graph(nodes, ["x", BOOLEAN], ["y"], {"w": W}))
    for c in (True, False):
        given, shadowed = {"x": X, "c": np.array(c)}, {"y": X + W * 100 + W if c else X}
        yield of_model(f"two_levels_up_{c}", deep, given, {"y": X + W if c else W})
        yield of_model(f"shadow_{c}", shadow, given, shadowed)
        # A condition that is known when the model is loaded.
        yield one(f"shadow_known_{c}", nodes, {"x": X}, shadowed, {"w": W, "c": np.array(c)})
        yield one(f"shadow_known_rank_1_{c}", nodes, {"x": X}, shadowed, {"w": W, "c": np.array([c])})


def branches():
    outer = graph([], [], ["x"])
    negated = graph([node("Neg", ["x"], ["q"])], [], [floats("q", None)])
    twice = graph([node("Concat", ["x", "x"], ["q"], axis=0)], [], [floats("q", None)])
    hands_out = model(graph([condition(outer, negated)], ["x", BOOLEAN], ["y"]))
    nodes = [condition(twice, negated, "a"), node("Relu", ["a"], ["y"])]
    differ = model(graph(nodes, ["x", BOOLEAN], [floats("y", None)]))
    nodes = [condition(SHADOWING, SHADOWED, "a"), condition(SHADOWED, SHADOWING, "b"), node("Add", ["a", "b"], ["y"])]
    two = model(graph(nodes, ["x", BOOLEAN], ["y"], {"w": W}))
    for c in (True, False):
        given = {"x": X, "c": np.array(c)}
        yield of_model(f"branch_gives_outer_{c}", hands_out, given, {"y": X if c else -X})
        y = np.maximum(np.concatenate([X, X]) if c else -X, 0)
        yield of_model(f"branches_of_other_extents_{c}", differ, given, {"y": y})
        yield of_model(f"two_ifs_{c}", two, given, {"y": 2 * X + 99 * W})


def wrong_shapes():
    """Shapes that a model tells beside the truth, or not at all."""
    chain = [node("Relu", ["x"], ["a"]), node("Neg", ["a"], ["y"])]
    open_x, open_y = floats("x", ["N"]), floats("y", ["N"])
    told = graph(chain, [open_x], [open_y], value_info=[floats("a", [7])])
    yield of_model("value_info_lies", model(told), {"x": X}, {"y": NEGATED})
    relu = [node("Relu", ["x"], ["y"])]
    yield of_model("output_shape_lies", model(graph(relu, [open_x], [floats("y", [7])])), {"x": X}, {"y": RELU})
    bare = graph(relu, [floats("x", None)], [floats("y", None)])
    yield of_model("no_shapes", model(bare), {"x": X}, {"y": RELU})
    named = graph([node("Add", ["x", "z"], ["y"])], [open_x, floats("z", ["N"])], [open_y])
    yield of_model("named_extent_differs", model(named), {"x": X, "z": X[:1]}, {"y": X + X[0]})
