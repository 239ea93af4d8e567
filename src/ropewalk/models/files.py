"""A model that a user has as a file or a folder: by its ending, which of our parts it is and what reads it."""

from __future__ import annotations

from pathlib import Path

from ropewalk.errors import Refused
from ropewalk.models import folders
from ropewalk.models.formats import PICKLE, SKOPS, refusal
from ropewalk.models.manifest import EXPORTED, ONNX_PART, SAFETENSORS, SAVEDMODEL, TORCHSCRIPT
from ropewalk.models.parts import scan_part
from ropewalk.models.states import HDF5

JOBLIB, KERAS = "model.joblib", "model.keras"
XGBOOST = "model.ubj"
BYTES_MAX = 2 << 30
ENDINGS = {
    ".pkl": PICKLE,
    ".pickle": PICKLE,
    ".dill": PICKLE,
    ".cloudpickle": PICKLE,
    ".joblib": JOBLIB,
    ".skops": SKOPS,
    ".safetensors": SAFETENSORS,
    ".h5": HDF5,
    ".hdf5": HDF5,
    ".keras": KERAS,
    ".onnx": ONNX_PART,
    ".pt": TORCHSCRIPT,
    ".torchscript": TORCHSCRIPT,
    ".pt2": EXPORTED,
    ".ubj": XGBOOST,
}
# What cannot be walked without reading it: the confined process that reads it is the only wall.
_READ_ONLY = frozenset({JOBLIB, HDF5, XGBOOST})


def is_one(text: str) -> bool:
    """Say whether a text names a model file, or a folder of MLflow's or TensorFlow's, that is there."""
    path = Path(text)
    if path.is_dir():
        return (path / "MLmodel").is_file() or (path / "saved_model.pb").is_file()
    return path.suffix in ENDINGS and path.is_file()


def part_of(path: Path) -> str:
    """Return which part a file or folder is.

    Raises:
        Refused: it is none that we know.
    """
    if path.is_dir():
        return SAVEDMODEL if (path / "saved_model.pb").is_file() else ""
    return ENDINGS[path.suffix]


def lay_out(path: Path, into: Path, allowed: tuple[str, ...]) -> str:
    """Copy a model into a folder without following a link, looked through as far as bytes tell; return its part.

    Args:
        path: file or folder.
        into: an empty folder.
        allowed: globals beyond the defaults.

    Raises:
        Refused: it holds something that is not allowed.
    """
    part = part_of(path)
    if path.is_dir():
        data = folders.pack(path)
        if part:
            _judge(part, data, allowed)
        folders.unpack(data, into)
        return part
    if path.is_symlink() or path.stat().st_size > BYTES_MAX:
        raise Refused(
            "model-not-trusted", "The model file is a link, or larger than 2 GiB.", where=path.name,
            fix="name the file itself",
        )  # fmt: skip
    data = path.read_bytes()
    if part not in _READ_ONLY:
        _judge(part, data, allowed)
    (into / part).write_bytes(data)
    return part


def _judge(part: str, data: bytes, allowed: tuple[str, ...]) -> None:
    findings = scan_part(part, data, allowed)
    if findings:
        raise refusal(part, findings)
