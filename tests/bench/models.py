"""Writes the bench models, seeded weights in real architectures, and times ONNX Runtime on them.

    python tests/bench/models.py [DIRECTORY] [--only NAME] [--time [--threads N] [--batch N]]

Beside each NAME.onnx stand NAME.INPUT.npy and NAME.OUTPUT.expected.npy as ONNX Runtime computed
it. What is already there is kept. With --time each model yields one JSON line instead. Five models that packages ship
come from what tests/zoo/zoo.py wrote, only when they are named.
"""

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SEED = 2026
WARM_UPS = 3
RUNS_MAX = 50
SECONDS_MAX = 10

# Weights of variance gain/fan-in keep the mean square of what follows each activation near 1.
LINEAR, RELU, SILU = 1.0, 2.0, 2.5
# Residual branches are quieter, or depth would compound them.
RESIDUAL = 0.4
# Of a detector: the most that two boxes may overlap, the least score.
THRESHOLDS = 0.45, 0.9
LARGEST_HALF = 65504
# SiLU has no stable scale of its own: with smaller biases its layers fade out or blow up.
BIAS = 0.3


class Net:
    """Grows a graph a layer at a time; every method returns the name of what it computed."""

    def __init__(self, name):
        self.name = name
        self.rng = np.random.default_rng([SEED, *name.encode()])
        self.nodes, self.constants, self.inputs, self.outputs = [], [], {}, []

    def input(self, name, array):
        self.inputs[name] = array
        return name

    def constant(self, array):
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

    def floats(self, *values):
        return self.constant(np.array(values if len(values) > 1 else values[0], np.float32))

    def integers(self, *values):
        return self.constant(np.array(values, np.int64))

    def normal(self, shape, deviation):
        return self.constant(self.rng.standard_normal(shape, np.float32) * np.float32(deviation))

    def op(self, kind, *inputs, outputs=1, **attributes):
        names = [f"{kind.lower()}_{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, names, name=names[0], **attributes))
        return names[0] if outputs == 1 else names

    def output(self, x, name, shape):
        """One more output, of the model's usual type."""
        self.nodes.append(helper.make_node("Identity", [x], [name], name=name))
        self.outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))

    def conv(self, x, channels_in, channels, kernel=1, stride=1, groups=1, gain=LINEAR):
        fan_in = channels_in // groups * kernel * kernel
        weight = self.normal((channels, channels_in // groups, kernel, kernel), (gain / fan_in) ** 0.5)
        bias = self.normal((channels,), BIAS)
        shape = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4}
        return self.op("Conv", x, weight, bias, group=groups, **shape)

    def linear(self, x, width_in, width):
        product = self.op("MatMul", x, self.normal((width_in, width), width_in**-0.5))
        return self.op("Add", self.normal((width,), BIAS), product)

    def classify(self, x, channels):
        """Global average, then a thousand logits."""
        flat = self.op("Flatten", self.op("GlobalAveragePool", x), axis=1)
        weight = self.normal((1000, channels), channels**-0.5)
        return self.op("Gemm", flat, weight, self.normal((1000,), BIAS), transB=1)

    def model(self, output, shape):
        """The finished model; what the last layer computed becomes `output`."""
        self.nodes[-1].output[0] = output
        kinds = {np.dtype(np.float32): TensorProto.FLOAT, np.dtype(np.int64): TensorProto.INT64}
        given = [helper.make_tensor_value_info(n, kinds[a.dtype], a.shape) for n, a in self.inputs.items()]
        made = helper.make_tensor_value_info(output, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, self.name, given, [made, *self.outputs], self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def mobilenetv2(net):
    """Sandler et al., "MobileNetV2", 2018, table 2."""
    low, high = net.floats(0), net.floats(6)

    def relu6(*layer, **options):
        return net.op("Clip", net.conv(*layer, **options, gain=RELU), low, high)

    x = net.input("input", net.rng.standard_normal((1, 3, 224, 224), np.float32))
    x, width = relu6(x, 3, 32, 3, stride=2), 32
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, channels, blocks, first_stride in stages:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            inner = width * expansion
            y = relu6(x, width, inner) if expansion > 1 else x
            y = relu6(y, inner, inner, 3, stride=stride, groups=inner)
            kept = block > 0
            y = net.conv(y, inner, channels, gain=RESIDUAL if kept else LINEAR)
            x, width = net.op("Add", x, y) if kept else y, channels
    x = relu6(x, 320, 1280)
    net.classify(x, 1280)
    return net.model("logits", [1, 1000])


def resnet50(net):
    """He et al., "Deep Residual Learning", 2015, with the stride on the 3x3 (v1.5)."""

    def relu(*layer, **options):
        return net.op("Relu", net.conv(*layer, **options, gain=RELU))

    x = net.input("input", net.rng.standard_normal((1, 3, 224, 224), np.float32))
    x = relu(x, 3, 64, 7, stride=2)
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    width = 64
    for inner, blocks, first_stride in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)]:
        for block in range(blocks):
            stride = first_stride if block == 0 else 1
            y = relu(x, width, inner)
            y = relu(y, inner, inner, 3, stride=stride)
            y = net.conv(y, inner, inner * 4, gain=RESIDUAL)
            if block == 0:
                x, width = net.conv(x, width, inner * 4, stride=stride), inner * 4
            x = net.op("Relu", net.op("Add", y, x))
    net.classify(x, 2048)
    return net.model("logits", [1, 1000])


