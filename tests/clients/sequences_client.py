"""Drives a decoder token by token with Triton's Python client as it is.

    sequences_client.py ADDRESS GUEST COUNT PROMPT [PROMPT]

A prompt is its tokens with commas between. The texts go on in turns, a sequence each, and every token is printed as it
comes, as `SEQUENCE TOKEN`. The states stay with the server.
"""

import sys

import numpy as np
import tritonclient.http as triton

client = triton.InferenceServerClient(sys.argv[1], network_timeout=60, connection_timeout=60)
guest, count = sys.argv[2], int(sys.argv[3])
prompts = [[int(token) for token in prompt.split(",")] for prompt in sys.argv[4:]]


def tensor(name, array):
    made = triton.InferInput(name, list(array.shape), "INT64")
    made.set_data_from_numpy(array)
    return made


def step(sequence, position, token, last):
    inputs = [tensor("input_ids", np.array([[token]])), tensor("position", np.array([position]))]
    marks = {"sequence_start": position == 0, "sequence_end": last}
    answer = client.infer(guest, inputs, sequence_id=sequence, **marks)
    names = [output["name"] for output in answer.get_response()["outputs"]]
    assert names == ["logits"], f"states stay: {names}"
    return int(answer.as_numpy("logits")[0, -1].argmax())


# A number and a text: both are names.
names = [7, "a text"]
texts = [list(prompt) for prompt in prompts]
for position in range(max(map(len, prompts)) + count - 1):
    for name, prompt, text in zip(names, prompts, texts):
        steps = len(prompt) + count - 1
        if position >= steps:
            continue
        token = step(name, position, text[position], position + 1 == steps)
        if position + 1 >= len(prompt):
            text.append(token)
            print(name, token, flush=True)
