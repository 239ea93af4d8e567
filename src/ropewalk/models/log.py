"""Hands a trained model over: keeps its parts, converts and compares it, and says its name to the run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ropewalk.blobs.bucket import Bucket
from ropewalk.errors import Invalid, Refused, RopewalkError
from ropewalk.models import formats, frameworks, states
from ropewalk.models.golden import GOLDEN_PART, ONNX_WAYS, PREFIX, batching_of, parity_of, pick, same
from ropewalk.models.manifest import FRAMEWORK_PARTS, ONNX_PART, SAFETENSORS, Manifest, Parity, write_manifest
from ropewalk.models.measured import TAG, Measured, measure
from ropewalk.models.native import NativeEngine
from ropewalk.models.onnx import NUMBERS, NotConvertible, OnnxEngine, convert
from ropewalk.models.predictor import Predictor, native_model
from ropewalk.models.signature import Shape, is_estimator, shape_of
from ropewalk.refs import is_name
from ropewalk.runs.log import LogEntry, current

if TYPE_CHECKING:
    import polars as pl

LIBRARIES = (
    "scikit-learn", "numpy", "scipy", "skops", "skl2onnx", "onnx", "onnxruntime", "pandas", "polars", "xgboost",
    "xgboost-cpu", "lightgbm", "torch", "tensorflow", "tensorflow-cpu", "mlflow", "onnxmltools",
)  # fmt: skip


def log_model(
    model: Any,  # noqa: ANN401 - an estimator of any library
    name: str,
    *,
    train: Any,  # noqa: ANN401 - a polars or pandas frame
    holdout: Any = None,  # noqa: ANN401
    target: str,
) -> str:
    """Keep a fitted model with everything that a release needs; return its manifest's digest.

    Outside of a run it only checks its arguments and returns an empty text, so that `python pipeline.py` works.

    Args:
        model: a fitted scikit-learn classifier (with `predict_proba`) or regressor, a Pipeline most often; an
            instance of your own class with `predict`; a TorchScript module or exported program of torch, a Keras model.
        name: of the model: letters, digits, `.`, `_`, `-`.
        train: the rows it was fitted on, with the target; the contract and the drift profile are read off them.
        holdout: rows it has not seen, with the target; the quality gates measure on them.
        target: the column that it predicts.

    Raises:
        Invalid: a name, frame or model is not what is wanted.
        Refused: the model does not come back from its file giving the same answers.
        Missing: a library that it needs is not installed.
    """
    if not is_name(name):
        raise Invalid("model-name-invalid", "This cannot be a model's name.", why=f"found {name[:80]!r}")
    model = frameworks.wrapped(model, train, target)
    shape = shape_of(model, train, target)
    check_answers(model, shape)
    collector = current()
    if collector is None:
        return ""
    made = build(collector.blobs, model, name, shape=shape, train=train, holdout=holdout, target=target)
    now_us = collector.clock.now_us()
    collector.add(LogEntry(kind="model", key=name, value={"manifest": made.manifest}, at_us=now_us))
    collector.add(LogEntry(kind="tag", key=TAG + name, value=made.measured.text, at_us=now_us))
    return made.manifest


def check_answers(model: Any, shape: Shape) -> None:  # noqa: ANN401
    """Pass only a model that gives numbers which can be judged.

    Raises:
        Invalid: a classifier without probabilities.
    """
    if shape.task != "regression" and not hasattr(model, "predict_proba"):
        raise Invalid(
            "model-without-probability",
            "The classifier gives no probabilities.",
            why=f"{type(model).__name__} has no predict_proba",
            fix="wrap it in sklearn.calibration.CalibratedClassifierCV",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Native:
    part: str
    data: bytes
    globals: tuple[str, ...]
    engine: NativeEngine


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """A model that was kept.

    Attributes:
        manifest: the manifest's digest.
        measured: which engine serves, and the figures that chose it; they change from one time to the next, so that
            they are no part of the manifest.
    """

    manifest: str
    measured: Measured


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Golden inputs as a frame, and as the lists in which requests bring them."""

    frame: pl.DataFrame
    columns: dict[str, list[Any]]
    count: int


