"""Trains the people guest's network on drawn scenes and writes it as ONNX.

    python guests/people/model/train.py [--dump PATH]

Input `image` float32 [1,3,96,128], red, green and blue of 0..1, a 4:3 frame stretched. Outputs, one cell for every
8 x 8 pixels: `scores` float32 [1,1,12,16], how sure it is that the middle of somebody is in the cell, and `boxes`
float32 [1,4,12,16], their left, top, width and height in fractions of the frame (left and top may be a little below 0).

To read them: every cell of at least THRESHOLD that no cell of the 3 x 3 around it surpasses is a person. Dropping boxes
that overlap changed no count on a thousand unseen frames, so nothing does.

The scenes are drawn by adapters/examples/dump_scene.rs, by cargo or by its built binary at PATH. Needs
tests/requirements.txt and, for training alone, jax and pillow. Takes some ten minutes on two cores.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

ROOT = Path(__file__).parents[3]
MODEL = Path(__file__).with_name("people.onnx")
REPLAY = ROOT / "tests" / "data" / "people"

# First seed, seeds, frames of each: no seed is in two of them.
TRAINING = (1_000, 4_000, 2)
HELD_OUT = (1_000_000, 250, 2)
REPLAYED = (2_000_000, 60, 1)
REPLAYED_EXTENT = (160, 120)
REPLAYED_COUNTS = [0, 1, 2, 3, 1, 4, 2, 3]

WIDTH, HEIGHT, CELL = 128, 96, 8
COLUMNS, ROWS = WIDTH // CELL, HEIGHT // CELL
# Channels and stride of each 3 x 3 convolution.
LAYERS = [(16, 2), (24, 2), (24, 1), (40, 2), (40, 1), (40, 1)]
# How far from the middle of its cell the middle of a box may be, in cells.
REACH = 1.5

THRESHOLD = 0.4
# The scene counts a person of whom half can be seen; a little less is no mistake in training.
VISIBLE_MIN = 0.5
VISIBLE_PERHAPS = 0.3

MATCH_OVERLAP = 0.4
SCORE_MIN = 0.8

SEED = 7
STEPS = 1_500
BATCH = 48
LEARNING_RATE = 6e-3
WEIGHT_DECAY = 1e-4
# Frames whose statistics the finished network is given.
SAMPLE = 600
SIZE_MAX_BYTES = 200_000


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--dump", type=Path, help="the built example dump_scene")
    dump = parser.parse_args().dump

    weights = train(*scenes(dump, TRAINING))
    model = network(weights)
    onnx.checker.check_model(model, full_check=True)
    precision, recall = evaluate(model, *scenes(dump, HELD_OUT))
    if min(precision, recall) < SCORE_MIN:
        sys.exit(f"below {SCORE_MIN}: nothing written")
    if model.ByteSize() > SIZE_MAX_BYTES:
        sys.exit(f"above {SIZE_MAX_BYTES} bytes: nothing written")

    onnx.save(model, MODEL)
    print(f"{MODEL.name}: {model.ByteSize()} bytes")
    write_replay(model, *scenes(dump, REPLAYED, REPLAYED_EXTENT))


def scenes(dump, seeds, extent=(WIDTH, HEIGHT)):
    """Frames uint8 [N,H,W,3], and per frame the people in it."""
    command = [dump] if dump else "cargo run --quiet --package burst-adapters --example dump_scene --".split()
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([*command, directory, *map(str, seeds), *map(str, extent)], check=True, cwd=ROOT)
        truth = json.loads(Path(directory, "truth.json").read_bytes())
        pixels = np.fromfile(Path(directory, "frames.rgb"), np.uint8)
    return pixels.reshape(len(truth), extent[1], extent[0], 3), [frame["people"] for frame in truth]


def box(person):
    return np.array([person["left"], person["top"], person["width"], person["height"]], np.float32)


def train(images, truth):
    """AdamW on a focal loss of the scores and the boxes' relative distance; the rate falls along a cosine."""
    rng = np.random.default_rng(SEED)
    heat, boxes, certain = map(np.stack, zip(*map(target, truth)))
    weights = initial_weights(rng)
    moments = [jax.tree.map(jnp.zeros_like, weights)] * 2
    for step in range(STEPS):
        picked = rng.integers(len(images), size=BATCH)
        batch = augment(rng, images[picked], heat[picked], boxes[picked], certain[picked])
        rate = LEARNING_RATE * min(1, (step + 1) / 100) * (1 + np.cos(np.pi * step / STEPS)) / 2
        weights, moments, loss = update(weights, moments, step + 1.0, rate, batch)
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss:.3f}", flush=True)
    sample = images[rng.choice(len(images), SAMPLE, replace=False)].astype(np.float32).transpose(0, 3, 1, 2) / 255
    return fold(weights, sample)


