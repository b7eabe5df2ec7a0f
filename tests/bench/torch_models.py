"""Times a model of models.py by PyTorch, from inputs in host memory to outputs there; prints the median in milliseconds.

    python tests/bench/torch_models.py MODEL [--batch N] [--compiled] [--device cuda]

The ONNX file is walked node by node, so that weights and operators are those that the others compute. On the CPU halves
are widened: PyTorch has hardly an operator of them there.
"""

import argparse
import pathlib
import statistics
import sys
import time

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.nn import functional as F

MODELS = pathlib.Path(__file__).parents[2] / "target/models"
WARM_UPS, RUNS, SECONDS = 5, 50, 10


def split_pads(pads):
    """Begins and ends by axis, as F.pad takes them; ONNX has all begins first."""
    half = len(pads) // 2
    return [pads[at + side * half] for at in reversed(range(half)) for side in (0, 1)]


def conv(x, w, b=None, *, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1, **_):
    if list(pads[:2]) == list(pads[2:]):
        return F.conv2d(x, w, b, tuple(strides), tuple(pads[:2]), tuple(dilations), group)
    return F.conv2d(F.pad(x, split_pads(pads)), w, b, tuple(strides), 0, tuple(dilations), group)


def conv_transpose(x, w, b=None, *, strides=(1, 1), pads=(0, 0, 0, 0), dilations=(1, 1), group=1, **_):
    return F.conv_transpose2d(x, w, b, tuple(strides), tuple(pads[:2]), 0, group, tuple(dilations))


def clip(x, low=None, high=None):
    """Bounds may have an axis."""
    low, high = (None if bound is None else np.asarray(bound).item() for bound in (low, high))
    return torch.clamp(x, low, high)


def max_pool(x, *, kernel_shape, strides=(1, 1), pads=(0, 0, 0, 0), **_):
    return F.max_pool2d(F.pad(x, split_pads(pads), value=-torch.inf), tuple(kernel_shape), tuple(strides))


def gemm(a, b, c=None, *, alpha=1.0, beta=1.0, transA=0, transB=0):
    y = alpha * ((a.T if transA else a) @ (b.T if transB else b))
    return y if c is None else y + beta * c


def layer_normalization(x, scale, shift=None, *, axis=-1, epsilon=1e-5, **_):
    return F.layer_norm(x, x.shape[axis % x.ndim :], scale, shift, epsilon)


def reshape(x, shape, **_):
    return x.reshape([x.shape[at] if extent == 0 else extent for at, extent in enumerate(shape)])


def unsqueeze(x, axes):
    for axis in sorted(axes):
        x = x.unsqueeze(axis)
    return x


def split(x, sizes, *, axis=0, **_):
    return torch.split(x, sizes, axis)


def gather(x, indices, *, axis=0):
    shape = x.shape[:axis] + indices.shape + x.shape[axis + 1 :]
    return x.index_select(axis, indices.reshape(-1)).reshape(shape)


def gather_nd(x, indices):
    return x[tuple(indices.unbind(-1))]


def non_max_suppression(boxes, scores, most, overlap, least, *, center_point_box=0):
    """Batch, class and place of boxes that overlap no likelier one of their class, the likeliest first."""
    found = []
    for batch, classes in enumerate(scores):
        corners = boxes[batch]
        if center_point_box:
            corners = torch.cat([corners[:, :2] - corners[:, 2:] / 2, corners[:, :2] + corners[:, 2:] / 2], 1)
        for kind, chances in enumerate(classes):
            places = torch.nonzero(chances > np.asarray(least).item()).reshape(-1)
            places = places[torch.argsort(chances[places], descending=True)]
            for place in kept(corners[places], np.asarray(overlap).item())[: np.asarray(most).item()]:
                found.append([batch, kind, int(places[place])])
    return torch.tensor(found, dtype=torch.int64, device=boxes.device).reshape(-1, 3)


def kept(boxes, overlap):
    """Places of boxes, of which those before take away those that they overlap."""
    low = torch.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = torch.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(-1)
    over = (shared > overlap * (areas[:, None] + areas[None] - shared)).tolist()
    places = []
    for place in range(len(boxes)):
        if not any(over[place][before] for before in places):
            places.append(place)
    return places


def resize(x, _roi, scales, **_):
    return F.interpolate(x, scale_factor=tuple(scales[2:]), mode="nearest")


def cast(x, *, to, **_):
    return x.to(torch.from_numpy(np.empty(0, onnx.helper.tensor_dtype_to_np_dtype(to))).dtype)


