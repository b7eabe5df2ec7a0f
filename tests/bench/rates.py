"""Prints a rate of this device, by PyTorch where that has a GPU, else by numpy.

    python tests/bench/rates.py gemm N      GFLOP/s of a product of N x N floats
    python tests/bench/rates.py gemm16 N    the same of halves, on a GPU
    python tests/bench/rates.py copy FLOATS GB/s read and written by a copy
    python tests/bench/rates.py conv CHANNELS OUT SIDE KERNEL GROUPS
                                            GFLOP/s of a convolution of one picture, by ONNX Runtime
                                            instead of numpy
"""

import sys
import time

import numpy as np

SECONDS = 2

try:
    import torch

    GPU = torch.cuda.is_available()
except ImportError:
    GPU = False


def main():
    what, size = sys.argv[1], int(sys.argv[2])
    if what == "conv":
        return print(convolution(*map(int, sys.argv[2:])))
    if what == "gemm16" and not GPU:
        sys.exit("no GPU")
    shape = (size,) if what == "copy" else (size, size)
    a = torch.rand(shape, device="cuda") if GPU else np.random.default_rng(1).random(shape, np.float32)
    if what == "gemm16":
        a = a.half()
    b = a + 1
    work = (lambda: b.copy_(a) if GPU else np.copyto(b, a)) if what == "copy" else lambda: a @ b
    amount = 8 * size if what == "copy" else 2 * size**3
    print(amount / seconds(work) / 1e9)


def convolution(channels, out, side, kernel, groups):
    rng = np.random.default_rng(1)
    x = rng.random((1, channels, side, side), np.float32)
    weight = rng.random((out, channels // groups, kernel, kernel), np.float32)
    amount = 2 * out * side * side * channels // groups * kernel * kernel
    if GPU:
        x, weight = torch.from_numpy(x).cuda(), torch.from_numpy(weight).cuda()
        work = lambda: torch.nn.functional.conv2d(x, weight, padding=kernel // 2, groups=groups)
    else:
        session = runtime(x.shape, weight, groups)
        work = lambda: session.run(None, {"x": x})
    return amount / seconds(work) / 1e9


def runtime(shape, weight, groups):
    """ONNX Runtime with one convolution."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    pads = [weight.shape[2] // 2] * 4
    conv = helper.make_node("Conv", ["x", "w"], ["y"], group=groups, pads=pads)
    ports = [helper.make_tensor_value_info(name, TensorProto.FLOAT, s) for name, s in [("x", shape), ("y", None)]]
    graph = helper.make_graph([conv], "conv", ports[:1], ports[1:], [numpy_helper.from_array(weight, "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def seconds(work):
    """The best of several runs, as long as they take."""
    best, end = float("inf"), time.perf_counter() + SECONDS
    while time.perf_counter() < end:
        start = time.perf_counter()
        work()
        if GPU:
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return best


if __name__ == "__main__":
    main()
