"""The manifest names every part of a model by digest and says what goes in and what comes out."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Corrupt
from ropewalk.refs import canonical

SCHEMA = 1
SAFETENSORS = "model.safetensors"
TORCHSCRIPT, EXPORTED, SAVEDMODEL, PYFUNC = FRAMEWORK_PARTS = (
    "model.torchscript", "model.pt2", "model.savedmodel.zip", "model.pyfunc.zip",
)  # fmt: skip
NATIVE_PARTS = ("model.skops", "model.pkl", SAFETENSORS, *FRAMEWORK_PARTS)
ONNX_PART = "model.onnx"
REQUIREMENTS = "requirements.txt"
Class = bool | int | float | str


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One input column.

    Attributes:
        name: the column.
        type: `int`, `float`, `bool`, `string` or `datetime`.
        nullable: whether a value may be missing.
        dtype: the frame library's own name of the type at training, such as `Float64`; empty for numpy.
    """

    name: str
    type: str
    nullable: bool = False
    dtype: str = ""


class Output(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One output column: its name and `float`, `int`, `bool` or `string`."""

    name: str
    type: str


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What goes in, in the order of training, and what comes out."""

    inputs: tuple[Field, ...]
    outputs: tuple[Output, ...]


class Parity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How near the ONNX form comes to the native one on the golden rows.

    Attributes:
        passed: whether the ONNX part was kept.
        reason: why there is no ONNX part; empty when it was kept.
        rows: how many rows were compared.
        max_abs_diff: largest absolute difference of a number.
        tolerance: the largest that was allowed.
        label_differences: rows whose label differs.
        ties: those of them at an exact tie of the native probabilities, within the tolerance; all must be.
    """

    passed: bool
    reason: str = ""
    rows: int = 0
    max_abs_diff: float = 0.0
    tolerance: float = 0.0
    label_differences: int = 0
    ties: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trained model.

    Attributes:
        schema: number of this format.
        name: the model.
        flavor: library that made it: `sklearn`, `xgboost`, `lightgbm`, `torch`, `tensorflow`, `pyfunc`, `onnx`, or
            `python` for a class of the project's.
        task: `binary`, `multiclass` or `regression`.
        frame: what the model is given: `polars`, `pandas` or `numpy`.
        target: column that it predicts.
        classes: labels in the order of the model's own; empty for a regression.
        parts: digests by file name: one of `NATIVE_PARTS`, or none for a network; `model.onnx`, `requirements.txt` of a
            pyfunc's own environment, `golden.parquet`, `train.parquet`, `holdout.parquet`, `contract.json`,
            `profile.json`.
        globals: what the native part imports, sorted, as `module.name`.
        parity: of the ONNX part.
        signature: inputs and outputs.
        batching: by engine (`native`, `onnx`): `any` when a row's bits do not depend on its neighbours; `pair` when
            they do not beside at least one, so that a row alone is computed twice; `block` when they do not in blocks
            of one size; else `one`: rows are computed one by one.
        libraries: versions that made it.
        engine: `onnx` or `native`: which form serves, as measured when it was made; empty for ONNX if there is one.
    """

    schema: int = SCHEMA
    name: str
    flavor: str
    task: str
    frame: str
    target: str
    classes: tuple[Class, ...] = ()
    parts: dict[str, str]
    globals: tuple[str, ...] = ()
    parity: Parity
    signature: Signature
    batching: dict[str, str] = {}
    libraries: dict[str, str] = {}
    engine: str = ""

    @property
    def native_part(self) -> str:
        """Name of the native part, one of `NATIVE_PARTS`; empty for a network that is kept as ONNX alone."""
        return next((name for name in NATIVE_PARTS if name in self.parts), "")

    @property
    def needs_pickle(self) -> bool:
        """Whether the native part is of the pickle family, or code, as a pyfunc is."""
        return self.native_part.endswith(".pkl") or self.native_part == PYFUNC


def write_manifest(blobs: Bucket, manifest: Manifest) -> str:
    """Keep the manifest as canonical JSON; return its digest, which names the model."""
    return blobs.put(canonical(msgspec.to_builtins(manifest)))


def files_of(blobs: Bucket, digest: str) -> Iterator[str]:
    """Yield the digests of the files that a process needs in which the model answers: the manifest, and its forms."""
    yield digest
    parts = read_manifest(blobs, digest).parts
    yield from (parts[name] for name in (*NATIVE_PARTS, ONNX_PART, REQUIREMENTS) if name in parts)


def read_manifest(blobs: Bucket, digest: str) -> Manifest:
    """Return the manifest with this digest.

    Raises:
        NotFound: there is no such blob.
        Corrupt: the bytes do not match the digest, or are not a manifest.
    """
    try:
        return msgspec.json.decode(blobs.get(digest), type=Manifest)
    except msgspec.MsgspecError as error:
        raise Corrupt(
            "manifest-unreadable", "This blob is not a model's manifest.", where=digest, why=str(error)
        ) from error
