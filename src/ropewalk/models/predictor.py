"""Opens a model by its manifest's digest and answers rows, the same bits for the same row every time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Literal, Protocol

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Invalid, NotFound, Refused, missing_extra
from ropewalk.models.formats import load
from ropewalk.models.manifest import ONNX_PART, Manifest, read_manifest
from ropewalk.models.signature import Shape

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
        by_one: compute each row alone, because this engine's bits depend on the rows beside it.
    """

    def __init__(self, engine: Engine, shape: Shape, *, name: str, by_one: bool = False) -> None:
        self.engine = name
        self.shape = shape
        self._engine = engine
        self._by_one = by_one
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
        if rows == 1 or not self._by_one:
            return self._engine.answer(columns, rows)
        found: dict[str, list[Any]] = {output.name: [] for output in self.shape.signature.outputs}
        for row in range(rows):
            one = self._engine.answer({name: [columns[name][row]] for name in self._inputs}, 1)
            for name, values in one.items():
                found[name] += values
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A model whose bytes are read and verified, and of which nothing has run yet.

    Attributes:
        manifest: what it is.
        engine: `onnx` or `native`.
        part: name of the file that will be loaded.
        data: its bytes.
    """

    manifest: Manifest
    engine: str
    part: str
    data: bytes

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
            engine: Engine = OnnxEngine(self.data, shape)
        else:
            _import("sklearn", "sklearn")
            for library in {"numpy": (), "pandas": ("pandas",), "polars": ("polars",)}[self.manifest.frame]:
                _import(library, "sklearn")
            engine = NativeEngine(load(self.part, self.data, allowed), shape)
        by_one = self.manifest.batching.get(self.engine, "one") == "one"
        return Predictor(engine, shape, name=self.engine, by_one=by_one)


def shape_in(manifest: Manifest) -> Shape:
    """Return the shape that a manifest records."""
    return Shape(task=manifest.task, frame=manifest.frame, classes=manifest.classes, signature=manifest.signature)


def prepare(blobs: Bucket, manifest_digest: str, *, engine: Choice = "auto", allow_pickle: bool = True) -> Prepared:
    """Read a model's bytes, verified; nothing of the model runs and no library of models is imported.

    Args:
        blobs: where the parts lie.
        manifest_digest: names the model.
        engine: `onnx`, `native`, or `auto`: ONNX where there is a part for it and onnxruntime is installed.
        allow_pickle: whether a model of the pickle family may be used.

    Raises:
        NotFound: a blob is missing, or there is no ONNX part and `onnx` was asked for.
        Corrupt: a blob's bytes no longer match its digest.
        Refused: the native part is a pickle and pickles are not allowed here.
    """
    manifest = read_manifest(blobs, manifest_digest)
    if engine == "auto":
        engine = "onnx" if ONNX_PART in manifest.parts and find_spec("onnxruntime") is not None else "native"
    if engine == "onnx":
        if ONNX_PART not in manifest.parts:
            raise NotFound("onnx-part-missing", "This model has no ONNX form.", why=manifest.parity.reason)
        part = ONNX_PART
    else:
        part = manifest.native_part
        if manifest.needs_pickle and not allow_pickle:
            raise Refused(
                "pickle-not-allowed",
                "This environment takes no models of the pickle family.",
                where=manifest.name,
                why="skops could not write this model, so it was kept as a pickle",
                fix="set allow_pickle = true for the environment in ropewalk.toml, or train what skops can write",
            )
    return Prepared(manifest=manifest, engine=engine, part=part, data=blobs.get(manifest.parts[part]))


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
