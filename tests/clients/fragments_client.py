"""Runs the fragments of a cut model with ONNX Runtime, one after the other.

    python tests/clients/fragments_client.py DIRECTORY MODEL

Each fragment has to be a valid ONNX model; together they answer what ONNX Runtime answered to MODEL.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime


def main():
    directory, model = map(Path, sys.argv[1:])
    plan = json.loads((directory / "plan.json").read_text())
    values = {name: np.load(model.with_suffix(f".{name}.npy")) for name in plan["inputs"]}
    for fragment in plan["fragments"]:
        path = directory / f"{fragment['name']}.onnx"
        onnx.checker.check_model(str(path), full_check=True)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        outputs = session.run(fragment["outputs"], {name: values[name] for name in fragment["inputs"]})
        values.update(zip(fragment["outputs"], outputs))
    for name in plan["outputs"]:
        expected = np.load(model.with_suffix(f".{name}.expected.npy"))
        np.testing.assert_allclose(values[name], expected, rtol=1e-4, atol=1e-4)
    print(f"{len(plan['fragments'])} fragments, {len(plan['outputs'])} outputs")


if __name__ == "__main__":
    main()