def yolo320(net):
    """YOLOv8n at 320x320, every place with a box and its classes."""
    detect(net)
    return net.model("detections", [1, 84, 2100])


def yolo320_nms(net):
    """The same with its end: boxes that overlap no likelier one, a row each with its score."""
    boxes, scores = net.op("Split", detect(net), net.integers(4, 80), outputs=2, axis=1)
    boxes = net.op("Transpose", boxes, perm=[0, 2, 1])
    kept = net.op("NonMaxSuppression", boxes, scores, net.integers(2), *map(net.floats, THRESHOLDS), center_point_box=1)
    numbers = net.op("Gather", kept, net.integers(2), axis=1)
    found = net.op("GatherND", net.op("Squeeze", boxes, net.integers(0)), numbers)
    concat(net, found, net.op("Unsqueeze", net.op("GatherND", scores, kept), net.integers(1)))
    return net.model("found", ["places", 5])


def detect(net):
    """YOLOv8n's layers (ultralytics, yolov8.yaml at width 0.25, depth 0.33)."""
    x = net.input("images", net.rng.random((1, 3, 320, 320), np.float32))
    x = silu(net, x, 3, 16, 3, stride=2)
    x = c2f(net, silu(net, x, 16, 32, 3, stride=2), 32, 32, 1)
    p3 = c2f(net, silu(net, x, 32, 64, 3, stride=2), 64, 64, 2)
    p4 = c2f(net, silu(net, p3, 64, 128, 3, stride=2), 128, 128, 2)
    p5 = sppf(net, c2f(net, silu(net, p4, 128, 256, 3, stride=2), 256, 256, 1), 256)

    up4 = c2f(net, concat(net, double(net, p5), p4), 384, 128, 1, kept=False)
    n3 = c2f(net, concat(net, double(net, up4), p3), 192, 64, 1, kept=False)
    n4 = c2f(net, concat(net, silu(net, n3, 64, 64, 3, stride=2), up4), 192, 128, 1, kept=False)
    n5 = c2f(net, concat(net, silu(net, n4, 128, 128, 3, stride=2), p5), 384, 256, 1, kept=False)

    heads = [head(net, n3, 64, 40), head(net, n4, 128, 20), head(net, n5, 256, 10)]
    boxes, classes = net.op("Split", concat(net, *heads, axis=2), net.integers(64, 80), outputs=2, axis=1)
    return concat(net, corners(net, boxes), net.op("Sigmoid", classes))


