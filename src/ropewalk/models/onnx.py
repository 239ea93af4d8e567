"""The engine that asks ONNX Runtime with one thread, and the conversion that makes its file."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import Any, cast

from ropewalk.errors import Invalid, missing_extra
from ropewalk.models.boosted import OPSETS, boosted_in, nameless, teach
from ropewalk.models.signature import Shape

Columns = Mapping[str, Sequence[object]]
MATRIX = "X"
HAIR = 1e-6
NUMBERS = ("int64", "float32", "float64")
"""How numbers go in: whole ones as int64 and others as float32, or all of them as float32, or as float64."""
_KINDS = {"tensor(float)": "float32", "tensor(double)": "float64", "tensor(int64)": "int64", "tensor(string)": "object"}


class NotConvertible(Exception):
    """The model has no ONNX form; the text says why."""


def convert(model: Any, shape: Shape, *, numbers: str) -> bytes:  # noqa: ANN401 - an estimator
    """Return the model as ONNX with one input per column, or the single input `X` for a model of plain arrays.

    Args:
        model: a fitted estimator.
        shape: what it takes and gives.
        numbers: one of NUMBERS: how numbers go in.

    Raises:
        NotConvertible: a column's type, or an estimator inside, has no ONNX form, or skl2onnx is not installed.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            import skl2onnx
            from skl2onnx.common import data_types
        except ImportError:
            raise NotConvertible('skl2onnx is not installed: pip install "ropewalk[onnx]"') from None
        types = cast("Any", data_types)
        real = types.DoubleTensorType if numbers == "float64" else types.FloatTensorType
        whole = types.Int64TensorType if numbers == "int64" else real
        kinds: dict[str, Any] = {"float": real, "bool": real, "int": whole, "string": types.StringTensorType}
        boosted = boosted_in(model)
        try:
            if boosted:
                teach(boosted)
                model = nameless(model)
        except ImportError:
            raise NotConvertible('onnxmltools is not installed: pip install "ropewalk[onnx]"') from None
        inputs = shape.signature.inputs
        odd = [field.name for field in inputs if field.type not in kinds]
        if odd:
            raise NotConvertible(f"no ONNX input fits the column {odd[0]!r}, a {inputs[0].type}")
        columns = [(field.name, _kind(field.type, field.nullable, kinds)([None, 1])) for field in inputs]
        matrix = [(MATRIX, real([None, len(inputs)]))]
        options: Any = None if shape.task == "regression" else {id(model): {"zipmap": False}}
        try:
            try:
                made = _converted(skl2onnx, model, matrix if shape.frame == "numpy" else columns, options, boosted)
            except Exception:
                # An estimator that no transformer stands before takes one matrix, whatever frame it was fitted on.
                if shape.frame == "numpy" or any(field.type == "string" for field in inputs):
                    raise
                made = _converted(skl2onnx, model, matrix, options, boosted)
        except Exception as error:  # converters raise what they like; any of it means that there is no ONNX form
            raise NotConvertible(f"{type(error).__name__}: {' '.join(str(error).split())[:200]}") from error
    return made.SerializeToString(deterministic=True)


def _converted(skl2onnx: Any, model: Any, columns: list[Any], options: Any, boosted: tuple[str, ...]) -> Any:  # noqa: ANN401
    with _whole_attributes():
        return skl2onnx.convert_sklearn(
            model, initial_types=columns, options=options, name="model", target_opset=OPSETS if boosted else None
        )


@contextmanager
def _whole_attributes() -> Generator[None]:
    """Let skl2onnx write 0 and 1 where it says False and True: protobuf 7 takes no booleans for whole numbers.

    Seen with skl2onnx 1.20 and boosted trees (`nodes_missing_value_tracks_true`).
    """
    module: Any = import_module("skl2onnx.common._container")
    make = module.make_node

    def make_node(*texts: object, **attributes: Any) -> Any:  # noqa: ANN401 - a protobuf of onnx
        for name, value in attributes.items():
            if isinstance(value, list):
                items = cast("list[Any]", value)
                attributes[name] = [int(item) if type(item).__name__ in ("bool", "bool_") else item for item in items]
        return make(*texts, **attributes)

    module.make_node = make_node
    try:
        yield
    finally:
        module.make_node = make


def _kind(type_: str, nullable: bool, kinds: dict[str, Any]) -> Any:  # noqa: ANN401
    """Whole numbers with gaps come as floats, because only floats can say NaN."""
    return kinds["float"] if type_ == "int" and nullable else kinds[type_]


def quiet_runtime() -> Any:  # noqa: ANN401 - the library's module
    """Return the module onnxruntime, told not to report its use to its makers: nothing leaves the machine.

    Since 1.2x it does so on Linux as well, from a thread that starts with the import; the variable must be set before.

    Raises:
        Missing: onnxruntime is not installed.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        import onnxruntime
    except ImportError:
        raise missing_extra("onnxruntime", "onnx") from None
    cast("Any", onnxruntime).disable_telemetry_events()
    return onnxruntime


def _within(chances: Any) -> Any:  # noqa: ANN401 - an array of floats
    """Return probabilities between 0 and 1 where sums of float32, such as a forest's, end a hair beyond."""
    if chances.min() >= -HAIR and chances.max() <= 1 + HAIR:
        return chances.clip(0, 1)
    return chances