def target(people):
    """What one frame should give: scores [12,16], boxes [12,16,4], and which scores count [12,16]."""
    heat, nearest = np.zeros((2, ROWS, COLUMNS), np.float32)
    boxes, certain = np.zeros((ROWS, COLUMNS, 4), np.float32), np.ones((ROWS, COLUMNS), np.float32)
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    for person in people:
        left, top, width, height = bounds = box(person)
        column, row = int((left + width / 2) * COLUMNS), int((top + height / 2) * ROWS)
        spread_x, spread_y = max(0.4, 0.15 * width * COLUMNS), max(0.5, 0.15 * height * ROWS)
        bump = np.exp(-(((columns - column) / spread_x) ** 2 + ((rows - row) / spread_y) ** 2) / 2)
        if person["visible"] >= VISIBLE_MIN:
            heat = np.maximum(heat, bump)
            boxes[bump > nearest] = bounds
            nearest = np.maximum(nearest, bump)
        elif person["visible"] >= VISIBLE_PERHAPS:
            certain[bump > 0.3] = 0
    certain[heat == 1] = 1
    return heat.astype(np.float32), boxes, certain


def augment(rng, images, heat, boxes, certain):
    """Half of the frames mirrored, each in another light."""
    images = images.astype(np.float32) / 255
    mirrored = rng.random(len(images)) < 0.5
    images[mirrored] = images[mirrored, :, ::-1]
    heat[mirrored], certain[mirrored] = heat[mirrored, :, ::-1], certain[mirrored, :, ::-1]
    boxes[mirrored] = boxes[mirrored, :, ::-1]
    boxes[mirrored, ..., 0] = 1 - boxes[mirrored, ..., 0] - boxes[mirrored, ..., 2]
    gain = rng.uniform(0.75, 1.25, (len(images), 1, 1, 1)) * rng.uniform(0.9, 1.1, (len(images), 1, 1, 3))
    lift = rng.uniform(-0.08, 0.08, (len(images), 1, 1, 1))
    images = np.clip(images * gain + lift, 0, 1).astype(np.float32)
    return images.transpose(0, 3, 1, 2), heat, boxes, certain


def initial_weights(rng):
    weights, inputs = {}, 3
    for index, (outputs, _) in enumerate(LAYERS):
        weights[f"conv{index}"] = he(rng, outputs, inputs, 3)
        weights[f"conv{index}_gain"] = np.ones(outputs, np.float32)
        weights[f"conv{index}_bias"] = np.zeros(outputs, np.float32)
        inputs = outputs
    weights["score"], weights["score_bias"] = he(rng, 1, inputs, 1) * 0.1, np.full(1, -3, np.float32)
    # An average person: sigmoid(-2.4) of the width, sigmoid(-1) of the height.
    weights["shape"], weights["shape_bias"] = he(rng, 4, inputs, 1) * 0.1, np.float32([0, 0, -2.4, -1])
    return weights


def he(rng, outputs, inputs, side):
    spread = np.sqrt(2 / (inputs * side * side))
    return (rng.standard_normal((outputs, inputs, side, side)) * spread).astype(np.float32)


def convolve(maps, kernel, bias, stride=1):
    padding = kernel.shape[2] // 2
    maps = jax.lax.conv_general_dilated(maps, kernel, (stride, stride), [(padding, padding)] * 2)
    return maps + bias[:, None, None]


