"""Scans that read their inputs and write their outputs forwards or backwards.
"""

import itertools

import numpy as np
from onnx import helper
from suite import FLOAT, case, node, normal


def cases():
    random = np.random.RandomState(0)
    yield from without_state(random)
    yield from with_state(random)


def body(nodes, inputs, outputs):
    ports = lambda names: [helper.make_tensor_value_info(name, FLOAT, [2]) for name in names]
    return helper.make_graph(nodes, "body", ports(inputs), ports(outputs))


def turned(x, backwards):
    return x[::-1].copy() if backwards else x


def without_state(random):
    """Two outputs of the same two rows, in any directions."""
    a, b = normal(random, 3, 2), normal(random, 3, 2)
    inner = body([node("Add", ["a", "b"], ["o"]), node("Max", ["a", "b"], ["p"])], "ab", "op")
    for reads, writes in itertools.product(((0, 0), (0, 1)), itertools.product((0, 1), repeat=2)):
        rows = [turned(x, backwards) for x, backwards in zip((a, b), reads)]
        how = dict(body=inner, num_scan_inputs=2, scan_input_directions=reads, scan_output_directions=writes)
        y = {"y": turned(np.add(*rows), writes[0]), "z": turned(np.maximum(*rows), writes[1])}
        nodes = [node("Scan", ["a", "b"], ["y", "z"], **how)]
        yield case(f"reads_{reads}_writes_{writes}", nodes, {"a": a, "b": b}, y, opset=16)


def with_state(random):
    """A sum that runs on, written forwards, and its double, written backwards; then the other way around."""
    start, x = normal(random, 2), normal(random, 3, 2)
    nodes = [node("Add", ["s", "a"], ["t"]), node("Identity", ["t"], ["o"]), node("Add", ["t", "t"], ["p"])]
    inner, sums = body(nodes, "sa", "top"), start + np.cumsum(x, 0)
    for writes in ((0, 1), (1, 0)):
        how = dict(body=inner, num_scan_inputs=1, scan_output_directions=writes)
        nodes = [node("Scan", ["s", "x"], ["f", "y", "z"], **how)]
        y = {"f": sums[-1], "y": turned(sums, writes[0]), "z": turned(sums * 2, writes[1])}
        yield case(f"with_state_writes_{writes}", nodes, {"s": start, "x": x}, y, opset=16)
