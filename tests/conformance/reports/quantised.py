"""Quantised numbers: ties, saturation, blocks, odd numbers of 4-bit ones, small floats, integer products.

Reports: openvino #31006 #32917 #32918, onnxruntime #25378, ml_dtypes #260, onnx #6220.
"""

import ml_dtypes
import numpy as np
from onnx import TensorProto, helper
from suite import FLOAT, INT32, UINT8, case, f32, label, node, normal, onnxruntime, reference

INT4, UINT4, BFLOAT16 = TensorProto.INT4, TensorProto.UINT4, TensorProto.BFLOAT16
INF = np.inf


def cases():
    yield from four_bits()
    yield from blocks()
    yield from ties_and_saturation()
    yield from casts_to_four_bits()
    yield from small_floats()
    yield from dynamic()
    yield from integer_products()
    yield from softmax_between()


def four(values, kind=INT4):
    """A constant of 4-bit numbers."""
    return helper.make_tensor("", kind, np.shape(values), np.ravel(values).tolist())


def one(name, nodes, inputs, y, constants={}, opset=21, **options):
    return case(name, nodes, inputs, {"y": y}, constants=constants, opset=opset, ir=10, **options)


def four_bits():
    random, zero = np.random.RandomState(0), np.zeros(1, np.float32)
    for shape in ((3,), (5,), (3, 5), (1, 7), (3, 3, 3)):
        for kind, name, low, high in ((INT4, "int4", -8, 8), (UINT4, "uint4", 0, 16)):
            q, scale = random.randint(low, high, shape), {"s": np.float32(0.5)}
            nodes = [node("DequantizeLinear", ["q", "s"], ["d"]), node("Add", ["d", "x"], ["y"])]
            y = (q * 0.5).astype(np.float32)
            yield one(f"dequantize_{name}_{shape}", nodes, {"x": zero}, y, {"q": four(q, kind), **scale})
            nodes = [node("DequantizeLinear", ["q", "s", "z"], ["d"]), node("Add", ["d", "x"], ["y"])]
            y = ((q - 3) * 0.5).astype(np.float32)
            constants = {"q": four(q, kind), "z": four(np.array(3), kind), **scale}
            yield one(f"dequantize_{name}_{shape}_zero_3", nodes, {"x": zero}, y, constants)


