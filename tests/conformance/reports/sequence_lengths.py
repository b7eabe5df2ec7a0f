"""Sequences shorter than the batch's longest, and of length 0: ReverseSequence, RNN, GRU, LSTM.

Reports: onnxruntime #28490 #28052 #1193 #12492.
"""

import numpy as np
from suite import case, i64, node, normal

STEPS, BATCH, SIZE, HIDDEN = 5, 3, 2, 3
GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}


def cases():
    yield from reversals()
    random = np.random.RandomState(0)
    for kind in GATES:
        for direction in ("forward", "reverse", "bidirectional"):
            yield from recurrent(random, kind, direction)


def reversals():
    x = np.arange(10, 15, dtype=np.float32)[:, None] + np.array([[0, 10, 20]], np.float32)
    for lengths in ((4, 0, 2), (0, 0, 0), (5, 5, 5), (1, 1, 1), (1, 0, 5)):
        y = x.copy()
        for column, length in enumerate(lengths):
            y[:length, column] = x[:length, column][::-1]
        for time, given, expected in ((0, x, y), (1, x.T.copy(), y.T)):
            nodes = [node("ReverseSequence", ["x", "l"], ["y"], time_axis=time, batch_axis=1 - time)]
            name, told = f"reverse_{lengths}_time_{time}", i64(*lengths)
            yield case(name, nodes, {"x": given, "l": told}, {"y": expected}, opset=18)
            yield case(f"{name}_constant", nodes, {"x": given}, {"y": expected}, opset=18, constants={"l": told})


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step(kind, x, h, c, w, r, b):
    """One step of one sequence; the next hidden and cell state."""
    bias, bias_r = b[: len(w)], b[len(w) :]
    if kind == "RNN":
        return np.tanh(x @ w.T + h @ r.T + bias + bias_r), c
    if kind == "LSTM":
        i, o, f, g = np.split(x @ w.T + h @ r.T + bias + bias_r, 4)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        return sigmoid(o) * np.tanh(c), c
    (xz, xr, xh), (rz, rr, rh), (bz, br, bh) = (np.split(part, 3) for part in (x @ w.T + bias, r, bias_r))
    z, reset = sigmoid(xz + h @ rz.T + bz), sigmoid(xr + h @ rr.T + br)
    return (1 - z) * np.tanh(xh + (reset * h) @ rh.T + bh) + z * h, c


def run(kind, direction, x, lengths, weights, h0, c0):
    """Every step's hidden state, and the last states."""
    count = len(h0)
    y, last_h, last_c = np.zeros((STEPS, count, BATCH, HIDDEN)), np.zeros(h0.shape), np.zeros(h0.shape)
    for way in range(count):
        backwards = direction == "reverse" or way == 1
        for row, length in enumerate(lengths):
            h, c = h0[way, row].astype(np.float64), c0[way, row].astype(np.float64)
            for time in reversed(range(length)) if backwards else range(length):
                h, c = step(kind, x[time, row], h, c, *(weight[way] for weight in weights))
                y[time, way, row] = h
            last_h[way, row], last_c[way, row] = h, c
    return {"Y": y.astype(np.float32), "Y_h": last_h.astype(np.float32), "Y_c": last_c.astype(np.float32)}


def recurrent(random, kind, direction):
    count, rows = 2 if direction == "bidirectional" else 1, GATES[kind] * HIDDEN
    w, r, b = (normal(random, count, *shape) for shape in ((rows, SIZE), (rows, HIDDEN), (2 * rows,)))
    x = normal(random, STEPS, BATCH, SIZE)
    for lengths in ((5, 3, 1), (5, 0, 2), (0, 0, 0), None):
        h, c = normal(random, count, BATCH, HIDDEN), normal(random, count, BATCH, HIDDEN)
        y = run(kind, direction, x, lengths or [STEPS] * BATCH, (w, r, b), h, c)
        given, names, outputs = {"X": x, "h": h}, ["X", "W", "R", "B", "l" if lengths else "", "h"], ["Y", "Y_h"]
        if kind == "LSTM":
            names.append("c")
            outputs.append("Y_c")
            given["c"] = c
        if lengths:
            given["l"] = np.array(lengths, np.int32)
        nodes = [node(kind, names, outputs, hidden_size=HIDDEN, direction=direction)]
        # The state of an empty sequence is nobody's word: 0, or the first state.
        held = ["Y"] if lengths and 0 in lengths else outputs
        weights = {"W": w, "R": r, "B": b}
        expected = {key: y[key] for key in held}
        name = f"{kind}_{direction}_{lengths}"
        yield case(name, nodes, given, expected, opset=14, constants=weights, rtol=1e-4, atol=1e-5)
