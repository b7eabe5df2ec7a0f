"""Asks a guest that gives back what it gets, by hand: numbers, headers and encodings as clients write them.

    json_client.py ADDRESS GUEST

After reports to Triton (#5649 #4244 #8372), OpenVINO's model server (#4337), TorchServe (#1304), TensorFlow Serving
(#1014) and KServe (#3094 #3478). Prints a line for each answer that is not right, and fails if there is one.
"""

import gzip
import http.client
import json
import socket
import struct
import sys
import zlib

import numpy as np

HOST, PORT = sys.argv[1].rsplit(":", 1)
PATH = f"/v2/models/{sys.argv[2]}"
ONE = {"name": "x", "datatype": "INT32", "shape": [1], "data": [1]}
wrong = []


def main():
    for check in (not_finite, exact_numbers, header_lengths, texts, small_types, members, encodings, connections):
        check()
    print("\n".join(wrong))
    sys.exit(bool(wrong))


def hold(name, right, told=""):
    if not right:
        wrong.append(f"{name}: {str(told)[:300]}")


def post(body, header=None, path=f"{PATH}/infer", **more):
    """Status, headers and body of an answer. `header` is how many bytes of the body are JSON."""
    headers = {"content-type": "application/json", **{name.replace("_", "-"): value for name, value in more.items()}}
    if header is not None:
        headers |= {"content-type": "application/octet-stream", "inference-header-content-length": str(header)}
    connection = http.client.HTTPConnection(HOST, int(PORT), timeout=20)
    connection.request("POST", path, body=body, headers=headers, encode_chunked="transfer-encoding" in headers)
    answer = connection.getresponse()
    return answer.status, dict(answer.getheaders()), answer.read()


def ask(*inputs, **members):
    return post(json.dumps({"inputs": inputs, **members}).encode())


def port(datatype, shape, data=None, **members):
    given = {} if data is None else {"data": data}
    return {"name": "x", "datatype": datatype, "shape": shape, **given, **members}


def binary(datatype, shape, raw, back=True):
    """Status and contents of an answer to binary data, `back` in binary too."""
    outputs = [{"name": "y", "parameters": {"binary_data": back}}]
    inputs = [port(datatype, shape, parameters={"binary_data_size": len(raw)})]
    head = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
    status, headers, body = post(head + raw, len(head))
    return status, body[int(headers.get("inference-header-content-length", len(body))) :], body


def is_json(body):
    def refuse(word):
        raise ValueError(word)

    try:
        json.loads(body, parse_constant=refuse)
        return True
    except ValueError:
        return False


def data(body):
    """Of the first output; None where there is none."""
    return next((output["data"] for output in json.loads(body).get("outputs", [])), None)


def not_finite():
    raw = np.array([1, np.nan, np.inf, -np.inf, -0.0, 1e-45, 3.4e38], np.float32).tobytes()
    status, back, body = binary("FP32", [7], raw)
    hold("NaN in binary comes back", status == 200 and back == raw, body)
    status, _, body = binary("FP32", [7], raw, back=False)
    hold("NaN makes no broken JSON", status in (200, 400) and is_json(body), body)
    for word in ("NaN", "Infinity", "-Infinity", "null", '"NaN"', "1e400"):
        body = '{"inputs":[{"name":"x","datatype":"FP32","shape":[1],"data":[%s]}]}' % word
        status, _, body = post(body.encode())
        hold(f"{word} is no number", status == 400, body)


def exact_numbers():
    numbers = [0.1, 1e-7, 6e-07, 1.17549435e-38, 123456789.0, 1e22, -0.0, 16777217.0, 3.0e38, 0.30000000000000004]
    for datatype, dtype, least in (("FP32", np.float32, 1e-45), ("FP64", np.float64, 5e-324)):
        given = np.array([*numbers, least], dtype)
        status, _, body = ask(port(datatype, [len(given)], given.astype(np.float64).tolist()))
        same = status == 200 and np.array(data(body), dtype).tobytes() == given.tobytes()
        hold(f"{datatype} comes back to the bit", same, body)
    for datatype, whole in (("INT64", [2**63 - 1, -(2**63), 2**53 + 1]), ("UINT64", [2**64 - 1, 2**53 + 1])):
        status, _, body = ask(port(datatype, [len(whole)], whole))
        hold(f"{datatype} comes back whole", status == 200 and data(body) == whole, body)


def header_lengths():
    outputs = [{"name": "y", "parameters": {"binary_data": True}}]
    head = json.dumps({"inputs": [port("INT32", [2], parameters={"binary_data_size": 8})], "outputs": outputs}).encode()
    tail = struct.pack("<2i", 7, -9)
    long, right = len(head) + len(tail), len(head)
    for length in (right + 1, right - 1, 0, -1, 2**63, 2**64 + 5, "abc", long + 1):
        status, _, body = post(head + tail, length)
        hold(f"a header of {length}", status == 400, body)
    hold("a header of the right length", post(head + tail, right)[0] == 200)
    hold("one byte more", post(head + tail + b"x", right)[0] == 400)
    hold("four bytes less", post(head + tail[:4], right)[0] == 400)
    head = json.dumps({"inputs": [port("INT32", [2], parameters={"binary_data_size": 4})]}).encode()
    hold("a size beside the shape", post(head + tail, len(head))[0] == 400)