def silu(net, *layer, gain=SILU, **options):
    x = net.conv(*layer, gain=gain, **options)
    return net.op("Mul", x, net.op("Sigmoid", x))


def concat(net, *parts, axis=1):
    return net.op("Concat", *parts, axis=axis)


def double(net, x):
    nearest = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
    return net.op("Resize", x, "", net.floats(1, 1, 2, 2), **nearest)


def c2f(net, x, channels_in, channels, blocks, kept=True):
    """Split, bottlenecks on the last part, everything joined again."""
    half = channels // 2
    parts = net.op("Split", silu(net, x, channels_in, channels), net.integers(half, half), outputs=2, axis=1)
    for _ in range(blocks):
        y = silu(net, silu(net, parts[-1], half, half, 3), half, half, 3, gain=SILU * (RESIDUAL if kept else 1))
        parts.append(net.op("Add", parts[-1], y) if kept else y)
    return silu(net, concat(net, *parts), half * len(parts), channels)


def sppf(net, x, channels):
    half = channels // 2
    parts = [silu(net, x, channels, half)]
    for _ in range(3):
        parts.append(net.op("MaxPool", parts[-1], kernel_shape=[5, 5], strides=[1, 1], pads=[2] * 4))
    return silu(net, concat(net, *parts), half * 4, channels, gain=LINEAR)


def head(net, x, channels, cells):
    """64 box bins and 80 classes for each of cells x cells places."""
    box = silu(net, silu(net, x, channels, 64, 3), 64, 64, 3)
    kind = silu(net, silu(net, x, channels, 80, 3), 80, 80, 3)
    both = concat(net, net.conv(box, 64, 64, gain=SILU), net.conv(kind, 80, 80, gain=SILU))
    return net.op("Reshape", both, net.integers(-1, 144, cells * cells))


def corners(net, bins):
    """Expected distance to each side (Li et al., "Generalized Focal Loss", 2020), as centre and size."""
    bins = net.op("Transpose", net.op("Reshape", bins, net.integers(-1, 4, 16, 2100)), perm=[0, 2, 1, 3])
    chances = net.op("Softmax", bins, axis=1)
    distance = net.constant(np.arange(16, dtype=np.float32).reshape(1, 16, 1, 1))
    sides = net.op("Reshape", net.op("Conv", chances, distance), net.integers(-1, 4, 2100))
    before, after = net.op("Split", sides, net.integers(2, 2), outputs=2, axis=1)
    places, strides = anchors()
    place = net.constant(places)
    start, end = net.op("Sub", place, before), net.op("Add", place, after)
    centre = net.op("Div", net.op("Add", start, end), net.floats(2))
    box = concat(net, centre, net.op("Sub", end, start))
    return net.op("Mul", box, net.constant(strides))


