"""Writes cases after kinds of public bug reports, in the layout of tests/conformance/cases.py.

    python tests/conformance/reports/write.py [DIRECTORY]

Each module beside this one tests what its name says. A case becomes DIRECTORY/MODULE.NAME/ with model.onnx,
input_N.pb, output_N.pb and what else lies beside its model. index.json lists them all and is written last: when it is
of these scripts and libraries, nothing is done.
"""

import argparse
import hashlib
import importlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from external import LINKED
from onnx import numpy_helper

HERE = Path(__file__).parent
# Not kinds, but what writes them.
TOOLS = ("suite", "write")


def main():
    directory = parse().directory
    index, key = directory / "index.json", current()
    if index.exists() and json.loads(index.read_text())["key"] == key:
        return
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    rows = sorted((write(directory, module, case) for module, case in collect()), key=lambda row: row["name"])
    twice = {one["name"] for one, other in zip(rows, rows[1:]) if one["name"] == other["name"]}
    if twice:
        sys.exit(f"two cases of one name: {', '.join(sorted(twice))}")
    whole = directory / "index.json.new"
    whole.write_text(json.dumps({"key": key, "cases": rows}, indent=0))
    whole.rename(index)
    print(f"{directory}: {len(rows)} cases after public reports")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path, nargs="?", default=Path("target/conformance/reports"))
    return parser.parse_args()


def current():
    scripts = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))).hexdigest()
    return f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}, numpy {np.__version__}, scripts {scripts}"


def collect():
    for path in sorted(HERE.glob("*.py")):
        if path.stem not in TOOLS:
            # Some overflow and divide by zero on purpose.
            with np.errstate(all="ignore"):
                for case in importlib.import_module(path.stem).cases():
                    yield path.stem, case


def write(directory, module, case):
    """Writes one case; its line of the index."""
    name = f"{module}.{case.name}"
    place = directory / name
    place.mkdir()
    (place / "model.onnx").write_bytes(case.model.SerializeToString())
    write_tensors(place, "input", case.inputs)
    write_tensors(place, "output", case.expected or {})
    for beside, content in case.files.items():
        (place / beside).parent.mkdir(exist_ok=True)
        (place / beside).symlink_to(content) if beside in LINKED else (place / beside).write_bytes(content)
    return {
        "name": name,
        "op": module,
        "out_of_scope": None,
        "rtol": case.rtol,
        "atol": case.atol,
        "inputs": len(case.inputs),
        "outputs": len(case.expected or {}),
        "given": list(case.inputs),
        "sign_of_zero": case.sign_of_zero,
        "refused": case.expected is None,
        "large": case.large,
    }


def write_tensors(place, stem, values):
    for number, (name, value) in enumerate(values.items()):
        tensor = numpy_helper.from_array(np.ascontiguousarray(value).reshape(np.shape(value)), name)
        (place / f"{stem}_{number}.pb").write_bytes(tensor.SerializeToString())


if __name__ == "__main__":
    main()
