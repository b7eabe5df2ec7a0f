"""Writes `decoder.onnx` and `prompt.npy` into a directory, and prints how ONNX Runtime goes on from the prompt.

The decoder is made as Hugging Face's Optimum exports them: any number of tokens at once, positions, an attention mask,
and a cache that grows. Its one layer sees all tokens of a step.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

WORDS, PLACES, WIDTH, HEADS, HEAD, COUNT = 97, 40, 32, 2, 16, 12
PROMPT = np.array([[3, 14, 15, 92, 65]])
directory = Path(sys.argv[1])
rng = np.random.default_rng(2026)
nodes, constants = [], []


def constant(array):
    constants.append(numpy_helper.from_array(np.ascontiguousarray(array), f"constant_{len(constants)}"))
    return constants[-1].name


def normal(*shape, deviation=1.0):
    return constant((rng.standard_normal(shape) * deviation).astype(np.float32))


def op(kind, *inputs, output=None, **attributes):
    output = output or f"{kind.lower()}_{len(nodes)}"
    nodes.append(helper.make_node(kind, inputs, [output], **attributes))
    return output


def linear(x, width):
    return op("MatMul", x, normal(WIDTH, width, deviation=WIDTH**-0.5))


x = op("Add", op("Gather", normal(WORDS, WIDTH), "input_ids"), op("Gather", normal(PLACES, WIDTH), "position_ids"))
split = constant(np.array([0, 0, HEADS, HEAD]))
query, key, value = (op("Transpose", op("Reshape", linear(x, WIDTH), split), perm=[0, 2, 1, 3]) for _ in range(3))
key = op("Concat", "past_key_values.0.key", key, axis=2, output="present.0.key")
value = op("Concat", "past_key_values.0.value", value, axis=2, output="present.0.value")
scores = op("MatMul", query, op("Transpose", key, perm=[0, 1, 3, 2]))
mask = op("Cast", op("Unsqueeze", "attention_mask", constant(np.array([1, 2]))), to=TensorProto.FLOAT)
hidden = op("Mul", op("Sub", mask, constant(np.float32(1))), constant(np.float32(1e9)))
chances = op("Softmax", op("Add", scores, hidden), axis=-1)
mixed = op("Reshape", op("Transpose", op("MatMul", chances, value), perm=[0, 2, 1, 3]), constant(np.array([0, 0, WIDTH])))
op("MatMul", op("Add", x, linear(mixed, WIDTH)), normal(WIDTH, WORDS), output="logits")

tokens, total = ["batch_size", "sequence_length"], ["batch_size", "total_sequence_length"]
info = helper.make_tensor_value_info
caches = [f"0.{name}" for name in ("key", "value")]
inputs = [info(name, TensorProto.INT64, tokens) for name in ("input_ids", "position_ids")]
inputs += [info("attention_mask", TensorProto.INT64, total)]
inputs += [info(f"past_key_values.{name}", TensorProto.FLOAT, ["batch_size", HEADS, "past", HEAD]) for name in caches]
outputs = [info("logits", TensorProto.FLOAT, [*tokens, WORDS])]
outputs += [info(f"present.{name}", TensorProto.FLOAT, ["batch_size", HEADS, "total", HEAD]) for name in caches]
graph = helper.make_graph(nodes, "decoder", inputs, outputs, constants)
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
onnx.checker.check_model(model)
onnx.save(model, directory / "decoder.onnx")
np.save(directory / "prompt.npy", PROMPT)

session = onnxruntime.InferenceSession(directory / "decoder.onnx")
ids, seen, made = PROMPT, 0, []
kept = [np.zeros((1, HEADS, 0, HEAD), np.float32)] * len(caches)
while len(made) < COUNT:
    places = np.arange(seen, seen + ids.shape[1])[None]
    seen += ids.shape[1]
    states = {f"past_key_values.{name}": array for name, array in zip(caches, kept)}
    given = {"input_ids": ids, "position_ids": places, "attention_mask": np.ones((1, seen), np.int64), **states}
    logits, *kept = session.run(None, given)
    made.append(int(logits[0, -1].argmax()))
    ids = np.array([[made[-1]]])
print(*made)
