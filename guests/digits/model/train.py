"""Trains the digits guest's network on scikit-learn's 8x8 digits and writes it as ONNX.

    python guests/digits/model/train.py

Input `image` float32 [N,1,8,8], values 0..16; output `probabilities` float32 [N,10].
The held-out quarter of the data set becomes tests/data/digits/. Training needs no more than
tests/requirements.txt and takes ten seconds on one core.
"""

import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

MODEL = Path(__file__).with_name("digits.onnx")
HELD_OUT = Path(__file__).parents[3] / "tests" / "data" / "digits"
ACCURACY_MIN = 0.97

SEED = 7
CHANNELS = 24
HIDDEN = 64
EPOCHS = 80
BATCH = 32
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 1e-2


def main():
    train_images, images, train_labels, labels = digits()
    weights = train(train_images, train_labels)
    model = network(weights)
    onnx.checker.check_model(model, full_check=True)

    accuracy = (classify(model, images) == labels).mean()
    print(f"held-out accuracy {accuracy:.4f} on {len(labels)} images")
    if accuracy < ACCURACY_MIN:
        sys.exit(f"below {ACCURACY_MIN}: nothing written")

    onnx.save(model, MODEL)
    HELD_OUT.mkdir(parents=True, exist_ok=True)
    np.save(HELD_OUT / "images.npy", images)
    np.save(HELD_OUT / "labels.npy", labels)
    print(f"{MODEL.name}: {MODEL.stat().st_size} bytes")


def digits():
    bunch = load_digits()
    images = bunch.images.astype(np.float32)[:, None]
    labels = bunch.target.astype(np.int64)
    return train_test_split(images, labels, test_size=0.25, stratify=labels, random_state=SEED)


def train(images, labels):
    """AdamW on softmax cross-entropy, the learning rate falling to nothing along a cosine."""
    rng = np.random.default_rng(SEED)
    weights = initial_weights(rng)
    first = {name: np.zeros_like(value) for name, value in weights.items()}
    second = {name: np.zeros_like(value) for name, value in weights.items()}
    steps = EPOCHS * (len(images) // BATCH)
    step = 0
    for _ in range(EPOCHS):
        for batch in np.array_split(rng.permutation(len(images)), len(images) // BATCH):
            step += 1
            rate = LEARNING_RATE * (1 + np.cos(np.pi * step / steps)) / 2
            gradients = backward(weights, jitter(images[batch], rng), labels[batch])
            for name, gradient in gradients.items():
                first[name] += 0.1 * (gradient - first[name])
                second[name] += 0.001 * (gradient**2 - second[name])
                move = first[name] / (1 - 0.9**step)
                scale = np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8
                weights[name] -= rate * (move / scale + WEIGHT_DECAY * weights[name])
    return weights


def initial_weights(rng):
    def he(inputs, outputs):
        return (rng.standard_normal((inputs, outputs)) * np.sqrt(2 / inputs)).astype(np.float32)

    return {
        "conv": he(9, CHANNELS),
        "conv_bias": np.zeros(CHANNELS, np.float32),
        "hidden": he(CHANNELS * 16, HIDDEN),
        "hidden_bias": np.zeros(HIDDEN, np.float32),
        "output": he(HIDDEN, 10),
        "output_bias": np.zeros(10, np.float32),
    }


def jitter(images, rng):
    """Each image shifted by up to one pixel and a little noise added."""
    padded = np.pad(images, ((0, 0), (0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (8, 8), (2, 3))
    shift = rng.choice(3, (2, len(images)), p=[0.15, 0.7, 0.15])
    moved = windows[np.arange(len(images)), 0, shift[0], shift[1]][:, None]
    return moved + rng.normal(0, 0.5, moved.shape).astype(np.float32)


def backward(weights, images, labels):
    """Gradients of the mean cross-entropy; the same layers as `network`, channels last."""
    count = len(images)
    patches = patches_of(images / 16)
    maps = np.maximum(patches @ weights["conv"] + weights["conv_bias"], 0)
    blocks = maps.reshape(count, 4, 2, 4, 2, CHANNELS)
    pooled = blocks.max((2, 4), keepdims=True)
    flat = pooled.reshape(count, 16, CHANNELS).transpose(0, 2, 1).reshape(count, -1)
    hidden = np.maximum(flat @ weights["hidden"] + weights["hidden_bias"], 0)
    logits = hidden @ weights["output"] + weights["output_bias"]

    d_logits = (softmax(logits) - np.eye(10, dtype=np.float32)[labels]) / count
    d_hidden = d_logits @ weights["output"].T * (hidden > 0)
    d_flat = d_hidden @ weights["hidden"].T
    d_pooled = d_flat.reshape(count, CHANNELS, 16).transpose(0, 2, 1).reshape(pooled.shape)
    d_maps = (d_pooled * (blocks == pooled) * (blocks > 0)).reshape(-1, CHANNELS)
    return {
        "conv": patches.reshape(-1, 9).T @ d_maps,
        "conv_bias": d_maps.sum(0),
        "hidden": flat.T @ d_hidden,
        "hidden_bias": d_hidden.sum(0),
        "output": hidden.T @ d_logits,
        "output_bias": d_logits.sum(0),
    }


def patches_of(images):
    """The 3x3 neighbourhood of every pixel: [N,1,8,8] -> [N,8,8,9]."""
    padded = np.pad(images[:, 0], ((0, 0), (1, 1), (1, 1)))
    return np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2)).reshape(-1, 8, 8, 9)


def softmax(logits):
    powers = np.exp(logits - logits.max(1, keepdims=True))
    return powers / powers.sum(1, keepdims=True)


def network(weights):
    kernels = weights["conv"].T.reshape(CHANNELS, 1, 3, 3)
    constants = {**weights, "conv": kernels, "scale": np.array(1 / 16, np.float32)}
    node = helper.make_node
    nodes = [
        node("Mul", ["image", "scale"], ["unit"]),
        node("Conv", ["unit", "conv", "conv_bias"], ["maps"], kernel_shape=[3, 3], pads=[1, 1, 1, 1]),
        node("Relu", ["maps"], ["maps_relu"]),
        node("MaxPool", ["maps_relu"], ["pooled"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", ["pooled"], ["flat"], axis=1),
        node("Gemm", ["flat", "hidden", "hidden_bias"], ["features"]),
        node("Relu", ["features"], ["features_relu"]),
        node("Gemm", ["features_relu", "output", "output_bias"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 1, 8, 8])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", 10])],
        [numpy_helper.from_array(np.ascontiguousarray(v), name) for name, v in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def classify(model, images):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (probabilities,) = session.run(["probabilities"], {"image": images})
    return probabilities.argmax(1)


if __name__ == "__main__":
    main()
