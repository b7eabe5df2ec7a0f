"""ONNX Runtime behind FastAPI, as its users write it: one process, the model run on the server's pool of threads.

    fastapi_peer.py PORT MODEL THREADS

POST /infer takes the inputs, in the order of the model, as the bytes of their numbers one after the other, and answers
with those of the outputs. Shapes are those of the .npy files beside the model.
"""

import sys
from pathlib import Path

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.concurrency import run_in_threadpool

port, model, threads = int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = threads
session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
ports = {port.name: np.load(model.with_suffix(f".{port.name}.npy")) for port in session.get_inputs()}
app = FastAPI()


def infer(body):
    inputs, start = {}, 0
    for name, like in ports.items():
        inputs[name] = np.frombuffer(body, like.dtype, like.size, start).reshape(like.shape)
        start += like.nbytes
    return b"".join(output.tobytes() for output in session.run(None, inputs))


@app.post("/infer")
async def answer(request: Request):
    answered = await run_in_threadpool(infer, await request.body())
    return Response(answered, media_type="application/octet-stream")


uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning", access_log=False)