def texts():
    def packed(*words):
        return b"".join(struct.pack("<I", len(word)) + word for word in words)

    for name, shape, raw, right in (
        ("plain", [2], packed(b"ab", b""), 200),
        ("not UTF-8", [1], packed(b"\xff\xfe"), 200),
        ("a wrong count", [3], packed(b"ab", b""), 400),
        ("a length beyond the end", [1], struct.pack("<I", 99) + b"ab", 400),
        ("a length of 4 GiB", [1], struct.pack("<I", 2**32 - 1) + b"ab", 400),
        ("a byte more", [1], packed(b"ab") + b"z", 400),
        ("no elements", [0], b"", 200),
        ("a scalar", [], packed(b"q"), 200),
    ):
        status, back, body = binary("BYTES", shape, raw)
        hold(f"BYTES, {name}", status == right and (right != 200 or back == raw), body)
    status, _, body = binary("BYTES", [1], packed(b"\xff\xfe"), back=False)
    hold("BYTES that are not UTF-8 make no broken JSON", status in (200, 400) and is_json(body), body)


def small_types():
    hold("a BOOL of 2", binary("BOOL", [3], b"\0\1\2")[0] == 400)
    for datatype, shape, raw in (
        ("FP16", [3], np.array([1, np.nan, 65504], np.float16).tobytes()),
        ("BF16", [2], b"\x80\x3f\xc0\x7f"),
    ):
        status, back, body = binary(datatype, shape, raw)
        hold(f"{datatype} comes back", status == 200 and back == raw, body)
    status, _, body = ask(port("FP16", [1], [1.5]))
    hold("FP16 in JSON is refused in words", status == 400 and b"binary" in body, body)
    status, _, body = ask(port("BOOL", [2], [True, False]))
    hold("BOOL in JSON", status == 200 and data(body) == [True, False], body)


def members():
    """What a request may name, leave out or null."""
    odd = 'é"\\\n'
    status, _, body = ask(ONE, id=odd)
    hold("an odd id comes back", status == 200 and json.loads(body).get("id") == odd, body)
    for name, answer in (
        ("null members and a new one", ask(ONE, parameters=None, outputs=None, new={"a": [1]})),
        ("null parameters of an input", ask({**ONE, "parameters": None})),
        ("version 1", post(json.dumps({"inputs": [ONE]}).encode(), path=f"{PATH}/versions/1/infer")),
        ("whole numbers for FP32", ask(port("FP32", [2], [1, 2]))),
    ):
        hold(name, answer[0] == 200, answer)
    status, _, body = ask(ONE, outputs=[])
    hold("an empty list of outputs is each", status == 200 and data(body) == [1], body)
    status, _, body = ask(port("INT32", [], [7]))
    hold("a scalar", status == 200 and json.loads(body)["outputs"][0]["shape"] == [] and data(body) == [7], body)
    status, _, body = ask(port("INT32", [2, 0], []))
    hold("no elements", status == 200 and json.loads(body)["outputs"][0]["shape"] == [2, 0], body)
    for name, answer in (
        ("a null id", ask(ONE, id=None)),
        ("a byte order mark", post(b"\xef\xbb\xbf" + json.dumps({"inputs": [ONE]}).encode())),
        ("1.0 for INT32", ask(port("INT32", [1], [1.0]))),
    ):
        hold(name, answer[0] in (200, 400), answer)
    hold("a shape of texts", ask(port("INT32", ["1"], [1]))[0] == 400)
    twice = b'{"inputs":[{"name":"x","name":"z","datatype":"INT32","shape":[1],"data":[1]}]}'
    hold("a member twice", post(twice)[0] == 400)
    status = post(json.dumps({"inputs": [ONE]}).encode(), path=f"{PATH}/versions/2/infer")[0]
    hold("version 2", status in (400, 404), status)


def encodings():
    plain = json.dumps({"inputs": [ONE]}).encode()
    head = json.dumps({"inputs": [port("INT32", [2], parameters={"binary_data_size": 8})]}).encode()
    body, length = head + struct.pack("<2i", 7, -9), len(head)
    for name, answer in (
        ("gzip", post(gzip.compress(plain), content_encoding="gzip")),
        ("gzip of binary data", post(gzip.compress(body), length, content_encoding="gzip")),
        ("deflate of binary data", post(zlib.compress(body), length, content_encoding="deflate")),
        (
            "gzip in two members",
            post(gzip.compress(body[:9]) + gzip.compress(body[9:]), length, content_encoding="gzip"),
        ),
        ("chunks", post((body[at : at + 7] for at in range(0, len(body), 7)), length, transfer_encoding="chunked")),
    ):
        hold(name, answer[0] == 200, answer)


def connections():
    body = json.dumps({"inputs": [ONE]}).encode()
    head = f"POST {PATH}/infer HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    with socket.create_connection((HOST, int(PORT)), timeout=20) as many:
        many.sendall((head.encode() + b"\r\n" + body) * 200)
        found = b""
        while found.count(b"HTTP/1.1 200") < 200 and (part := many.recv(65536)):
            found += part
        hold("200 requests at once", found.count(b"HTTP/1.1 200") == 200, found.count(b"HTTP/1.1 200"))
    with socket.create_connection((HOST, int(PORT)), timeout=20) as waiting:
        waiting.sendall(head.encode() + b"expect: 100-continue\r\n\r\n")
        first = waiting.recv(1000)
        waiting.sendall(body)
        second = waiting.recv(5000)
        hold("100-continue", b"100" in first and b"200" in second, (first, second))


if __name__ == "__main__":
    main()
