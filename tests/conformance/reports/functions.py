"""Functions of a model's own: names inside, attributes handed through, optional inputs, older operator sets.

Reports: onnxruntime #12758 #12491 #16998.
"""

import numpy as np
from names import BOOLEAN, floats, graph
from onnx import AttributeProto, helper
from suite import f32, model, node, of_model

X = f32(1, -2, 3)
RELU = np.maximum(X, 0)
OPSETS = [helper.make_opsetid("", 17), helper.make_opsetid("my", 1)]


def cases():
    yield from calls()
    yield from attributes()
    yield from inner_graphs()
    yield from optional_ends()
    yield from opsets()


def function(name, inputs, outputs, nodes, opsets=OPSETS, **more):
    return helper.make_function("my", name, inputs, outputs, nodes, opsets, **more)


def call(name, inputs, outputs, **attributes):
    return node(name, inputs, outputs, domain="my", **attributes)


def one(name, functions, nodes, inputs, expected, constants={}):
    ports = [BOOLEAN if key == "c" else key for key in inputs]
    made = graph(nodes, ports, [floats(key, np.shape(value)) for key, value in expected.items()], constants)
    return of_model(name, model(made, 17, 8, {"my": 1}, functions), inputs, expected)


TWICE = function("twice", ["a"], ["b"], [node("Add", ["a", "a"], ["b"])])
BOTH = function("both", ["x"], ["x", "z"], [node("Neg", ["x"], ["z"])])


def calls():
    nodes = [call("twice", ["x"], ["t"]), call("twice", ["t"], ["y"])]
    yield one("plain", [TWICE], nodes, {"x": X}, {"y": 4 * X})
    inner = function("f", ["x"], ["y"], [node("Neg", ["x"], ["t"]), node("Add", ["t", "t"], ["y"])])
    nodes = [node("Relu", ["x"], ["t"]), call("f", ["t"], ["u"]), node("Add", ["u", "t"], ["y"])]
    yield one("inner_names_are_outer_ones", [inner], nodes, {"x": X}, {"y": -RELU})
    named = function("Relu", ["x"], ["y"], [node("Neg", ["x"], ["y"])])
    nodes = [call("Relu", ["x"], ["a"]), node("Relu", ["a"], ["y"])]
    yield one("named_as_an_operator", [named], nodes, {"x": X}, {"y": np.maximum(-X, 0)})


def referring(inner, name, of):
    """A node whose attribute is an attribute of the function it is in."""
    inner.attribute.append(AttributeProto(name=name, ref_attr_name=of, type=AttributeProto.FLOAT))
    return inner


def attributes():
    leaky = referring(node("LeakyRelu", ["x"], ["y"]), "alpha", "alpha")
    default = AttributeProto(name="alpha", type=AttributeProto.FLOAT, f=0.25)
    with_default = function("g", ["x"], ["y"], [leaky], attribute_protos=[default])
    without = function("g", ["x"], ["y"], [leaky], attributes=["alpha"])
    slope = lambda alpha: {"y": np.where(X < 0, X * np.float32(alpha), X)}
    yield one("attribute_default", [with_default], [call("g", ["x"], ["y"])], {"x": X}, slope(0.25))
    yield one("attribute_given", [with_default], [call("g", ["x"], ["y"], alpha=0.5)], {"x": X}, slope(0.5))
    yield one("attribute_left_out", [without], [call("g", ["x"], ["y"])], {"x": X}, slope(0.01))
    outer = function("h", ["x"], ["y"], [referring(call("g", ["x"], ["y"]), "alpha", "s")], attributes=["s"])
    both = [with_default, outer]
    yield one("attribute_through", both, [call("h", ["x"], ["y"], s=0.5)], {"x": X}, slope(0.5))
    yield one("attribute_through_left_out", both, [call("h", ["x"], ["y"])], {"x": X}, slope(0.25))


def inner_graphs():
    """Branches with constants of one name, inlined twice, and calls inside of branches."""
    result = [floats("r", None)]
    then = graph([node("Add", ["x", "k"], ["r"])], [], result, {"k": f32(5)})
    otherwise = graph([node("Mul", ["x", "k"], ["r"])], [], result, {"k": f32(7)})
    select = function(*("sel", ["c", "x"], ["y"]), [node("If", ["c"], ["y"], then_branch=then, else_branch=otherwise)])
    nodes = [call("sel", ["c", "x"], ["a"]), call("sel", ["c", "a"], ["y"])]
    called = graph([call("twice", ["x"], ["r"])], [], ["r"])
    negated = graph([node("Neg", ["x"], ["r"])], [], ["r"])
    branching = [node("If", ["c"], ["y"], then_branch=called, else_branch=negated)]
    for c in (True, False):
        given = {"x": X, "c": np.array(c)}
        yield one(f"if_with_constants_{c}", [select], nodes, given, {"y": X + 10 if c else X * 49})
        yield one(f"call_in_branch_{c}", [TWICE], branching, given, {"y": 2 * X if c else -X})
    given = {"k": X, "c": np.array(True)}
    yield one("inner_constant_is_outer_name", [select], [call("sel", ["c", "k"], ["y"])], given, {"y": X + 5})


def optional_ends():
    clip = function("clip", ["x", "lo", "hi"], ["y"], [node("Clip", ["x", "lo", "hi"], ["y"])])
    two = {"h": np.float32(2)}
    y = {"y": np.minimum(X, 2)}
    yield one("input_left_out", [clip], [call("clip", ["x", "", "h"], ["y"])], {"x": X}, y, two)
    y = {"y": np.maximum(X, 2)}
    yield one("last_input_left_out", [clip], [call("clip", ["x", "h"], ["y"])], {"x": X}, y, two)
    nodes = [call("both", ["x"], ["a", "b"]), node("Add", ["a", "b"], ["y"])]
    yield one("input_is_output", [BOTH], nodes, {"x": X}, {"y": X * 0})
    nodes = [call("both", ["x"], ["", "b"]), node("Add", ["x", "b"], ["y"])]
    yield one("output_left_out", [BOTH], nodes, {"x": X}, {"y": X * 0})
    yield one("outputs_of_the_graph", [BOTH], [call("both", ["x"], ["a", "b"])], {"x": X}, {"a": X, "b": -X})


def opsets():
    """An operator set of its own, where the operator changed since and where it did not."""
    old = [helper.make_opsetid("", 11)]
    total = function("old", ["x"], ["y"], [node("ReduceSum", ["x"], ["y"], axes=[0], keepdims=0)], old)
    yield one("older_opset", [total], [call("old", ["x"], ["y"])], {"x": X}, {"y": X.sum()})
    same = function("old", ["x"], ["y"], [node("Relu", ["x"], ["y"])], [helper.make_opsetid("", 16)])
    yield one("older_opset_same_operator", [same], [call("old", ["x"], ["y"])], {"x": X}, {"y": RELU})