def _is_matrix(names: list[str], shape: Shape) -> bool:
    """Say whether all columns go in as one matrix."""
    known = [one.name for one in shape.signature.inputs]
    if shape.frame == "numpy" and len(names) == 1:
        return names == [MATRIX] or names[0] not in known or len(known) > 1
    return names == [MATRIX] and MATRIX not in known


def _columns_of(names: list[str], shape: Shape) -> list[str]:
    """Return the column of each input: of its own name, or of its place where skl2onnx wrote `_` for other letters.

    Raises:
        Invalid: an input has the name of no column.
    """
    known = [field.name for field in shape.signature.inputs]
    if _is_matrix(names, shape) or set(names) <= set(known):
        return names
    tidy = [re.sub(r"\W", "_", name) for name in known]
    if [re.sub(r"\W", "_", name) for name in names] != tidy:
        odd = next(name for name in names if name not in known)
        raise Invalid("onnx-refused", "An input of the ONNX file is no column of the model.", where=odd)
    return known


class OnnxEngine:
    """Answers by ONNX Runtime, one thread, so that the same rows give the same bits.

    Args:
        data: the ONNX file's bytes.
        shape: what the model takes and gives.

    Raises:
        Missing: onnxruntime is not installed.
        Invalid: ONNX Runtime refuses the file.
    """

    def __init__(self, data: bytes, shape: Shape) -> None:
        onnxruntime = quiet_runtime()
        options: Any = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        options.use_deterministic_compute = True
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session: Any = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the binding's own exception classes are not public
            raise Invalid("onnx-refused", "ONNX Runtime refuses the model file.", why=str(error)[:300]) from error
        self._run = session.run
        self._shape = shape
        self._names: list[str] = [item.name for item in session.get_outputs()]
        inputs: list[Any] = session.get_inputs()
        names = [item.name for item in inputs]
        columns, self._matrix = _columns_of(names, shape), _is_matrix(names, shape)
        self._fill = [
            self._filler(item.name, column, _KINDS[item.type]) for item, column in zip(inputs, columns, strict=True)
        ]

    def _labelled(self, numbers: Any) -> tuple[Any, Any]:  # noqa: ANN401 - arrays
        """Return labels for a graph that answers probabilities alone, such as a network's."""
        import numpy as np

        if numbers.ndim == 1 or numbers.shape[1] == 1:
            numbers = np.column_stack([1 - numbers.reshape(-1), numbers.reshape(-1)])
        return np.array(self._shape.classes)[numbers.argmax(axis=1)], numbers

    def _filler(self, name: str, column: str, kind: str) -> Callable[[Columns, dict[str, Any]], None]:
        import numpy as np

        make = np.array
        dtype = np.dtype(kind)
        inputs = [field.name for field in self._shape.signature.inputs]

        def numbers(columns: Columns, feed: dict[str, Any]) -> None:
            feed[name] = make(columns[column], dtype).reshape(-1, 1)

        def texts(columns: Columns, feed: dict[str, Any]) -> None:
            values = columns[column]
            if None in values:
                values = ["" if value is None else value for value in values]
            feed[name] = make(values, dtype).reshape(-1, 1)

        def matrix(columns: Columns, feed: dict[str, Any]) -> None:
            feed[name] = make([columns[one] for one in inputs], dtype).T.copy()

        if self._matrix:
            return matrix
        return texts if kind == "object" else numbers

    def answer(self, columns: Columns, rows: int) -> dict[str, list[Any]]:  # noqa: ARG002 - the columns tell
        """Return the outputs of all rows, computed together.

        Raises:
            Invalid: a value is not of the column's type.
        """
        feed: dict[str, Any] = {}
        try:
            for fill in self._fill:
                fill(columns, feed)
            found = self._run(self._names, feed)
        except (TypeError, ValueError, OverflowError) as error:
            raise Invalid("input-type-wrong", "A value is not of the column's type.", why=str(error)[:200]) from error
        shape = self._shape
        if shape.task == "regression":
            return {"prediction": found[0].astype("float64").reshape(-1).tolist()}
        labels, chances = found if len(found) > 1 else self._labelled(found[0])
        chances = _within(chances)
        named = labels.reshape(-1).tolist()
        if isinstance(shape.classes[0], bool):
            named = [bool(label) for label in named]
        if shape.task == "binary":
            return {"probability": chances[:, 1].astype("float64").tolist(), "label": named}
        answer: dict[str, list[Any]] = {"label": named}
        for place, name in enumerate(shape.classes):
            answer[f"probability.{name}"] = chances[:, place].astype("float64").tolist()
        return answer
