"""Normalisation of numbers far from zero, of runs without spread, and sums of many numbers.

Reports: burn #5607, openvino #36587, pytorch #178123, onnxruntime #29034.
"""

import numpy as np
from suite import FLOAT, case, f32, node, normal, onnxruntime

ONES, ZEROS = np.ones(2, np.float32), np.zeros(2, np.float32)
WRITTEN_OUT = [
    node("ReduceMean", ["x"], ["m"], axes=[-1]),
    node("Sub", ["x", "m"], ["d"]),
    node("Pow", ["d", "two"], ["q"]),
    node("ReduceMean", ["q"], ["v"], axes=[-1]),
    node("Add", ["v", "e"], ["ve"]),
    node("Sqrt", ["ve"], ["s"]),
    node("Div", ["d", "s"], ["y"]),
]


def cases():
    random = np.random.RandomState(0)
    yield from far_from_zero(random)
    yield from without_spread(random)
    yield from sums()


def normalised(x, axes, epsilon=1e-5):
    wide = x.astype(np.float64)
    spread = np.sqrt(wide.var(axes, keepdims=True) + epsilon)
    return ((wide - wide.mean(axes, keepdims=True)) / spread).astype(x.dtype)


def far_from_zero(random):
    for mean in (0, 100, 1000, 10000):
        x = (mean + np.arange(16) * 1e-3).astype(np.float32)[None]
        image = (mean + normal(random, 1, 2, 8, 8) * 0.1).astype(np.float32)
        affine, scale = {"s": ONES, "b": ZEROS}, {"s": np.ones(16, np.float32)}
        # Some digits go before anything is computed.
        near, nearer = dict(rtol=2e-2, atol=2e-2), dict(rtol=1e-2, atol=1e-2)
        y, nodes = {"y": normalised(x, -1)}, [node("LayerNormalization", ["x", "s"], ["y"], axis=-1)]
        yield case(f"LayerNormalization_{mean}", nodes, {"x": x}, y, opset=17, constants=scale, **near)
        constants = {"two": np.float32(2), "e": np.float32(1e-5)}
        yield case(f"written_out_{mean}", WRITTEN_OUT, {"x": x}, y, opset=13, constants=constants, **near)
        nodes, y = [node("InstanceNormalization", ["x", "s", "b"], ["y"])], {"y": normalised(image, (2, 3))}
        yield case(f"InstanceNormalization_{mean}", nodes, {"x": image}, y, opset=6, constants=affine, **nearer)
        nodes, y = [node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=1)], {
            "y": normalised(image, (1, 2, 3))
        }
        yield case(f"GroupNormalization_{mean}", nodes, {"x": image}, y, opset=21, constants=affine, **nearer)
        nodes, y = [node("MeanVarianceNormalization", ["x"], ["y"], axes=[2, 3])], {"y": normalised(image, (2, 3), 0)}
        yield case(f"MeanVarianceNormalization_{mean}", nodes, {"x": image}, y, opset=13, **nearer)


def layer_norm(name, x, y, **tolerance):
    nodes, scale = [node("LayerNormalization", ["x", "s"], ["y"])], {"s": np.ones(x.shape[-1], np.float32)}
    return case(f"LayerNormalization_{name}", nodes, {"x": x}, {"y": y}, constants=scale, **tolerance)


def without_spread(random):
    yield layer_norm("of_one", f32([5]), f32([0]))
    yield layer_norm("of_equals", np.full((1, 5), 3.3, np.float32), np.zeros((1, 5), np.float32), atol=1e-3)
    huge = f32([1e30, -1e30, 2e30, 0])
    yield layer_norm("of_1e30", huge, normalised(huge, 1), rtol=1e-2)
    for p in (1, 2):
        nodes, x = [node("LpNormalization", ["x"], ["y"], axis=1, p=p)], np.zeros((2, 4), np.float32)
        yield case(f"LpNormalization_{p}_of_zeros", nodes, {"x": x}, onnxruntime(y=FLOAT), opset=13)
    nodes, x = [node("LayerNormalization", ["x", "s", "b"], ["y", "m", "i"], axis=1)], normal(random, 2, 3, 4)
    constants, told = {"s": np.ones((3, 4), np.float32), "b": np.zeros((3, 4), np.float32)}, onnxruntime(y=1, m=1, i=1)
    yield case("LayerNormalization_three_outputs", nodes, {"x": x}, told, constants=constants, rtol=1e-4)


def sums():
    many = np.full(2**24 + 100, 1, np.float32)
    nodes, y = [node("ReduceSum", ["x"], ["y"], keepdims=0)], np.array(2**24 + 100, np.float32)
    yield case("sum_of_16777316_ones", nodes, {"x": many}, {"y": y}, opset=13, rtol=1e-6, large=True)
    nodes, x = [node("ReduceMean", ["x"], ["y"], keepdims=0)], np.full(1_000_000, 0.1, np.float32)
    yield case("mean_of_1000000_tenths", nodes, {"x": x}, {"y": np.float32(0.1)}, opset=13, large=True)
    nodes, x = [node("CumSum", ["x", "a"], ["y"])], np.full(100_000, 0.1, np.float32)
    y, axis = np.cumsum(x.astype(np.float64)).astype(np.float32), {"a": np.array(0)}
    yield case("CumSum_of_100000_tenths", nodes, {"x": x}, {"y": y}, opset=14, constants=axis, rtol=1e-3)
    nodes, x = [node("ReduceL2", ["x"], ["y"], keepdims=0)], f32(3e19, 4e19)
    yield case("ReduceL2_of_1e19", nodes, {"x": x}, {"y": np.float32(5e19)}, opset=13)
