"""Opens a model by its manifest's digest and answers rows, the same bits for the same row every time."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, Protocol

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Invalid, NotFound, Refused, missing_extra
from ropewalk.models.formats import load, refusal
from ropewalk.models.manifest import FRAMEWORK_PARTS, ONNX_PART, SAFETENSORS, Manifest, read_manifest
from ropewalk.models.parts import scan_part
from ropewalk.models.signature import Shape

BLOCK_ROWS = 32
Choice = Literal["auto", "onnx", "native"]
Columns = Mapping[str, Sequence[object]]


class Engine(Protocol):
    """What computes."""

    def answer(self, columns: Columns, rows: int) -> dict[str, list[Any]]:
        """Return the outputs of all rows, computed together."""
        ...


class Predictor:
    """One open model.

    Args:
        engine: what computes.
        shape: what goes in and out.
        name: `onnx` or `native`.
        batching: `any`, `pair`, `block` or `one`, as the manifest says: how many rows the engine is given at a time, so
            that a row's bits do not depend on the rows beside it.
    """

    def __init__(self, engine: Engine, shape: Shape, *, name: str, batching: str = "any") -> None:
        self.engine = name
        self.shape = shape
        self._engine = engine
        self._batching = batching
        self._inputs = tuple(field.name for field in shape.signature.inputs)

    def predict(self, columns: Columns, rows: int) -> dict[str, list[Any]]:
        """Return the outputs by name, one value a row; a row's bits depend on nothing but the row.

        Args:
            columns: input values by column, `rows` of each; None for a missing one. Other columns are passed over.
            rows: how many rows.

        Raises:
            Invalid: a column is missing, has another length, or holds a value of another type.
        """
        for name in self._inputs:
            values = columns.get(name)
            if values is None:
                raise Invalid("input-missing", "An input column is missing.", where=name)
            if len(values) != rows:
                raise Invalid(
                    "input-length-wrong", "An input column is too short or too long.", where=name,
                    why=f"{rows} values are wanted, found {len(values)}",
                )  # fmt: skip
        if rows == 0:
            return {output.name: [] for output in self.shape.signature.outputs}
        if (
            self._batching == "any"
            or (rows > 1 and self._batching == "pair")
            or (rows == 1 and self._batching == "one")
        ):
            return self._engine.answer(columns, rows)
        return in_batches(self._engine, {name: columns[name] for name in self._inputs}, rows, self._batching)


def in_batches(engine: Engine, columns: Columns, rows: int, batching: str) -> dict[str, list[Any]]:
    """Return an engine's answers, asked in one of the ways that a manifest names: `any`, `pair`, `block` or `one`."""
    if batching == "any" or (rows > 1 and batching == "pair"):
        return engine.answer(columns, rows)
    # Matrix libraries have a way of their own for one row; beside itself it goes the way of all others.
    return in_blocks(engine, columns, rows, {"pair": 2, "block": BLOCK_ROWS}.get(batching, 1))