def build(
    blobs: Bucket,
    model: Any,  # noqa: ANN401
    name: str,
    *,
    shape: Shape,
    train: Any,  # noqa: ANN401
    holdout: Any,  # noqa: ANN401
    target: str,
    contract: bytes | None = None,
    beside: Mapping[str, bytes] | None = None,
) -> Built:
    """Write all parts of a model and its manifest.

    Args:
        blobs: where the parts go.
        model: the fitted estimator.
        name: the model's.
        shape: from `shape_of`.
        train: rows with the target.
        holdout: rows with the target, or None.
        target: column that is predicted.
        contract: what a request must be, as JSON; read off the rows when None.
        beside: further parts by name.
    """
    from ropewalk.data import frames

    table = frames.as_polars(train)
    held = table if holdout is None else frames.as_polars(holdout)
    chosen = pick(held, [field.name for field in shape.signature.inputs], golden_rows())
    found = _forms(model, shape, _Rows(frame=chosen, columns=chosen.to_dict(as_series=False), count=chosen.height))
    parts = data_parts(blobs, shape, table, held, target=target, contract=contract)
    parts |= golden_part(blobs, chosen, found.answers)
    parts |= {part: blobs.put(data) for part, data in (beside or {}).items()}
    parts[found.native.part] = blobs.put(found.native.data)
    if found.onnx:
        parts[ONNX_PART] = blobs.put(found.onnx)
    manifest = Manifest(
        name=name, flavor=_flavor(model), task=shape.task, frame=shape.frame, target=target, classes=shape.classes,
        parts=parts, globals=found.native.globals, parity=found.parity, signature=shape.signature,
        batching=found.batching, libraries=libraries(), engine=found.measured.engine,
    )  # fmt: skip
    return Built(manifest=write_manifest(blobs, manifest), measured=found.measured)


def _flavor(model: object) -> str:
    """Return the library that made a model: `sklearn` for all that stands on it, `python` for a class of its own."""
    if isinstance(model, frameworks.Framework):
        return frameworks.FLAVORS[model.part]
    top = type(model).__module__.partition(".")[0]
    if top in ("xgboost", "lightgbm"):
        return top
    return "sklearn" if is_estimator(model) else "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Forms:
    native: _Native
    onnx: bytes
    parity: Parity
    batching: dict[str, str]
    answers: dict[str, list[Any]]
    measured: Measured


def _forms(model: Any, shape: Shape, rows: _Rows) -> _Forms:  # noqa: ANN401
    """Return the model's file forms, how each may be batched, and the native answers to the golden rows."""
    with _one_thread():
        native = _native(model, shape, rows)
        batching = {"native": batching_of(native.engine, rows.columns, rows.count)}
        asked = Predictor(native.engine, shape, name="native", batching=batching["native"])
        answers = asked.predict(rows.columns, rows.count)
    engines = {"native": asked}
    onnx, parity = _onnx(model, shape, rows, answers)
    if onnx:
        engine = OnnxEngine(onnx, shape)
        batching["onnx"] = batching_of(engine, rows.columns, rows.count, ways=ONNX_WAYS)
        engines["onnx"] = Predictor(engine, shape, name="onnx", batching=batching["onnx"])
    with _one_thread():
        measured = measure(engines, rows.columns, rows.count)
    return _Forms(native=native, onnx=onnx, parity=parity, batching=batching, answers=answers, measured=measured)


def _one_thread() -> AbstractContextManager[object]:
    """Return what holds libraries of matrices to one thread, where it is installed: it comes with scikit-learn."""
    try:
        from threadpoolctl import threadpool_limits
    except ImportError:
        return nullcontext()
    return threadpool_limits(1)


def data_parts(
    blobs: Bucket,
    shape: Shape,
    table: pl.DataFrame,
    held: pl.DataFrame,
    *,
    target: str,
    contract: bytes | None = None,
) -> dict[str, str]:
    """Write the rows, the profile of the model's columns of them, and the contract, read off them when None."""
    from ropewalk.data import frames

    seen = table.select(*(field.name for field in shape.signature.inputs), target)
    return {
        "train.parquet": frames.write(blobs, table).digest,
        "holdout.parquet": frames.write(blobs, held).digest,
        "contract.json": blobs.put(contract if contract is not None else _contract(seen, target)),
        "profile.json": blobs.put(_profile(seen)),
    }


def _contract(seen: pl.DataFrame, target: str) -> bytes:
    from ropewalk.data import contract, infer

    return contract.to_json(infer.infer(seen, target=target))


def golden_rows() -> int:
    """Return how many golden rows the project wants."""
    from ropewalk.settings import read_settings

    return read_settings(Path.cwd()).tests.golden_rows