def anchors():
    places, strides = [], []
    for stride in (8, 16, 32):
        ticks = np.arange(320 // stride, dtype=np.float32) + 0.5
        places.append(np.stack(np.meshgrid(ticks, ticks)).reshape(1, 2, -1))
        strides.append(np.full((1, 1, len(ticks) ** 2), stride, np.float32))
    return np.concatenate(places, 2), np.concatenate(strides, 2)


def minilm_l6_s128(net):
    """BERT's encoder (Devlin et al., 2018) in MiniLM-L6's sizes; the last 28 tokens are padding."""
    tokens, width, heads = 128, 384, 12
    ids = net.input("input_ids", net.rng.integers(30522, size=(1, tokens)))
    mask = net.input("attention_mask", (np.arange(tokens) < 100).astype(np.int64)[None])

    bare = net.op("Cast", net.op("Unsqueeze", mask, net.integers(1, 2)), to=TensorProto.FLOAT)
    lowest = net.floats(np.finfo(np.float32).min)
    hidden = net.op("Mul", net.op("Sub", net.floats(1), bare), lowest)

    x = net.op("Gather", net.normal((30522, width), 1), ids, axis=0)
    x = norm(net, net.op("Add", x, net.normal((1, tokens, width), 0.5)), width)
    for _ in range(6):
        x = norm(net, net.op("Add", attend(net, x, hidden, tokens, width, heads), x), width)
        y = net.linear(gelu(net, net.linear(x, width, width * 4)), width * 4, width)
        x = norm(net, net.op("Add", y, x), width)
    return net.model("last_hidden_state", [1, tokens, width])


def vit_b16(net):
    """ViT-B/16 (Dosovitskiy et al., 2020) on one image of 224x224."""
    patches, width, heads = 196, 768, 12
    x = net.input("pixels", net.rng.standard_normal((1, 3, 224, 224), np.float32))
    kernel, bias = net.normal((width, 3, 16, 16), (3 * 16 * 16) ** -0.5), net.normal((width,), BIAS)
    x = net.op("Conv", x, kernel, bias, kernel_shape=[16, 16], strides=[16, 16])
    x = net.op("Transpose", net.op("Reshape", x, net.integers(1, width, patches)), perm=[0, 2, 1])
    x = concat(net, net.normal((1, 1, width), 1), x)
    x = net.op("Add", x, net.normal((1, patches + 1, width), 0.5))
    for _ in range(12):
        x = net.op("Add", x, attend(net, norm(net, x, width), None, patches + 1, width, heads))
        y = net.linear(gelu(net, net.linear(norm(net, x, width), width, width * 4)), width * 4, width)
        x = net.op("Add", x, y)
    first = net.op("Gather", norm(net, x, width), net.integers(0), axis=1)
    net.linear(net.op("Reshape", first, net.integers(1, width)), width, 1000)
    return net.model("logits", [1, 1000])


def unet(net):
    """U-Net (Ronneberger et al., 2015) on 128x128, padded so that the picture keeps its size."""

    def twice(x, channels_in, channels):
        x = net.op("Relu", net.conv(x, channels_in, channels, 3, gain=RELU))
        return net.op("Relu", net.conv(x, channels, channels, 3, gain=RELU))

    x, width, kept = net.input("picture", net.rng.standard_normal((1, 1, 128, 128), np.float32)), 1, []
    for channels in (64, 128, 256, 512):
        kept.append(twice(x, width, channels))
        x, width = net.op("MaxPool", kept[-1], kernel_shape=[2, 2], strides=[2, 2]), channels
    x, width = twice(x, width, 1024), 1024
    for before in reversed(kept):
        channels = width // 2
        weight, bias = net.normal((width, channels, 2, 2), width**-0.5), net.normal((channels,), BIAS)
        x = net.op("ConvTranspose", x, weight, bias, kernel_shape=[2, 2], strides=[2, 2])
        x, width = twice(concat(net, before, x), width, channels), channels
    net.conv(x, 64, 2)
    return net.model("classes", [1, 2, 128, 128])


def norm(net, x, width):
    scale = net.constant(1 + net.rng.standard_normal(width, np.float32) * np.float32(0.05))
    return net.op("LayerNormalization", x, scale, net.normal((width,), BIAS), axis=-1, epsilon=1e-12)


def gelu(net, x):
    halves = net.op("Add", net.op("Erf", net.op("Div", x, net.floats(2**0.5))), net.floats(1))
    return net.op("Mul", net.op("Mul", x, halves), net.floats(0.5))


def attend(net, x, hidden, tokens, width, heads):
    def split(perm):
        y = net.op("Reshape", net.linear(x, width, width), net.integers(-1, tokens, heads, width // heads))
        return net.op("Transpose", y, perm=perm)

    query, key, value = split([0, 2, 1, 3]), split([0, 2, 3, 1]), split([0, 2, 1, 3])
    scores = net.op("Div", net.op("MatMul", query, key), net.floats((width // heads) ** 0.5))
    chances = net.op("Softmax", net.op("Add", scores, hidden) if hidden else scores, axis=-1)
    mixed = net.op("Transpose", net.op("MatMul", chances, value), perm=[0, 2, 1, 3])
    return net.linear(net.op("Reshape", mixed, net.integers(-1, tokens, width)), width, width)


def gpt2_l8_c64(net):
    """A small one, with caches of 64 places."""
    return decoder(net, layers=8, places=64, width=128, heads=4, words=2000, positions=64)


def gpt2_small(net):
    """GPT-2's smallest, as large as it is: a table of words of 147 MiB, which is also the last layer."""
    return decoder(net, layers=12, places=64, width=768, heads=12, words=50257, positions=1024)


def decoder(net, layers, places, width, heads, words, positions):
    """GPT-2's decoder (Radford et al., 2019): one token a run, its keys and values in caches.

    The caches are inputs and outputs of one shape, so that every token runs the same plan.
    """
    cache = (1, heads, places, width // heads)
    at = 40
    token = net.input("input_ids", net.rng.integers(words, size=(1, 1)))
    position = net.input("position", np.array([at], np.int64))

    every = net.integers(*range(places))
    here = net.op("Reshape", net.op("Equal", every, position), net.integers(1, 1, places, 1))
    seen = net.op("LessOrEqual", every, position)
    lowest = net.floats(np.finfo(np.float32).min)
    hidden = net.op("Reshape", net.op("Where", seen, net.floats(0), lowest), net.integers(1, 1, 1, places))

    vocabulary = net.normal((words, width), 0.1)
    embedded = net.op("Gather", vocabulary, token, axis=0)
    x = net.op("Add", embedded, net.op("Gather", net.normal((positions, width), 0.1), position, axis=0))
    for layer in range(layers):
        y = norm(net, x, width)
        split = {"outputs": 3, "axis": -1}
        query, key, value = net.op("Split", net.linear(y, width, 3 * width), net.integers(width, width, width), **split)
        mixed = recall(net, layer, at, (query, key, value), here, hidden, cache)
        x = net.op("Add", x, net.linear(mixed, width, width))
        y = net.linear(norm(net, x, width), width, 4 * width)
        x = net.op("Add", x, net.linear(gelu(net, y), 4 * width, width))
    # The embedding is also the last layer, as in GPT-2.
    last = norm(net, x, width)
    net.op("MatMul", last, net.op("Transpose", vocabulary, perm=[1, 0]))
    return net.model("logits", [1, 1, words])


def recall(net, layer, at, now, here, hidden, cache):
    """Attention over what was kept and what is new, which is kept in turn."""
    _, heads, places, head = cache
    query, key, value = (net.op("Reshape", x, net.integers(1, heads, 1, head)) for x in now)
    kept = []
    for name, new in (("key", key), ("value", value)):
        past = net.rng.standard_normal(cache, np.float32) * (np.arange(places) < at)[:, None].astype(np.float32)
        past = net.input(f"past_{name}_{layer}", past)
        kept.append(net.op("Where", here, new, past))
        net.output(kept[-1], f"present_{name}_{layer}", cache)
    scores = net.op("MatMul", query, net.op("Transpose", kept[0], perm=[0, 1, 3, 2]))
    scores = net.op("Add", net.op("Div", scores, net.floats(head**0.5)), hidden)
    mixed = net.op("MatMul", net.op("Softmax", scores, axis=-1), kept[1])
    return net.op("Reshape", mixed, net.integers(1, 1, heads * head))


def halved(name, build):
    """The same in FP16: inputs, weights and what is computed."""

    def half(net):
        model = build(net)
        # Scales are FP32 whatever is resized.
        scales = {node.input[2] for node in model.graph.node if node.op_type == "Resize"}
        for constant in model.graph.initializer:
            if constant.data_type == TensorProto.FLOAT and constant.name not in scales:
                array = np.clip(numpy_helper.to_array(constant), -LARGEST_HALF, LARGEST_HALF).astype(np.float16)
                constant.CopyFrom(numpy_helper.from_array(array, constant.name))
        for attribute in (a for node in model.graph.node if node.op_type == "Cast" for a in node.attribute):
            if attribute.i == TensorProto.FLOAT:
                attribute.i = TensorProto.FLOAT16
        for value in [*model.graph.input, *model.graph.output]:
            if value.type.tensor_type.elem_type == TensorProto.FLOAT:
                value.type.tensor_type.elem_type = TensorProto.FLOAT16
        net.inputs = {n: a.astype(np.float16) if a.dtype == np.float32 else a for n, a in net.inputs.items()}
        return model

    half.__name__ = name
    return half


MODELS = [mobilenetv2, resnet50, yolo320, yolo320_nms, minilm_l6_s128, vit_b16, unet, gpt2_l8_c64, gpt2_small]
HALVED = [mobilenetv2, resnet50, yolo320, minilm_l6_s128, vit_b16, unet, gpt2_small]
MODELS += [halved(f"{build.__name__}_f16", build) for build in HALVED]
MODELS = {build.__name__: build for build in MODELS}
# Speech, text in images, kinds of files, a detector, a captcha.
PACKAGED = ["silero_vad5", "ppocr6_rec", "magika", "nudenet", "ddddocr_common"]



def main():
    arguments = parse()
    arguments.directory.mkdir(parents=True, exist_ok=True)
    for name in [arguments.only] if arguments.only else MODELS:
        path = arguments.directory / f"{name}.onnx"
        if not path.exists():
            (copy if name in PACKAGED else write)(name, path)
        if arguments.time:
            print(json.dumps(measure(path, arguments.threads, arguments.batch)), flush=True)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, nargs="?", default=Path("target/models"))
    parser.add_argument("--only", choices=[*MODELS, *PACKAGED])
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=1)
    return parser.parse_args()


def write(name, path):
    """The model last: where it stands, its arrays do too."""
    net = Net(name)
    model = MODELS[name](net)
    onnx.checker.check_model(model, full_check=True)
    serialised = model.SerializeToString()
    session = runtime(serialised)
    for output, value in zip(session.get_outputs(), session.run(None, net.inputs)):
        if not np.isfinite(value).all():
            sys.exit(f"{name}: {output.name} is not finite")
        np.save(path.with_suffix(f".{output.name}.expected.npy"), value)
    for given, array in net.inputs.items():
        np.save(path.with_suffix(f".{given}.npy"), array)
    path.write_bytes(serialised)
    print(f"{path.name}: {len(serialised)} bytes", file=sys.stderr)


def copy(name, path):
    """A case that zoo.py wrote, the model last."""
    case = Path("target/zoo/cases", name)
    session = runtime(str(case / "model.onnx"))
    for kind, values, suffix in (("input", session.get_inputs(), ""), ("output", session.get_outputs(), ".expected")):
        for index, value in enumerate(values):
            array = onnx.load_tensor(case / f"{kind}_{index}.pb")
            np.save(path.with_suffix(f".{value.name}{suffix}.npy"), numpy_helper.to_array(array))
    onnx.save(onnx.load(case / "model.onnx"), path)


def measure(path, threads, batch):
    session = runtime(batched(path, batch) if batch > 1 else path, threads)
    inputs = {given.name: np.load(path.with_suffix(f".{given.name}.npy")) for given in session.get_inputs()}
    inputs = {name: np.repeat(array, batch, axis=0) for name, array in inputs.items()}
    for _ in range(WARM_UPS):
        session.run(None, inputs)
    taken_ms = []
    while len(taken_ms) < RUNS_MAX and sum(taken_ms) < SECONDS_MAX * 1000:
        start = time.perf_counter()
        session.run(None, inputs)
        taken_ms.append((time.perf_counter() - start) * 1000)
    return {
        "model": path.stem,
        "threads": threads,
        "p50_ms": round(float(np.median(taken_ms)), 2),
        "min_ms": round(min(taken_ms), 2),
        "n": len(taken_ms),
    }


def batched(path, batch):
    model = onnx.load(path)
    del model.graph.value_info[:]
    for value in [*model.graph.input, *model.graph.output]:
        value.type.tensor_type.shape.dim[0].dim_value = batch
    return model.SerializeToString()


def runtime(model, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
