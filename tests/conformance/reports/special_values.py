"""Every operator of one input over NaN, infinities, zeros, and numbers from tiny to huge.

Reports: tvm #19572, tinygrad #17882 #17883, tfjs #4734.
"""

import math

import numpy as np
from suite import FLOATS, case, f32, in_double, label, node

VALUES = f32(
    *(np.nan, np.inf, -np.inf, 0, -0.0, 1, -1, 0.5, -0.5, 1e-6, -1e-6, 1e-3, -1e-3, 1e-20, -1e-20, 3e38, -3e38),
    *(1e20, -1e20, 1e10, -1e10, 88, -88, 89, -89, 100, -100, 2.5, -2.5, 3.5, 1.5, 10, -10, 20, -20, 1e4, -1e4, 1e5),
    *(0.99999, 0.7),
)
# As the operators have them: attributes are FP32.
SELU_ALPHA = np.float64(np.float32(1.67326319217681884765625))
SELU_GAMMA = np.float64(np.float32(1.05070102214813232421875))
FIFTH = np.float64(np.float32(0.2))
HUNDREDTH = np.float64(np.float32(0.01))
# Results near zero are held to their digits, not to a distance.
TO_THE_DIGITS = ("Asinh", "Tanh", "Sinh", "Atan", "Atanh", "Erf", "Softsign", "Sin", "Asin", "Tan")
WITH_SIGN_OF_ZERO = ("Abs", "Neg", "Floor", "Ceil", "Sqrt", "Tanh", "Asinh", "Sin", "Atan")


def kept(function):
    """The same with NaN where NaN goes in."""
    return lambda x: np.where(np.isnan(x), x, function(x))


def sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


def selu(x):
    return np.where(x > 0, SELU_GAMMA * x, SELU_GAMMA * SELU_ALPHA * np.expm1(x))


OPERATORS = {
    "Abs": np.abs,
    "Neg": np.negative,
    "Sign": np.sign,
    "Relu": kept(lambda x: np.maximum(x, 0)),
    "Floor": np.floor,
    "Ceil": np.ceil,
    "Round": np.rint,
    "Reciprocal": lambda x: 1 / x,
    "Sqrt": np.sqrt,
    "Exp": np.exp,
    "Log": np.log,
    "Sin": np.sin,
    "Cos": np.cos,
    "Tan": np.tan,
    "Asin": np.arcsin,
    "Acos": np.arccos,
    "Atan": np.arctan,
    "Sinh": np.sinh,
    "Cosh": np.cosh,
    "Tanh": np.tanh,
    "Asinh": np.arcsinh,
    "Acosh": np.arccosh,
    "Atanh": np.arctanh,
    "Erf": np.vectorize(math.erf),
    "Sigmoid": kept(sigmoid),
    "Softplus": softplus,
    "Softsign": lambda x: x / (1 + np.abs(x)),
    "LeakyRelu": lambda x: np.where(x < 0, HUNDREDTH * x, x),
    "Elu": lambda x: np.where(x < 0, np.expm1(x), x),
    "Selu": selu,
    "HardSigmoid": kept(lambda x: np.clip(FIFTH * x + 0.5, 0, 1)),
    "ThresholdedRelu": lambda x: np.where(x > 1, x, 0.0),
    "Celu": kept(lambda x: np.maximum(0, x) + np.minimum(0, np.expm1(x))),
    "Mish": lambda x: x * np.tanh(softplus(x)),
}


def cases():
    for op, function in OPERATORS.items():
        yield case(
            op,
            [node(op, ["x"], ["y"])],
            {"x": VALUES},
            {"y": in_double(function, VALUES)},
            opset=18,
            rtol=2e-5,
            atol=1e-37 if op in TO_THE_DIGITS else 1e-7,
            sign_of_zero=op in WITH_SIGN_OF_ZERO,
        )
    for op, function in (("IsNaN", np.isnan), ("IsInf", np.isinf)):
        yield case(op, [node(op, ["x"], ["y"])], {"x": VALUES}, {"y": function(VALUES)}, opset=18)
    yield from far_and_near()
    yield from wide()
    yield from curves()


def gelu(x):
    # Minus infinity times nothing is no number.
    return 0.5 * x * (1 + np.vectorize(math.erf)(x / np.sqrt(2)))


def far_and_near():
    """Far out and near zero, how far from the truth."""
    tiny = f32(1e-4, 1e-5, 1e-6, 1e-7, 1e-8, -1e-6)
    far = f32(-10, -20, -30, -50, -87, -100, -1000, -np.inf, 10, 20, np.inf)
    for op in ("Sigmoid", "Tanh", "Erf", "Gelu"):
        function = gelu if op == "Gelu" else OPERATORS[op]
        for place, x in (("tiny", tiny), ("far", far)):
            y = in_double(function, x)
            yield case(f"{op}_{place}", [node(op, ["x"], ["y"])], {"x": x}, {"y": y}, opset=20, rtol=1e-3, atol=1e-10)


def wide():
    """In FP64, with fractions that FP32 has not."""
    x = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 0.49999999999999994, -1.0000000001, 2.0**52 - 0.5, -(2.0**51) - 0.25])
    x = np.append(x, [1e300, -1e300, np.inf, -np.inf, np.nan, 0.0, -0.0])
    for op in ("Round", "Floor", "Ceil", "LeakyRelu", "Softplus"):
        nodes, y, signed = [node(op, ["x"], ["y"])], {"y": in_double(OPERATORS[op], x)}, op in WITH_SIGN_OF_ZERO
        yield case(f"{op}_float64", nodes, {"x": x}, y, opset=16, rtol=1e-14, atol=1e-14, sign_of_zero=signed)
    for op, function in (("IsNaN", np.isnan), ("IsInf", np.isinf)):
        yield case(f"{op}_float64", [node(op, ["x"], ["y"])], {"x": x}, {"y": function(x)}, opset=13)


def gelu_by_tanh(x):
    return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))


def curves():
    """Products with a curve that ends at 0: minus infinity times nothing is no number."""
    for dtype in FLOATS[:2]:
        most = np.finfo(dtype).max
        x = np.array([np.nan, np.inf, -np.inf, most, -most, 100, -100, 3, -3, 0], dtype)
        near = dict(rtol=2e-3, atol=1e-3) if dtype == np.float16 else {}
        for alpha in (1.0, 2.0):
            nodes, y = [node("Swish", ["x"], ["y"], alpha=alpha)], in_double(lambda x: x * sigmoid(alpha * x), x)
            title = f"Swish_of_{alpha}_{label(dtype)}"
            yield case(title, nodes, {"x": x}, {"y": y}, opset=24, ir=10, **near)
        nodes, y = [node("Gelu", ["x"], ["y"], approximate="tanh")], in_double(gelu_by_tanh, x)
        yield case(f"Gelu_by_tanh_{label(dtype)}", nodes, {"x": x}, {"y": y}, opset=20, **near)