def forward(weights, images):
    """Scores before the sigmoid [N,12,16], boxes [N,12,16,4], and mean and deviation of each layer's channels.

    The layers of `network`, their channels normalised over the batch.
    """
    maps, statistics = images, []
    for index, (_, stride) in enumerate(LAYERS):
        maps = convolve(maps, weights[f"conv{index}"], jnp.zeros(1), stride)
        mean, deviation = maps.mean((0, 2, 3)), jnp.sqrt(maps.var((0, 2, 3)) + 1e-5)
        statistics.append((mean, deviation))
        gain = weights[f"conv{index}_gain"] / deviation
        bias = weights[f"conv{index}_bias"] - mean * gain
        maps = jax.nn.relu(maps * gain[:, None, None] + bias[:, None, None])
    scores = convolve(maps, weights["score"], weights["score_bias"])[:, 0]
    shape = jax.nn.sigmoid(convolve(maps, weights["shape"], weights["shape_bias"]))
    placed = jnp.concatenate([shape, jnp.broadcast_to(GRID, (len(images), *GRID.shape[1:]))], 1)
    return scores, convolve(placed, PLACE, PLACE_BIAS).transpose(0, 2, 3, 1), statistics


def fold(weights, sample):
    """The same weights for layers that normalise nothing: the statistics of a sample become part of them."""
    _, _, statistics = jax.jit(forward)(weights, sample)
    folded = {name: np.asarray(value) for name, value in weights.items() if not name.endswith("_gain")}
    for index, (mean, deviation) in enumerate(statistics):
        gain = np.asarray(weights[f"conv{index}_gain"] / deviation)
        folded[f"conv{index}"] = folded[f"conv{index}"] * gain[:, None, None, None]
        folded[f"conv{index}_bias"] = folded[f"conv{index}_bias"] - np.asarray(mean) * gain
    return folded


def grid():
    """The middle of each cell: x and y in fractions of the frame, [1,2,12,16]."""
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    return np.stack([(columns + 0.5) / COLUMNS, (rows + 0.5) / ROWS])[None].astype(np.float32)


def placement():
    """From (x, y, width, height) of 0..1 and the grid to left, top, width and height: a 1 x 1 convolution."""
    kernel, bias = np.zeros((4, 6), np.float32), np.zeros(4, np.float32)
    for axis, cells in enumerate([COLUMNS, ROWS]):
        kernel[axis, axis], kernel[axis, 2 + axis], kernel[axis, 4 + axis] = 2 * REACH / cells, -0.5, 1
        bias[axis] = -REACH / cells
        kernel[2 + axis, 2 + axis] = 1
    return kernel[:, :, None, None], bias


GRID = grid()
PLACE, PLACE_BIAS = placement()


def loss_of(weights, images, heat, boxes, certain):
    scores, found, _ = forward(weights, images)
    sure = jax.nn.sigmoid(scores)
    middle = heat == 1
    people = jnp.maximum(middle.sum(), 1)
    hit = (1 - sure) ** 2 * jax.nn.softplus(-scores) * middle
    miss = (1 - heat) ** 4 * sure**2 * jax.nn.softplus(scores) * certain * ~middle
    sides = jnp.maximum(boxes[..., 2:], 1e-2)
    distance = jnp.abs(found - boxes) / jnp.concatenate([sides, sides], -1)
    near = jnp.where(heat > 0.3, heat, 0)
    return (hit.sum() + miss.sum()) / people + (distance.sum(-1) * near).sum() / jnp.maximum(near.sum(), 1)


@jax.jit
def update(weights, moments, step, rate, batch):
    loss, gradients = jax.value_and_grad(loss_of)(weights, *batch)
    first = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], gradients)
    second = jax.tree.map(lambda m, g: 0.999 * m + 0.001 * g**2, moments[1], gradients)

    def move(weight, m, v):
        m, v = m / (1 - 0.9**step), v / (1 - 0.999**step)
        return weight - rate * (m / (jnp.sqrt(v) + 1e-8) + WEIGHT_DECAY * weight)

    return jax.tree.map(move, weights, first, second), [first, second], loss