def blocks():
    random, size = np.random.RandomState(1), 2
    for axis in (0, 1, 2, -1):
        q = random.randint(-8, 8, (4, 6, 3))
        shape = list(q.shape)
        shape[axis] = -(-shape[axis] // size)
        scales, zeros = (random.rand(*shape) + 0.5).astype(np.float32), random.randint(-4, 4, shape)
        whole = lambda x: np.repeat(x, size, axis).take(np.arange(q.shape[axis]), axis)
        y, how = ((q - whole(zeros)) * whole(scales)).astype(np.float32), dict(axis=axis, block_size=size)
        nodes = [node("DequantizeLinear", ["q", "s", "z"], ["d"], **how), node("Add", ["d", "x"], ["y"])]
        constants = {"q": four(q), "s": scales, "z": four(zeros)}
        yield one(f"dequantize_blocks_int4_axis_{axis}", nodes, {"x": np.zeros(1, np.float32)}, y, constants)
        nodes, constants = [node("DequantizeLinear", ["q", "s", "z"], ["y"], **how)], {"s": scales, "z": np.int8(zeros)}
        yield one(f"dequantize_blocks_int8_axis_{axis}", nodes, {"q": np.int8(q)}, y, constants)
        x = normal(random, 4, 6, 3) * np.float32(5)
        y = np.clip(np.rint(x / whole(scales)) + whole(zeros), -128, 127).astype(np.int8)
        nodes = [node("QuantizeLinear", ["x", "s", "z"], ["y"], **how)]
        yield one(f"quantize_blocks_int8_axis_{axis}", nodes, {"x": x}, y, constants)


def quantize(name, x, scale, zero, **options):
    """Divides, rounds halves to even, and only then adds the zero point; the ends hold what is beyond."""
    limits = np.iinfo(zero.dtype)
    wide = np.rint((x / np.float32(scale)).astype(np.float64)) + np.float64(zero)
    y = np.clip(wide, limits.min, limits.max).astype(zero.dtype)
    nodes, constants = [node("QuantizeLinear", ["x", "s", "z"], ["y"])], {"s": np.float32(scale), "z": zero}
    return one(name, nodes, {"x": x}, y, constants, **options)


def ties_and_saturation():
    x = f32(0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 127.5, 128.5, -128.5, 1e9, -1e9, INF, -INF, 254.5, 255.5, 256, 3e9, -3e9)
    for dtype in (np.int8, np.uint8, np.int16, np.uint16):
        limits = np.iinfo(dtype)
        for zero in sorted({0, 3, 5, limits.max // 2 + 1 if limits.min == 0 else -7, limits.min, limits.max}):
            yield quantize(f"quantize_{label(dtype)}_zero_{zero}", x, 1, np.array(zero, dtype))
    nodes, y = [node("QuantizeLinear", ["x", "s"], ["y"])], np.clip(np.rint(x.astype(np.float64)), 0, 255)
    yield one("quantize_no_zero", nodes, {"x": x}, y.astype(np.uint8), {"s": np.float32(1)}, opset=13)
    yield quantize("quantize_tiny_scale", f32(25, -25, 0), 1e-8, np.uint8(128))
    for name, scale in (("tenth", np.float32(0.1)), ("third", np.float32(1 / 3))):
        # Halves that a product with the reciprocal would miss.
        halves = (np.arange(-200, 200) + 0.5).astype(np.float32) * scale
        yield quantize(f"quantize_halves_of_a_{name}", halves, scale, np.int8(0))


def casts_to_four_bits():
    x = f32(-20, -8.5, -8, -0.5, 0.5, 1.5, 6.5, 7.5, 100)
    nodes = [node("QuantizeLinear", ["x", "s", "z"], ["q"]), node("DequantizeLinear", ["q", "s", "z"], ["y"])]
    for name, kind, zero, low, high in (("int4", INT4, 0, -8, 7), ("uint4", UINT4, 2, 0, 15)):
        y = np.clip(np.rint(x) + zero, low, high).astype(np.float32) - zero
        yield one(f"quantize_{name}", nodes, {"x": x}, y, {"s": np.float32(1), "z": four(np.array(zero), kind)})
        whole = np.array([-3, 0, 5, 7, 8, 15, 17, -9], np.int32)
        y = ((whole - low) % 16 + low).astype(np.int32)
        there_and_back = [node("Cast", ["x"], ["a"], to=kind), node("Cast", ["a"], ["y"], to=INT32)]
        yield one(f"cast_{name}", there_and_back, {"x": whole}, y)


def small_floats():
    x = f32(0.1, 1.0625, 1.1875, 448, 464, 465, 500, 57344, 61440, 1e9, -1e9, 1e-3, 2**-9, 2**-10, 2**-11, -0.0)
    x = np.append(x, f32(np.nan, 240, 248, 255))
    for suffix in ("e4m3fn", "e5m2", "e4m3fnuz", "e5m2fnuz"):
        small, kind = getattr(ml_dtypes, f"float8_{suffix}"), getattr(TensorProto, f"FLOAT8{suffix.upper()}")
        most = float(ml_dtypes.finfo(small).max)
        for name, given, how in (("saturated", np.clip(x, -most, most), {}), ("beyond", x, {"saturate": 0})):
            nodes = [node("Cast", ["x"], ["a"], to=kind, **how), node("Cast", ["a"], ["y"], to=FLOAT)]
            yield one(f"cast_float8{suffix}_{name}", nodes, {"x": x}, given.astype(small).astype(np.float32))
    x, exact = f32(1, 1 + 2**-8, 1 + 2**-8 + 2**-20, 1 + 3 * 2**-8, 3.4e38, np.nan, INF, -0.0, 1e-40), dict(
        rtol=0, atol=0
    )
    nodes = [node("Cast", ["x"], ["a"], to=BFLOAT16), node("Cast", ["a"], ["y"], to=FLOAT)]
    half = x.astype(ml_dtypes.bfloat16)
    yield one("cast_bfloat16", nodes, {"x": x}, half.astype(np.float32), **exact)
    nodes = [nodes[0], node("Add", ["a", "a"], ["b"]), node("Cast", ["b"], ["y"], to=FLOAT)]
    yield one("add_bfloat16", nodes, {"x": x[:4]}, (half[:4] + half[:4]).astype(np.float32), **exact)


def dynamic():
    nodes = [node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])]
    for name, x in (
        ("positive", f32(1, 2, 3)),
        ("negative", f32(-1, -2, -3)),
        ("mixed", f32(-1.5, 0, 3.7, 1)),
        ("halves", f32(0, 127.5, 255)),
    ):
        yield case(f"dynamic_{name}", nodes, {"x": x}, onnxruntime(y=UINT8, s=FLOAT, z=UINT8), opset=13)
    # Zeros are 0 whatever the scale, which is nobody's word.
    yield case("dynamic_zeros", nodes, {"x": np.zeros(4, np.float32)}, onnxruntime(y=UINT8), opset=13)


def draw(random, *shape, most=127):
    """Numbers of 8 bits, and weights of 8 bits or of 7.

    On CPUs with AVX2 and without VNNI ONNX Runtime adds two products of 8 bits in 16, which saturate: what it says of
    8 bits differs from machine to machine.
    """
    return random.randint(0, 255, shape[0]).astype(np.uint8), random.randint(-most, most + 1, shape[1]).astype(np.int8)


def integer_products():
    random = np.random.RandomState(2)
    yield from integer_convolutions(random)
    yield from integer_matrices(random)
    yield from scaled_matrices(random)
    yield from signed(random)


def integer_convolutions(random):
    to_x, to_y = {"xs": np.float32(0.02), "xz": np.uint8(120)}, {"ys": np.float32(0.05), "yz": np.uint8(100)}
    for bits, most in ((7, 63), (8, 127)):
        x, w = draw(random, (1, 2, 5, 5), (3, 2, 3, 3), most=most)
        of_w = {"w": w, "ws": f32(0.01, 0.02, 0.03), "wz": np.zeros(3, np.int8)}
        constants = {**to_x, **of_w, **to_y, "b": np.int32([100, -200, 300])}
        nodes, told = [node("QLinearConv", ["x", *constants], ["y"], pads=[1] * 4)], reference(y=UINT8)
        yield case(f"QLinearConv_of_{bits}_bits", nodes, {"x": x}, told, opset=13, constants=constants)
        nodes, told = [node("ConvInteger", ["x", "w", "xz"], ["y"], pads=[1] * 4)], onnxruntime(y=INT32)
        constants = {"w": w, "xz": np.uint8(120)}
        yield case(f"ConvInteger_of_{bits}_bits", nodes, {"x": x}, told, opset=13, constants=constants)


def integer_matrices(random):
    columns, rows = np.int8([1, -2, 3]), np.uint8([1, 2, 3, 4])
    for bits, most in ((7, 63), (8, 127)):
        a, b = draw(random, (4, 7), (7, 3), most=most)
        given, name = {"a": a, "b": b}, f"of_{bits}_bits"
        y = (np.int32(a) - 100) @ (np.int32(b) - columns)
        nodes, constants = [node("MatMulInteger", ["a", "b", "az", "bz"], ["y"])], {"az": np.uint8(100), "bz": columns}
        yield one(f"MatMulInteger_by_column_{name}", nodes, given, y.astype(np.int32), constants, 13)
        y = (np.int32(a) - rows[:, None]) @ np.int32(b)
        nodes = [node("MatMulInteger", ["a", "b", "az"], ["y"])]
        yield one(f"MatMulInteger_by_row_{name}", nodes, given, y.astype(np.int32), {"az": rows}, 13)


def scaled_matrices(random):
    a, b = draw(random, (4, 7), (7, 3), most=63)
    of_a = {"as": np.float32(0.02), "az": np.uint8(100)}
    of_b = {"bs": f32(0.01, 0.02, 0.03), "bz": np.int8([1, 2, 3])}
    of_y = {"ys": np.float32(0.1), "yz": np.uint8(128)}
    nodes = [node("QLinearMatMul", ["a", *of_a, "b", *of_b, *of_y], ["y"])]
    constants, given, told = {**of_a, **of_b, **of_y}, {"a": a, "b": b}, onnxruntime(y=UINT8)
    # Where a product lies on a half, the library rounds a scale of its own.
    yield case("QLinearMatMul", nodes, given, told, opset=13, constants=constants, atol=1)


def signed(random):
    """INT8 on both sides, and as the result; two products fit 16 bits, though weights have all 8."""
    a, w = random.randint(-128, -64, (4, 8)).astype(np.int8), random.randint(-127, 128, (8, 3)).astype(np.int8)
    to_a, to_w = {"as": np.float32(0.02), "az": np.int8(-100)}, {"ws": np.float32(0.01), "wz": np.int8(0)}
    to_y = {"ys": np.float32(0.05), "yz": np.int8(-20)}
    # Where a product lies on a half, the library rounds a scale of its own.
    y = (np.int32(a) + 100) @ np.int32(w) * (0.02 * 0.01 / 0.05) - 20
    y, near = np.clip(np.rint(y), -128, 127).astype(np.int8), dict(opset=13, atol=1)
    nodes, constants = [node("QLinearMatMul", ["a", *to_a, "w", *to_w, *to_y], ["y"])], {**to_a, **to_w, **to_y}
    yield case("QLinearMatMul_int8", nodes, {"a": a}, {"y": y}, constants={**constants, "w": w}, **near)
    yield case("QLinearMatMul_int8_given", nodes, {"a": a, "w": w}, {"y": y}, constants=constants, **near)
    # As a convolution of 1 by 1: rows become places, columns channels.
    image, kernel = a.T.reshape(1, 8, 2, 2), {"w": w.T.reshape(3, 8, 1, 1)}
    nodes, y = [node("QLinearConv", ["x", *to_a, "w", *to_w, *to_y], ["y"])], {"y": y.T.reshape(1, 3, 2, 2)}
    yield case("QLinearConv_int8", nodes, {"x": image}, y, constants={**constants, **kernel}, **near)
    constants |= {**kernel, "ws": np.full(3, 0.01, np.float32), "wz": np.zeros(3, np.int8)}
    yield case("QLinearConv_int8_by_channel", nodes, {"x": image}, y, constants=constants, **near)


def softmax_between():
    """A chain that libraries like to make one: dequantised, softmax, quantised."""
    q = np.array([[10, 200, 30, 40], [0, 0, 90, 91]])
    for dtype, zero in ((np.uint8, 0), (np.int8, -128)):
        limits = np.iinfo(dtype)
        x, first = (q + limits.min).astype(dtype), dtype(limits.min + 100)
        d = (x.astype(np.float32) - np.float32(first)) * np.float32(0.05)
        p = np.exp(d - d.max(-1, keepdims=True))
        p /= p.sum(-1, keepdims=True)
        y = np.clip(np.rint(p * 255) + zero, limits.min, limits.max).astype(dtype)
        nodes = [
            node("DequantizeLinear", ["x", "s1", "z1"], ["d"]),
            node("Softmax", ["d"], ["p"], axis=-1),
            node("QuantizeLinear", ["p", "s2", "z2"], ["y"]),
        ]
        constants = {"s1": np.float32(0.05), "z1": first, "s2": np.float32(1 / 255), "z2": dtype(zero)}
        yield one(f"softmax_between_{label(dtype)}", nodes, {"x": x}, y, constants, opset=18, atol=1)
