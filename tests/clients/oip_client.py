"""Talks to a server at the address given, with Triton's Python client as it is."""

import sys

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

client = triton.InferenceServerClient(sys.argv[1])


def tensor(name, array, datatype, **how):
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array, **how)
    return made


def refused(call, status):
    try:
        call()
    except InferenceServerException as error:
        assert error.status() == status, error
        return error.message()
    raise AssertionError(f"not refused with {status}")


def health_and_descriptions():
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready("add") and client.is_model_ready("add", "1")
    assert not client.is_model_ready("nobody") and not client.is_model_ready("add", "2")
    assert client.get_server_metadata()["name"] == "burst"
    metadata = client.get_model_metadata("add")
    assert metadata["inputs"][0] == {"name": "INPUT0", "datatype": "INT32", "shape": [-1, 16]}, metadata
    assert client.get_model_config("add")["input"][0]["data_type"] == "TYPE_INT32"
    index = client.get_model_repository_index()
    assert {"name": "add", "version": "1", "state": "READY", "reason": ""} in index, index


def sums():
    left, right = np.arange(16, dtype=np.int32).reshape(1, 16), np.full((1, 16), 7, np.int32)
    for binary in True, False:
        inputs = [tensor("INPUT0", left, "INT32", binary_data=binary), tensor("INPUT1", right, "INT32")]
        for outputs in None, [triton.InferRequestedOutput("OUTPUT0", binary_data=binary)]:
            answer = client.infer("add", inputs, outputs=outputs, request_id="42", timeout=5_000_000)
            assert (answer.as_numpy("OUTPUT0") == left + right).all()
            assert (answer.as_numpy("OUTPUT1") is None) == (outputs is not None)
            response = answer.get_response()
            assert response["id"] == "42" and response["model_version"] == "1", response
            assert response["parameters"]["device"].startswith("cpu"), response


def every_datatype():
    rng = np.random.default_rng(0)
    kinds = {"INT8": "i1", "INT16": "i2", "INT32": "i4", "INT64": "i8", "UINT8": "u1", "UINT16": "u2",
             "UINT32": "u4", "UINT64": "u8", "FP16": "f2", "FP32": "f4", "FP64": "f8", "BOOL": "?"}
    for datatype, kind in kinds.items():
        size = np.dtype(kind).itemsize
        raw = rng.integers(0, 2 if kind == "?" else 256, 2 * 3 * size, np.uint8).tobytes()
        array = np.frombuffer(raw, kind).reshape(2, 3)
        if kind[0] == "f":
            array = rng.standard_normal((2, 3)).astype(kind)
        for binary_in in [True] if datatype == "FP16" else [True, False]:
            for binary_out in [True] if datatype == "FP16" else [True, False]:
                outputs = [triton.InferRequestedOutput("x", binary_data=binary_out)]
                answer = client.infer("echo", [tensor("x", array, datatype, binary_data=binary_in)], outputs=outputs)
                found = answer.as_numpy("x")
                assert found.dtype == array.dtype and (found == array).all(), (datatype, binary_in, binary_out)


def strings():
    array = np.array(["", "grüezi", "a" * 1000, "\n"], dtype=np.object_)
    for binary in True, False:
        outputs = [triton.InferRequestedOutput("x", binary_data=binary)]
        answer = client.infer("echo", [tensor("x", array, "BYTES", binary_data=binary)], outputs=outputs)
        found = [item.decode() if isinstance(item, bytes) else item for item in answer.as_numpy("x")]
        assert found == list(array), found


def sizes_and_compression():
    frame = np.random.default_rng(1).standard_normal((1, 3, 480, 640)).astype(np.float32)
    assert (client.infer("echo", [tensor("x", frame, "FP32")]).as_numpy("x") == frame).all()
    empty = np.zeros((0, 4), np.float32)
    assert client.infer("echo", [tensor("x", empty, "FP32")]).as_numpy("x").shape == (0, 4)
    for coding in "gzip", "deflate":
        answer = client.infer("echo", [tensor("x", frame[..., :64], "FP32")], request_compression_algorithm=coding,
                              response_compression_algorithm=coding)
        assert (answer.as_numpy("x") == frame[..., :64]).all()


def refusals():
    x = [tensor("x", np.zeros(1, np.float32), "FP32")]
    assert "no guest" in refused(lambda: client.infer("nobody", x), "404")
    assert "no version" in refused(lambda: client.infer("echo", x, model_version="2"), "404")
    assert "no such input" in refused(lambda: client.infer("add", x), "400")
    assert "queue" in refused(lambda: client.infer("busy", x), "429")
    assert "not supported" in refused(lambda: client.load_model("echo"), "501")
    top = [triton.InferRequestedOutput("x", class_count=1)]
    assert "classification" in refused(lambda: client.infer("echo", x, outputs=top), "400")


def statistics():
    stages = client.get_inference_statistics("echo")["model_stats"][0]["inference_stats"]
    counts = {stages[stage]["count"] for stage in
              ["success", "queue", "compute_input", "compute_infer", "compute_output"]}
    assert len(counts) == 1 and counts.pop() > 0, stages
    assert len(client.get_inference_statistics()["model_stats"]) > 1


for step in (health_and_descriptions, sums, every_datatype, strings, sizes_and_compression, refusals, statistics):
    step()
    print(step.__name__, "ok")