def network(weights):
    node = helper.make_node
    nodes, maps = [], "image"
    for index, (_, stride) in enumerate(LAYERS):
        name, shape = f"conv{index}", {"kernel_shape": [3, 3], "strides": [stride] * 2, "pads": [1] * 4}
        nodes += [
            node("Conv", [maps, name, f"{name}_bias"], [f"{name}_maps"], **shape),
            node("Relu", [f"{name}_maps"], [f"{name}_relu"]),
        ]
        maps = f"{name}_relu"
    nodes += [
        node("Conv", [maps, "score", "score_bias"], ["score_maps"], kernel_shape=[1, 1]),
        node("Sigmoid", ["score_maps"], ["scores"]),
        node("Conv", [maps, "shape", "shape_bias"], ["shape_maps"], kernel_shape=[1, 1]),
        node("Sigmoid", ["shape_maps"], ["shapes"]),
        node("Concat", ["shapes", "grid"], ["placed"], axis=1),
        node("Conv", ["placed", "place", "place_bias"], ["boxes"], kernel_shape=[1, 1]),
    ]
    constants = {**weights, "grid": GRID, "place": PLACE, "place_bias": PLACE_BIAS}

    def port(name, *extents):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *extents])

    graph = helper.make_graph(
        nodes,
        "people",
        [port("image", 3, HEIGHT, WIDTH)],
        [port("scores", 1, ROWS, COLUMNS), port("boxes", 4, ROWS, COLUMNS)],
        [numpy_helper.from_array(np.ascontiguousarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def detector(model):
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def detect(image):
        """The people in a frame uint8 [96,128,3]: (score, box), the surest first."""
        image = np.float32(image).transpose(2, 0, 1)[None] / 255
        scores, boxes = session.run(["scores", "boxes"], {"image": image})
        return decode(scores[0, 0], boxes[0])

    return detect


def decode(scores, boxes):
    """The rule that the guest follows too."""
    around = np.lib.stride_tricks.sliding_window_view(np.pad(scores, 1), (3, 3)).max((2, 3))
    peaks = np.argwhere((scores >= THRESHOLD) & (scores >= around))
    return sorted(((scores[y, x], boxes[:, y, x]) for y, x in peaks), key=lambda peak: -peak[0])


def overlap(one, other):
    """Intersection over union."""
    sides = np.minimum(one[:2] + one[2:], other[:2] + other[2:]) - np.maximum(one[:2], other[:2])
    common = np.prod(np.maximum(sides, 0))
    return common / (np.prod(one[2:]) + np.prod(other[2:]) - common)


def evaluate(model, images, truth):
    detect = detector(model)
    found, real, right, exact = 0, 0, 0, 0
    for image, people in zip(images, truth):
        left = [box(person) for person in people if person["visible"] >= VISIBLE_MIN]
        detections = detect(image)
        found, real, exact = found + len(detections), real + len(left), exact + (len(detections) == len(left))
        for _, bounds in detections:
            best = max(range(len(left)), key=lambda index: overlap(bounds, left[index]), default=None)
            if best is not None and overlap(bounds, left[best]) >= MATCH_OVERLAP:
                right += 1
                del left[best]
    precision, recall = right / max(found, 1), right / max(real, 1)
    print(f"held out: precision {precision:.3f}, recall {recall:.3f}, exact count {exact / len(images):.3f}")
    print(f"          on {len(images)} frames of unseen seeds with {real} people, at IoU {MATCH_OVERLAP}")
    return precision, recall


def write_replay(model, images, truth):
    """Frames of which nobody can doubt how many people they show, and what they show in pixels."""
    REPLAY.mkdir(parents=True, exist_ok=True)
    clear = [index for index, people in enumerate(truth) if all(person["visible"] > 0.75 for person in people)]
    detect, entries = detector(model), []
    for number, count in enumerate(REPLAYED_COUNTS):
        index = next(index for index in clear if len(truth[index]) == count)
        clear.remove(index)
        name = f"frame_{number}.png"
        picture = Image.fromarray(images[index])
        picture.save(REPLAY / name, optimize=True)
        people = [np.rint(box(person) * (REPLAYED_EXTENT * 2)).astype(int).tolist() for person in truth[index]]
        entries.append({"file": name, "people": people})
        seen = detect(stretched(images[index]))
        print(f"{name}: {count} people, {len(seen)} found")
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    (REPLAY / "truth.json").write_text(f"[\n{lines}\n]\n")


def stretched(image):
    """What a guest's view makes of a frame: bilinear, half-pixel centres, nothing smoothed before."""
    for axis, count in enumerate([HEIGHT, WIDTH]):
        extent = image.shape[axis]
        place = np.clip((np.arange(count) + 0.5) * extent / count - 0.5, 0, extent - 1)
        near = place.astype(int)
        share = (place - near).reshape([-1 if index == axis else 1 for index in range(3)])
        after = np.minimum(near + 1, extent - 1)
        image = image.take(near, axis) * (1 - share) + image.take(after, axis) * share
    return image


if __name__ == "__main__":
    main()
