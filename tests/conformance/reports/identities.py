"""Arithmetic that seems to change nothing, or to give 0 or 1, beside NaN, infinities and -0.
"""

import numpy as np
from suite import FLOATS, case, label, node

# An operator, its operands, and the constant among them.
KINDS = {
    "Mul_by_0": ("Mul", "xc", 0.0),
    "Mul_0_by": ("Mul", "cx", 0.0),
    "Mul_by_minus_0": ("Mul", "xc", -0.0),
    "Div_0_by": ("Div", "cx", 0.0),
    "Div_by_0": ("Div", "xc", 0.0),
    "Add_0": ("Add", "xc", 0.0),
    "Add_minus_0": ("Add", "xc", -0.0),
    "Sub_0": ("Sub", "xc", 0.0),
    "Sub_from_0": ("Sub", "cx", 0.0),
    "Mul_by_1": ("Mul", "xc", 1.0),
    "Div_by_1": ("Div", "xc", 1.0),
    "Sub_itself": ("Sub", "xx", None),
    "Div_by_itself": ("Div", "xx", None),
}
FUNCTIONS = {"Mul": np.multiply, "Div": np.divide, "Add": np.add, "Sub": np.subtract}


def cases():
    for dtype in FLOATS:
        x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1, -2.5, np.finfo(dtype).max], dtype)
        for name, (op, order, value) in KINDS.items():
            constants = {} if value is None else {"c": dtype(value)}
            y = FUNCTIONS[op](*({"x": x, **constants}[key] for key in order))
            nodes, how = [node(op, list(order), ["y"])], dict(opset=14, constants=constants, sign_of_zero=True)
            yield case(f"{name}_{label(dtype)}", nodes, {"x": x}, {"y": y}, **how)
