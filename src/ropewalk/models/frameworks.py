"""Models of other frameworks, brought to `predict`: TorchScript, exported programs, SavedModel, pyfunc.

Each is one file of the manifest. Loading runs the framework's own reader: call it confined, as for every native part.
"""

from __future__ import annotations

import io
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from ropewalk.errors import Invalid, Missing, Refused
from ropewalk.models import folders
from ropewalk.models.manifest import EXPORTED, PYFUNC, SAVEDMODEL, TORCHSCRIPT, Class

FOLDERS = frozenset({SAVEDMODEL, PYFUNC})
FLAVORS = {TORCHSCRIPT: "torch", EXPORTED: "torch", SAVEDMODEL: "tensorflow", PYFUNC: "pyfunc"}
_NEEDS = {
    "torch": ("PyTorch", "pip install torch --index-url https://download.pytorch.org/whl/cpu"),
    "tensorflow": ("TensorFlow", "pip install tensorflow-cpu"),
    "pyfunc": ("MLflow", "pip install mlflow"),
}
_MATRIX, _SURE = 2, 1e-3


class Framework:
    """A model that answers numbers for rows, as an estimator would: by `predict`, and `predict_proba` with classes.

    Args:
        part: one of `FRAMEWORK_PARTS`.
        data: the file's bytes.
        ask: gives the raw numbers of a frame.
        frame: `numpy` or `pandas`: what `ask` takes.
        classes: labels in the order of the numbers; empty for a regression.
        inner: the framework's own object, for conversions.
    """

    def __init__(
        self,
        part: str,
        data: bytes,
        ask: Callable[[Any], Any],
        *,
        frame: str,
        classes: Sequence[Class],
        inner: Any,  # noqa: ANN401
    ) -> None:
        self.part, self.data, self.frame_, self.inner = part, data, frame, inner
        self._ask = ask
        if classes:
            import numpy as np

            self.classes_ = np.array(classes)

    def predict(self, rows: Any) -> Any:  # noqa: ANN401 - arrays of numpy
        """Return one number a row, or the label of the largest probability."""
        if not hasattr(self, "classes_"):
            return matrix(self._ask(rows))[:, 0].astype("float64")
        return self.classes_[self.predict_proba(rows).argmax(axis=1)]

    def predict_proba(self, rows: Any) -> Any:  # noqa: ANN401
        """Return a probability for each class.

        Raises:
            Invalid: the answers are neither probabilities nor labels.
        """
        import numpy as np

        found = np.asarray(self._ask(rows))
        known = [str(one) for one in self.classes_.tolist()]
        if found.dtype.kind in "OUS" or (found.ndim == 1 and found.dtype.kind in "iub"):
            return _certain(found.reshape(-1), known)
        found = matrix(found).astype("float64")
        if found.shape[1] == 1 and len(known) == 2:  # noqa: PLR2004 - one number of a binary model
            found = np.hstack([1 - found, found])
        if found.shape[1] != len(known) or found.min() < -_SURE or abs(found.sum(axis=1) - 1).max() > _SURE:
            raise Invalid(
                "model-without-probability",
                "The classifier gives no probabilities.",
                why=f"{found.shape[1]} numbers a row for {len(known)} classes, not from 0 to 1 with the sum 1",
                fix="end the network with a softmax, or with a sigmoid for two classes",
            )
        return found


def matrix(found: Any) -> Any:  # noqa: ANN401 - an array of numpy
    """Return numbers as rows and columns.

    Raises:
        Invalid: they are neither a number nor a row of numbers for each row.
    """
    import numpy as np

    numbers = np.asarray(found)
    if numbers.ndim == 1:
        return numbers.reshape(-1, 1)
    if numbers.ndim != _MATRIX:
        raise Invalid("model-unknown", "The model answers no numbers a row.", why=f"the shape is {numbers.shape}")
    return numbers


def _certain(labels: Any, known: list[str]) -> Any:  # noqa: ANN401
    """Return labels as probabilities of 0 and 1: the model says nothing finer."""
    import numpy as np

    places = {name: place for place, name in enumerate(known)}
    found = np.zeros((len(labels), len(known)))
    for row, label in enumerate(labels.tolist()):
        place = places.get(str(label))
        if place is None:
            raise Invalid(
                "model-unknown", "The model answers a label that is none of its classes.", why=repr(label)[:80]
            )
        found[row, place] = 1.0
    return found


def read(part: str, data: bytes, classes: Sequence[Class], folder: Path | None = None) -> Framework:
    """Return the model of a part.

    Args:
        part: one of `FRAMEWORK_PARTS`.
        data: its bytes, verified and looked through.
        classes: of the labels; empty for a regression.
        folder: where the part was laid out, for `FOLDERS`.

    Raises:
        Missing: the framework is not installed.
        Refused: its reader does not take the file.
    """
    needs, fix = _NEEDS[FLAVORS[part]]
    reader = {TORCHSCRIPT: _script, EXPORTED: _exported, SAVEDMODEL: _saved, PYFUNC: _pyfunc}[part]
    try:
        inner, ask = reader(folder if part in FOLDERS else io.BytesIO(data))
    except ModuleNotFoundError as error:
        raise Missing(
            "extra-not-installed", f"The model needs {needs}.", where=part, why=str(error), fix=fix
        ) from error
    except (Missing, Refused, MemoryError):
        raise
    except Exception as error:  # frameworks raise what they like at a file that is none of theirs
        words = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
        raise Refused(
            "model-not-trusted", f"{needs} does not read the model file.", where=part, why=words, fix="save it again"
        ) from error
    frame = "pandas" if part == PYFUNC else "numpy"
    return Framework(part, data, ask, frame=frame, classes=classes, inner=inner)