def _profile(table: pl.DataFrame) -> bytes:
    from ropewalk.data import profile

    return profile.to_json(profile.profile(table))


def golden_part(blobs: Bucket, inputs: pl.DataFrame, answers: dict[str, list[Any]]) -> dict[str, str]:
    """Write golden rows with their answers; return their part by name."""
    import polars as pl

    from ropewalk.data import frames

    whole = inputs.with_columns(pl.Series(f"{PREFIX}{name}", values) for name, values in answers.items())
    return {GOLDEN_PART: frames.write(blobs, whole).digest}


def _native(model: Any, shape: Shape, rows: _Rows) -> _Native:  # noqa: ANN401
    """Return the first file form of the model that comes back with the same answers: those without code come first.

    The answers are those of the model as it came back, fed with plain values as requests bring them.
    """
    reasons: list[str] = []
    live = NativeEngine(_copy(model), shape).answer(rows.columns, rows.count)
    for part, save in _file_forms(model):
        try:
            data = save(model)
            named = _named(part, data)
            engine = NativeEngine(_back(model, part, data, shape, named), shape)
            answers = engine.answer(rows.columns, rows.count)
        except Exception as error:  # noqa: BLE001 - the libraries' savers raise what they like; the next form is tried
            reasons.append(f"{part}: {_words(error)}")
            continue
        if any(name.startswith("__main__.") for name in named):
            reasons.append(f"{part}: it uses {next(name for name in named if name.startswith('__main__.'))}")
        elif all(same(values, live[name]) for name, values in answers.items()):
            return _Native(part=part, data=data, globals=named, engine=engine)
        else:
            reasons.append(f"{part}: it answers otherwise than before it was saved")
    raise Refused(
        "model-not-kept",
        "The model cannot be kept in a file.",
        where=type(model).__name__,
        why="; ".join(reasons),
        fix="build it from classes and functions of importable modules",
    )


def _file_forms(model: Any) -> tuple[tuple[str, Callable[[Any], bytes]], ...]:  # noqa: ANN401
    if isinstance(model, frameworks.Framework):
        return ((model.part, lambda one: one.data),)
    pickled = (formats.PICKLE, formats.save_pickle)
    if is_estimator(model):
        return (formats.SKOPS, formats.save_skops), pickled
    return (SAFETENSORS, states.save_safetensors), pickled


def _named(part: str, data: bytes) -> tuple[str, ...]:
    if part == SAFETENSORS:
        return states.safetensors_globals(data)
    return () if part in FRAMEWORK_PARTS else formats.named_globals(part, data)


def _back(model: Any, part: str, data: bytes, shape: Shape, named: tuple[str, ...]) -> Any:  # noqa: ANN401
    """Return the model as it comes back from its file; a framework's was read from it a moment ago."""
    return model if part in FRAMEWORK_PARTS else native_model(part, data, shape, named)


def _copy(model: Any) -> Any:  # noqa: ANN401
    """Return a copy to set threads on, so that the user's own model keeps its settings; the model if it has none."""
    import copy

    try:
        return copy.deepcopy(model)
    except (TypeError, AttributeError, RecursionError):
        return model


def _words(error: Exception) -> str:
    text = f"{error.what} {error.why}" if isinstance(error, RopewalkError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())[:200]}"


def _onnx(
    model: Any,  # noqa: ANN401
    shape: Shape,
    rows: _Rows,
    native: dict[str, list[Any]],
) -> tuple[bytes, Parity]:
    """Return the ONNX form if there is one that answers like the native one, and the report of the better attempt."""
    best: Parity | None = None
    for numbers in NUMBERS:
        try:
            data = convert(model, shape, numbers=numbers)
            answers = OnnxEngine(data, shape).answer(rows.columns, rows.count)
            found = parity_of(shape, native, answers, rows.count)
        except (NotConvertible, RopewalkError) as error:
            found, data = Parity(passed=False, reason=_reason(error)), b""
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's own exception classes are not public
            found, data = Parity(passed=False, reason=_words(error)), b""
        if found.passed:
            return data, found
        best = found if best is None or (found.rows and not best.rows) else best
    assert best is not None, "there is at least one attempt"
    return b"", best


def _reason(error: Exception) -> str:
    return error.fix or _words(error) if isinstance(error, RopewalkError) and error.kind == "missing" else str(error)


def libraries() -> dict[str, str]:
    """Return the versions of the libraries that models are made with, as far as they are here."""
    found: dict[str, str] = {}
    for name in LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
