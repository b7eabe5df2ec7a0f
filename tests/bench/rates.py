"""Prints a rate of this device, by PyTorch where that has a GPU, else by numpy.

    python tests/bench/rates.py gemm N      GFLOP/s of a product of N x N floats
    python tests/bench/rates.py gemm16 N    the same of halves, on a GPU
    python tests/bench/rates.py copy FLOATS GB/s read and written by a copy
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
