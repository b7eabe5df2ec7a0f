"""FP16: sums, means and norms whose steps leave its range, though the result does not.

Reports: mlx #4228, onnxruntime #24514 #31626, tensorflow #47156.
"""

import numpy as np
from suite import HALF, case, node, onnxruntime
from norms import WRITTEN_OUT

NEAR = dict(rtol=1e-2, atol=1e-2)


def cases():
    random = np.random.RandomState(0)
    yield from means()
    yield from reductions(random)
    yield from normalisations(random)
    yield from products(random)
    yield from softmaxes()


def full(shape, value):
    return np.full(shape, value, np.float16)


def one(name, nodes, inputs, y, constants={}, opset=17, **tolerance):
    y = {"y": np.asarray(y).astype(np.float16)}
    return case(name, nodes, inputs, y, constants=constants, opset=opset, **{**NEAR, **tolerance})


def means():
    for size in (7, 28, 64):
        for value in (20, 100):
            nodes, x = [node("GlobalAveragePool", ["x"], ["y"])], full((1, 2, size, size), value)
            yield one(f"GlobalAveragePool_{size}_of_{value}", nodes, {"x": x}, full((1, 2, 1, 1), value))
    nodes = [node("AveragePool", ["x"], ["y"], kernel_shape=[28, 28])]
    yield one("AveragePool_28", nodes, {"x": full((1, 1, 28, 28), 100)}, full((1, 1, 1, 1), 100))
    nodes = [node("ReduceMean", ["x"], ["y"], axes=[1])]
    for count, value in ((800, 100), (4000, 1), (100_000, 1)):
        x = full((1, count), value)
        yield one(f"ReduceMean_{count}_of_{value}", nodes, {"x": x}, [[value]], opset=13, large=count > 10_000)


def reductions(random):
    nodes = [node("ReduceSum", ["x"], ["y"])]
    yield one("ReduceSum_4000_ones", nodes, {"x": full((1, 4000), 1)}, [[4000]], opset=13)
    x = random.rand(1, 3000).astype(np.float16)
    yield one("ReduceSum_3000", nodes, {"x": x}, [[x.astype(np.float64).sum()]], opset=13)
    nodes = [node("ReduceL2", ["x"], ["y"], axes=[1])]
    for count, value in ((2, 200), (2, 300), (300, 300)):
        y = [[value * np.sqrt(count)]]
        yield one(f"ReduceL2_{count}_of_{value}", nodes, {"x": full((1, count), value)}, y, opset=13)
    nodes, y = [node("LpNormalization", ["x"], ["y"], axis=1)], full((2, 300), 1 / np.sqrt(300))
    yield one("LpNormalization_300", nodes, {"x": full((2, 300), 300)}, y, opset=13)
    nodes, x = [node("ReduceLogSumExp", ["x"], ["y"], axes=[1])], np.float16([[12, 11, -12]])
    yield one("ReduceLogSumExp", nodes, {"x": x}, np.log(np.exp(x.astype(np.float64)).sum(1, keepdims=True)), opset=13)
    nodes, axis = [node("CumSum", ["x", "a"], ["y"])], {"a": np.array(0)}
    yield one("CumSum_4000_ones", nodes, {"x": full(4000, 1)}, np.arange(1, 4001), axis, opset=14)


def normalised(x, axes):
    wide = x.astype(np.float64)
    return (wide - wide.mean(axes, keepdims=True)) / np.sqrt(wide.var(axes, keepdims=True) + 1e-5)


def normalisations(random):
    scale, affine = {"s": full(64, 1)}, {"s": full(2, 1), "b": full(2, 0)}
    for spread in (10, 100, 400, 1000):
        x, near = (random.randn(1, 64) * spread).astype(np.float16), dict(atol=2e-2)
        nodes = [node("LayerNormalization", ["x", "s"], ["y"])]
        yield one(f"LayerNormalization_{spread}", nodes, {"x": x}, normalised(x, -1), scale, **near)
        image = (random.randn(1, 2, 8, 8) * spread).astype(np.float16)
        nodes = [node("InstanceNormalization", ["x", "s", "b"], ["y"])]
        y = normalised(image, (2, 3))
        yield one(f"InstanceNormalization_{spread}", nodes, {"x": image}, y, affine, opset=13, **near)
        nodes, y = [node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=1)], normalised(image, (1, 2, 3))
        yield one(f"GroupNormalization_{spread}", nodes, {"x": image}, y, affine, opset=21, **near)
        wide, nodes = x.astype(np.float64), [node("RMSNormalization", ["x", "s"], ["y"])]
        y = wide / np.sqrt((wide * wide).mean() + 1e-5)
        yield one(f"RMSNormalization_{spread}", nodes, {"x": x}, y, scale, opset=23, **near)
    x = (random.randn(1, 64) * 800).astype(np.float16)
    x[0, 3] = 6000
    nodes = [node("LayerNormalization", ["x", "s"], ["y"], axis=-1)]
    yield one("LayerNormalization_with_outlier", nodes, {"x": x}, normalised(x, 1), scale)
    # Squares leave the range where the model says so: each step is rounded.
    constants, told = {"two": np.float16(2), "e": np.float16(1e-5)}, onnxruntime(y=HALF)
    yield case("written_out_beyond_range", WRITTEN_OUT, {"x": x}, told, opset=13, constants=constants, **NEAR)
    image = (np.indices((4, 4)).sum(0) % 2 * 1024 - 512).astype(np.float16)[None, None]
    nodes, affine = [node("InstanceNormalization", ["x", "s", "b"], ["y"])], {"s": full(1, 1), "b": full(1, 0)}
    yield one("InstanceNormalization_512", nodes, {"x": image}, np.sign(image), affine, opset=6)


def products(random):
    nodes = [node("MatMul", ["a", "b"], ["y"])]
    for k in (64, 512, 4096):
        a, b = full((2, k), 1), full((k, 3), 1)
        yield one(f"MatMul_{k}_ones", nodes, {"a": a, "b": b}, full((2, 3), k))
        a, b = random.rand(2, k).astype(np.float16), random.rand(k, 3).astype(np.float16)
        yield one(f"MatMul_{k}", nodes, {"a": a, "b": b}, a.astype(np.float64) @ b.astype(np.float64), rtol=5e-3)
    a, b = full((1, 4), 200), np.float16([[200], [200], [-200], [-200]])
    yield one("MatMul_over_the_range_and_back", nodes, {"a": a, "b": b}, [[0]])
    x, w = full((1, 64, 5, 5), 30), full((1, 64, 3, 3), 3)
    w[0, 32:] = -3
    nodes = [node("Conv", ["x", "w"], ["y"])]
    yield one("Conv_over_the_range_and_back", nodes, {"x": x}, np.zeros((1, 1, 3, 3)), {"w": w})


def softmaxes():
    nodes = [node("Softmax", ["x"], ["y"])]
    for count, near in ((5000, 1e-5), (70_000, 1e-6)):
        y = np.full((1, count), 1 / count)
        yield one(f"Softmax_{count}", nodes, {"x": full((1, count), 0)}, y, opset=13, rtol=2e-2, atol=near)