OPERATORS = {
    "Add": torch.add,
    "Cast": cast,
    "Clip": clip,
    "Concat": lambda *parts, axis: torch.cat(parts, axis),
    "Conv": conv,
    "ConvTranspose": conv_transpose,
    "Div": torch.div,
    "Equal": torch.eq,
    "Erf": torch.erf,
    "Flatten": lambda x, *, axis=1: torch.flatten(x, axis),
    "Gather": gather,
    "GatherND": gather_nd,
    "Gemm": gemm,
    "GlobalAveragePool": lambda x: x.mean((2, 3), keepdim=True),
    "Identity": lambda x: x,
    "LayerNormalization": layer_normalization,
    "LessOrEqual": torch.le,
    "MatMul": torch.matmul,
    "MaxPool": max_pool,
    "Mul": torch.mul,
    "NonMaxSuppression": non_max_suppression,
    "Relu": torch.relu,
    "Reshape": reshape,
    "Resize": resize,
    "Sigmoid": torch.sigmoid,
    "Softmax": lambda x, *, axis=-1: torch.softmax(x, axis),
    "Split": split,
    "Squeeze": lambda x, axes: x.squeeze(*axes),
    "Sub": torch.sub,
    "Transpose": lambda x, *, perm: x.permute(perm),
    "Unsqueeze": unsqueeze,
    "Where": torch.where,
}
# Inputs that PyTorch takes as numbers.
NUMBERS = {"Clip": (1, 2), "NonMaxSuppression": (2, 3, 4), "Reshape": (1,), "Resize": (2,), "Split": (1,)}
NUMBERS |= {"Squeeze": (1,), "Unsqueeze": (1,)}


class Walk(torch.nn.Module):
    """A graph's nodes, one after the other."""

    def __init__(self, graph, device):
        super().__init__()
        known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self.widens = device == "cpu"
        self.weights = {name: self.place(array.copy(), device) for name, array in known.items()}
        self.inputs = [port.name for port in graph.input]
        self.outputs = [port.name for port in graph.output]
        self.steps = [self.step(node, known) for node in graph.node]

    def place(self, array, device):
        x = torch.from_numpy(array).to(device)
        return x.float() if self.widens and x.dtype == torch.float16 else x

    def step(self, node, known):
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        if self.widens and attributes.get("to") == onnx.TensorProto.FLOAT16:
            attributes["to"] = onnx.TensorProto.FLOAT
        places = [at for at in NUMBERS.get(node.op_type, ()) if "".join(node.input[at : at + 1])]
        numbers = {at: known[node.input[at]].tolist() for at in places}
        return OPERATORS[node.op_type], attributes, list(node.input), numbers, list(node.output)

    def forward(self, *inputs):
        values = self.weights | dict(zip(self.inputs, inputs))
        for operator, attributes, names, numbers, outputs in self.steps:
            given = [numbers.get(at, values.get(name)) for at, name in enumerate(names)]
            made = operator(*given, **attributes)
            values.update(zip(outputs, made if isinstance(made, tuple) else (made,)))
        return [values[name] for name in self.outputs]


def main():
    flags = argparse.ArgumentParser()
    flags.add_argument("model")
    flags.add_argument("--batch", type=int, default=1)
    flags.add_argument("--compiled", action="store_true")
    flags.add_argument("--device", default="cuda")
    flags = flags.parse_args()
    graph = onnx.load(MODELS / f"{flags.model}.onnx").graph
    walk = Walk(graph, flags.device).eval()
    inputs = [np.load(MODELS / f"{flags.model}.{name}.npy") for name in walk.inputs]
    inputs = [walk.place(np.repeat(x, flags.batch, 0) if flags.batch > 1 else x, "cpu") for x in inputs]
    run = torch.compile(walk) if flags.compiled else walk

    @torch.inference_mode()
    def once():
        return [y.cpu() for y in run(*(x.to(flags.device) for x in inputs))]

    for name, found in zip(walk.outputs, once()):
        expected = np.load(MODELS / f"{flags.model}.{name}.expected.npy")
        np.testing.assert_allclose(found[: len(expected)].numpy(), expected, rtol=1e-2, atol=1e-2 * np.abs(expected).max())
    for _ in range(WARM_UPS):
        once()
    times, end = [], time.perf_counter() + SECONDS
    while len(times) < RUNS and time.perf_counter() < end:
        start = time.perf_counter()
        once()
        times.append(time.perf_counter() - start)
    print(statistics.median(times) * 1e3)


if __name__ == "__main__":
    sys.exit(main())