def in_blocks(engine: Engine, columns: Columns, rows: int, size: int) -> dict[str, list[Any]]:
    """Return the answers of an engine that is always given `size` rows; the last row fills up the last block.

    Matrix libraries choose their way of adding up by the number of rows: with the same number it is the same way.
    """
    found: dict[str, list[Any]] = {}
    for start in range(0, rows, size):
        count = min(size, rows - start)
        block = {name: list(values[start : start + size]) for name, values in columns.items()}
        if count < size:
            block = {name: values + values[-1:] * (size - count) for name, values in block.items()}
        for name, values in engine.answer(block, size).items():
            found.setdefault(name, []).extend(values[:count])
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A model whose bytes are read and verified, and of which nothing has run yet.

    Attributes:
        manifest: what it is.
        engine: `onnx` or `native`.
        part: name of the file that will be loaded.
        data: its bytes.
        folder: where a part that is a folder is laid out; None for any other.
        libraries: the folder of the model's own libraries, which go before all others; None where it has none.
    """

    manifest: Manifest
    engine: str
    part: str
    data: bytes
    folder: Path | None = None
    libraries: Path | None = None

    @property
    def readable(self) -> tuple[Path, ...]:
        """What the model reads when it is opened, beside Python itself."""
        return tuple(one for one in (self.folder, self.libraries) if one is not None)

    def open(self, allowed: Iterable[str] = ()) -> Predictor:
        """Import the libraries and load the model; call it confined.

        Args:
            allowed: globals beyond the defaults that a pickle may name, as for `formats.load`.

        Raises:
            Refused: the file names something that is not allowed.
            Missing: a library that the model needs is not installed.
        """
        from ropewalk.models.native import NativeEngine
        from ropewalk.models.onnx import OnnxEngine

        shape = shape_in(self.manifest)
        if self.engine == "onnx":
            findings = scan_part(self.part, self.data)
            if findings:
                raise refusal(self.part, findings)
            engine: Engine = OnnxEngine(self.data, shape)
        else:
            if self.libraries is not None:
                sys.path.insert(0, str(self.libraries))
            if self.manifest.flavor in ("sklearn", "xgboost", "lightgbm"):
                _import("sklearn", "sklearn")
            for library in {"numpy": (), "pandas": ("pandas",), "polars": ("polars",)}[self.manifest.frame]:
                _import(library, "sklearn")
            engine = NativeEngine(native_model(self.part, self.data, shape, allowed, folder=self.folder), shape)
        return Predictor(engine, shape, name=self.engine, batching=self.manifest.batching.get(self.engine, "one"))


def native_model(
    part: str, data: bytes, shape: Shape, allowed: Iterable[str] = (), *, folder: Path | None = None
) -> Any:  # noqa: ANN401 - a model of any library
    """Return the model of a native part, with `predict`; call it confined.

    Args:
        part: one of `NATIVE_PARTS`.
        data: its bytes.
        shape: what it takes and gives.
        allowed: globals beyond the defaults, as for `formats.load`.
        folder: where the part is laid out, if it is a folder.

    Raises:
        Refused: the file names something that is not allowed, or is none of its kind.
        Missing: a library that the model needs is not installed.
    """
    if part == SAFETENSORS:
        from ropewalk.models.states import load_safetensors

        return load_safetensors(data, allowed)
    if part not in FRAMEWORK_PARTS:
        return load(part, data, allowed)
    from ropewalk.models import frameworks

    findings = scan_part(part, data, allowed)
    if findings:
        raise refusal(part, findings)
    return frameworks.read(part, data, shape.classes, folder)


def shape_in(manifest: Manifest) -> Shape:
    """Return the shape that a manifest records."""
    return Shape(task=manifest.task, frame=manifest.frame, classes=manifest.classes, signature=manifest.signature)


def prepare(blobs: Bucket, manifest_digest: str, *, engine: Choice = "auto", allow_pickle: bool = True) -> Prepared:
    """Read a model's bytes, verified; nothing of the model runs and no library of models is imported.

    Args:
        blobs: where the parts lie.
        manifest_digest: names the model.
        engine: `onnx`, `native`, or `auto`: as measured when the model was made, where that can be had: ONNX needs
            onnxruntime, a pickle needs `allow_pickle`.
        allow_pickle: whether a model of the pickle family may be used.

    Raises:
        NotFound: a blob is missing, or there is no part for the engine that was asked for.
        Corrupt: a blob's bytes no longer match its digest.
        Refused: the native part is a pickle and pickles are not allowed here.
    """
    manifest = read_manifest(blobs, manifest_digest)
    if engine == "auto":
        engine = _measured(manifest, allow_pickle=allow_pickle)
    if engine == "onnx":
        if ONNX_PART not in manifest.parts:
            raise NotFound("onnx-part-missing", "This model has no ONNX form.", why=manifest.parity.reason)
        part = ONNX_PART
    else:
        part = manifest.native_part
        if not part:
            raise NotFound("native-part-missing", "This model is kept as ONNX alone.", where=manifest.name)
        if manifest.needs_pickle and not allow_pickle:
            raise Refused(
                "pickle-not-allowed",
                "This environment takes no models of the pickle family.",
                where=manifest.name,
                why="skops could not write this model, so it was kept as a pickle",
                fix="set allow_pickle = true for the environment in ropewalk.toml, or train what skops can write",
            )
    data = blobs.get(manifest.parts[part])
    if part not in FRAMEWORK_PARTS:
        return Prepared(manifest=manifest, engine=engine, part=part, data=data)
    from ropewalk.models import environments, folders, frameworks

    libraries = environments.of_manifest(blobs, manifest)
    folder = folders.laid_out(data) if part in frameworks.FOLDERS else None
    return Prepared(manifest=manifest, engine=engine, part=part, data=data, folder=folder, libraries=libraries)


def _measured(manifest: Manifest, *, allow_pickle: bool) -> Literal["onnx", "native"]:
    if ONNX_PART not in manifest.parts:
        return "native"
    if not manifest.native_part:
        return "onnx"
    wanted = manifest.engine != "native" or (manifest.needs_pickle and not allow_pickle)
    return "onnx" if wanted and find_spec("onnxruntime") is not None else "native"


def _import(library: str, extra: str) -> None:
    try:
        import_module(library)
    except ImportError:
        raise missing_extra(library, extra) from None


def open_predictor(
    blobs: Bucket,
    manifest_digest: str,
    *,
    engine: Choice = "auto",
    allow_pickle: bool = True,
    allowed: Iterable[str] = (),
) -> Predictor:
    """Prepare and open a model in this process, a confined worker best; see `prepare` and `Prepared.open`."""
    return prepare(blobs, manifest_digest, engine=engine, allow_pickle=allow_pickle).open(allowed)