def _tensors(module: Any) -> Callable[[Any], Any]:  # noqa: ANN401
    torch: Any = import_module("torch")

    def ask(rows: Any) -> Any:  # noqa: ANN401
        with torch.no_grad():
            return module(torch.from_numpy(rows.astype("float32"))).cpu().numpy()

    return ask


def _script(data: Any) -> tuple[Any, Callable[[Any], Any]]:  # noqa: ANN401
    torch: Any = import_module("torch")
    torch.set_num_threads(1)
    module = torch.jit.load(data, map_location="cpu").eval()
    return module, _tensors(module)


def _exported(data: Any) -> tuple[Any, Callable[[Any], Any]]:  # noqa: ANN401
    torch: Any = import_module("torch")
    torch.set_num_threads(1)
    module = import_module("torch.export").load(data).module()
    return module, _tensors(module)


def _saved(folder: Any) -> tuple[Any, Callable[[Any], Any]]:  # noqa: ANN401
    tf: Any = import_module("tensorflow")
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    loaded = tf.saved_model.load(str(folder))
    serve = loaded.signatures["serving_default"]
    names = list(serve.structured_input_signature[1])
    counts = len(names), len(serve.structured_outputs)
    if counts != (1, 1):
        raise Refused(
            "model-not-trusted",
            "The SavedModel has no signature of one matrix in and one out.",
            where="serving_default",
            why=f"{counts[0]} inputs, {counts[1]} outputs",
            fix="model.export(FOLDER), with one input",
        )
    kind = serve.structured_input_signature[1][names[0]].dtype
    out = next(iter(serve.structured_outputs))

    def ask(rows: Any) -> Any:  # noqa: ANN401
        return serve(**{names[0]: tf.constant(rows, dtype=kind)})[out].numpy()

    # A function of TensorFlow holds its model by a weak reference.
    return (loaded, serve), ask


def _pyfunc(folder: Any) -> tuple[Any, Callable[[Any], Any]]:  # noqa: ANN401
    pyfunc: Any = import_module("mlflow.pyfunc")
    model = pyfunc.load_model(str(folder))

    def ask(rows: Any) -> Any:  # noqa: ANN401
        found = model.predict(rows)
        return found.to_numpy() if hasattr(found, "to_numpy") else found

    return model, ask


def saved(model: Any) -> tuple[str, bytes]:  # noqa: ANN401 - an object of a framework
    """Return the part and bytes of a framework's own object; an empty part where it is of none that we know."""
    module = type(model).__module__.partition(".")[0]
    torch: Any = sys.modules.get("torch")
    if torch is not None and isinstance(model, torch.jit.ScriptModule):
        out = io.BytesIO()
        torch.jit.save(model, out)
        return TORCHSCRIPT, out.getvalue()
    if torch is not None and isinstance(model, torch.export.ExportedProgram):
        out = io.BytesIO()
        torch.export.save(model, out)
        return EXPORTED, out.getvalue()
    if module == "keras":
        with tempfile.TemporaryDirectory(prefix="ropewalk-") as folder:
            model.export(f"{folder}/model", verbose=False)
            return SAVEDMODEL, folders.pack(Path(folder) / "model")
    if torch is not None and isinstance(model, torch.nn.Module):
        raise Invalid(
            "model-unknown", "A module of torch is kept as TorchScript or as an exported program.",
            why=f"{type(model).__name__} is code and weights", fix="log_model(torch.jit.script(model), ...)",
        )  # fmt: skip
    return "", b""


def wrapped(model: Any, train: Any, target: str) -> Any:  # noqa: ANN401
    """Return a framework's object as one with `predict`; any other as it is.

    Whether the numbers are probabilities is told by the labels: words, booleans or few whole numbers are classes.

    Raises:
        Invalid: a module of torch that is neither scripted nor exported.
        Refused: it does not come back from its file.
    """
    part, data = saved(model)
    return read(part, data, classes_of(train[target].to_list()), _laid(part, data)) if part else model


def _laid(part: str, data: bytes) -> Path | None:
    return folders.laid_out(data) if part in FOLDERS else None


CLASSES_MAX = 100


def classes_of(labels: Sequence[Any]) -> tuple[Class, ...]:
    """Return the classes that labels are of, sorted; none where they are numbers to be predicted."""
    found = {getattr(one, "item", lambda one=one: one)() for one in labels if one is not None}
    whole = all(isinstance(one, bool | int | str) for one in found)
    if not found or not whole or len(found) > CLASSES_MAX:
        return ()
    if all(isinstance(one, int) for one in found) and sorted(found) != list(range(len(found))):
        return ()
    return tuple(sorted(found))
