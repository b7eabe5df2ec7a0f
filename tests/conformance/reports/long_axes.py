"""One long run: reductions, softmaxes, pools and products over as many numbers as images and vocabularies have.

Reports: tensorflow #47156 and what dynamic quantisation, 512 by 512 pixels and 151,936 words ask for.
"""

import numpy as np
from suite import FLOAT, INT64, case, in_double, node, normal, onnxruntime

WORDS = 151_936
NEAR = dict(rtol=2e-3, atol=2e-3)


def cases():
    yield from by_length()
    yield from by_pixels()
    yield from of_real_models()


def one(name, nodes, x, y, constants={}, opset=13, **tolerance):
    expected = y if not isinstance(y, np.ndarray) else {"y": y}
    return case(name, nodes, {"x": x}, expected, constants=constants, opset=opset, **tolerance)


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_length():
    for length in (20_000, 29_999, 30_001, 50_176, 65_536, 262_144, 1_000_000):
        x, large = np.ones((1, length), np.float32), dict(large=length > 100_000)
        x[0, -1] = 5
        nodes, mean = [node("ReduceMean", ["x"], ["y"], axes=[1])], np.float32([[1 + 4 / length]])
        yield one(f"ReduceMean_{length}", nodes, x, mean, atol=0, **large)
        nodes = [node("ReduceMax", ["x"], ["y"], axes=[1])]
        yield one(f"ReduceMax_{length}", nodes, x, np.float32([[5]]), **large)
        nodes = [node("ArgMax", ["x"], ["y"], axis=1)]
        yield one(f"ArgMax_{length}", nodes, x, np.array([[length - 1]]), **large)
        nodes = [node("Softmax", ["x"], ["y"])]
        yield one(f"Softmax_{length}", nodes, x, in_double(softmax, x), rtol=1e-3, atol=0, **large)


def by_pixels():
    random = np.random.RandomState(0)
    for size in (128, 175, 224, 256, 512, 1080):
        large = dict(large=size > 256)
        nodes, x = [node("GlobalAveragePool", ["x"], ["y"])], np.ones((1, 1, size, size), np.float32)
        yield one(f"GlobalAveragePool_{size}", nodes, x, x[:, :, :1, :1], **large)
        nodes, x = [node("InstanceNormalization", ["x", "s", "b"], ["y"])], normal(random, 1, 1, size, size)
        y = in_double(lambda x: (x - x.mean()) / np.sqrt(x.var() + 1e-5), x)
        affine = {"s": np.ones(1, np.float32), "b": np.zeros(1, np.float32)}
        yield one(f"InstanceNormalization_{size}", nodes, x, y, affine, rtol=1e-3, atol=1e-3, **large)


def of_real_models():
    random, told = np.random.RandomState(1), onnxruntime(y=FLOAT)
    words, image = normal(random, 1, WORDS), normal(random, 1, 4, 512, 512)
    nodes = [node("ArgMax", ["x"], ["y"], axis=-1, keepdims=0)]
    yield one("vocabulary_ArgMax", nodes, words, onnxruntime(y=INT64), large=True)
    for op in ("Softmax", "LogSoftmax"):
        yield one(f"vocabulary_{op}", [node(op, ["x"], ["y"], axis=-1)], words, told, large=True, **NEAR)
    nodes = [node("TopK", ["x", "k"], ["y", "i"])]
    best = {"k": np.array([50])}
    yield one("vocabulary_TopK", nodes, words, onnxruntime(y=FLOAT, i=INT64), best, large=True, **NEAR)
    yield one("image_GlobalAveragePool", [node("GlobalAveragePool", ["x"], ["y"])], image, told, large=True, **NEAR)
    nodes, affine = [node("InstanceNormalization", ["x", "s", "b"], ["y"])], {
        "s": np.ones(4, np.float32),
        "b": np.zeros(4, np.float32),
    }
    yield one("image_InstanceNormalization", nodes, image, told, affine, large=True, **NEAR)
    nodes = [node("ReduceMean", ["x"], ["y"], axes=[2, 3], keepdims=1)]
    yield one("image_ReduceMean", nodes, image, told, large=True, **NEAR)
    for op in ("MaxPool", "AveragePool"):
        nodes = [node(op, ["x"], ["y"], kernel_shape=[300, 300])]
        yield one(f"image_{op}", nodes, image[:, :2, :300, :300], told, large=True, **NEAR)
    nodes, scale = [node("LayerNormalization", ["x", "s"], ["y"], axis=1)], {"s": np.ones((128, 1024), np.float32)}
    yield one("LayerNormalization_131072", nodes, normal(random, 1, 128, 1024), told, scale, 17, large=True, **NEAR)
    nodes = [node("ReduceMax", ["x"], ["y"], keepdims=0)]
    yield one("ReduceMax_240000", nodes, normal(random, 1, 80, 3000), told, large=True, **NEAR)
    nodes, axis = [node("CumSum", ["x", "a"], ["y"])], {"a": np.array(1)}
    yield one("CumSum_80000", nodes, normal(random, 1, 80_000), told, axis, 14, large=True, **NEAR)
    nodes, w = [node("MatMul", ["x", "w"], ["y"])], {"w": normal(random, 100_000, 2) / np.float32(300)}
    yield one("MatMul_100000", nodes, normal(random, 1, 100_000), told, w, large=True, **NEAR)
    yield dynamic_quantisation(random)


def dynamic_quantisation(random):
    """Thirty tokens of an int8 transformer."""
    nodes = [
        node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]),
        node("MatMulInteger", ["q", "w", "z"], ["i"]),
        node("Cast", ["i"], ["f"], to=FLOAT),
        node("Mul", ["f", "s"], ["y"]),
    ]
    x, w = normal(random, 1, 30, 2048), {"w": random.randint(-63, 64, (2048, 4)).astype(np.int8)}
    told = onnxruntime(y=FLOAT)
    return one("dynamic_quantisation_61440", nodes, x, told, w, open_extents=True, rtol=1e-3, atol=1e-3)
