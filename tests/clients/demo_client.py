"""Asks the demo's guests with Triton's Python client as it is: answers, descriptions and counts must be right."""

import sys

import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1], concurrency=2)


def infer(guest, arrays, binary=True):
    inputs = []
    for name, array in arrays.items():
        datatype = {"float32": "FP32", "int64": "INT64"}[array.dtype.name]
        made = triton.InferInput(name, list(array.shape), datatype)
        made.set_data_from_numpy(array, binary_data=binary)
        inputs.append(made)
    return client.infer(guest, inputs)


def digits():
    images = np.load("tests/data/digits/images.npy")
    labels = np.load("tests/data/digits/labels.npy")
    right = 0
    for start in range(0, len(images), 50):
        batch = images[start:start + 50]
        for binary in True, False:
            answer = infer("digits", {"image": batch}, binary).as_numpy("probabilities")
            assert answer.shape == (len(batch), 10) and np.allclose(answer.sum(1), 1, atol=1e-5)
        right += (answer.argmax(1) == labels[start:start + 50]).sum()
    accuracy = right / len(labels)
    print(f"digits: {accuracy:.4f} of {len(labels)} held-out images")
    assert accuracy >= 0.97


def recommend():
    session = np.array([12, 99, 4321], np.int64)
    answer = infer("recommend", {"session": session, "k": np.array([7], np.int64)})
    items, scores = answer.as_numpy("items"), answer.as_numpy("scores")
    assert items.shape == scores.shape == (7,) and items.dtype == np.int64 and scores.dtype == np.float32
    assert (np.diff(scores) <= 0).all() and not set(items) & set(session)


def descriptions_and_counts():
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("digits")
    metadata = client.get_model_metadata("digits")
    assert metadata["inputs"] == [{"name": "image", "datatype": "FP32", "shape": [-1, 1, 8, 8]}], metadata
    assert client.get_model_config("digits")["output"][0]["data_type"] == "TYPE_FP32"
    counts = client.get_inference_statistics("digits")["model_stats"][0]["inference_stats"]
    assert counts["success"]["count"] == 18 and counts["fail"]["count"] == 0, counts
    assert {guest["name"] for guest in client.get_model_repository_index()} == {"digits", "echo", "recommend"}


digits()
recommend()
descriptions_and_counts()
