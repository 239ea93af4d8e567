"""Sees a torch module being trained, its first batches and its loss, and writes it as ONNX when the script ends."""

from __future__ import annotations

import copy
import functools
import json
import os
import sys
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from ropewalk.witness.imports import Watch
from ropewalk.witness.notes import Notes, said

ROWS_MAX = 512
CALLS_MAX = 64
_MATRIX = 2
# What the loss tells of the output: which numbers it is made of, and so what has to be done to them for an answer.
LOSSES = {
    "cross_entropy": "logits",
    "nll_loss": "logarithms",
    "binary_cross_entropy_with_logits": "logit",
    "binary_cross_entropy": "probability",
    "mse_loss": "number",
    "l1_loss": "number",
    "smooth_l1_loss": "number",
    "huber_loss": "number",
}
TASKS = {"logits": "multiclass", "logarithms": "multiclass", "logit": "binary", "probability": "binary"}


class Networks:
    """Remembers the modules that a script calls, with a sample of what it gave them.

    Args:
        notes: who gives numbers, where troubles go.
    """

    def __init__(self, notes: Notes) -> None:
        self.last: Any = None
        self.order = 0
        self.loss = ""
        self._notes = notes
        self._batches: list[tuple[Any, Any]] = []
        self._odd = ""
        self._input: Any = None
        self._parts: set[int] = set()
        self._calls = 0
        self._undo: list[Any] = []

    def watch(self, imports: Watch) -> None:
        """Listen once torch is there, and for as long as a sample takes."""
        imports.after("torch.nn.modules.module", self._modules)
        imports.after("torch.nn.functional", self._losses)

    def _modules(self, module: ModuleType) -> None:
        handle = module.register_module_forward_pre_hook(self._called)
        self._undo.append(handle.remove)

    def _losses(self, module: ModuleType) -> None:
        for name in LOSSES:
            original = getattr(module, name)
            setattr(module, name, self._loss(name, original))
            self._undo.append(functools.partial(setattr, module, name, original))

    def _loss(self, name: str, original: Any) -> Any:  # noqa: ANN401
        @functools.wraps(original)
        def loss(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - torch's own signature
            try:
                target = args[1] if len(args) > 1 else options.get("target")
                self._targets(name, target)
            except Exception as error:  # noqa: BLE001 - the training goes on
                self._notes.trouble(name, error)
            return original(*args, **options)

        return loss

    def _targets(self, name: str, target: Any) -> None:  # noqa: ANN401
        if not self.loss:
            self.loss = name
        batch, self._input = self._input, None
        if batch is not None and getattr(target, "shape", None) and target.shape[0] == batch.shape[0]:
            self._batches.append((batch, target.detach().cpu().clone()))
        if sum(len(one) for one, _ in self._batches) >= ROWS_MAX:
            self.stop()

    def _called(self, module: Any, inputs: Any) -> None:  # noqa: ANN401
        """Take a call (torch calls this before each module's own forward)."""
        try:
            self._take(module, inputs)
        except Exception as error:  # noqa: BLE001 - the training goes on
            self._notes.trouble("torch", error)

    def _take(self, module: Any, inputs: Any) -> None:  # noqa: ANN401
        if id(module) in self._parts or type(module).__module__ == "torch.nn.modules.loss":
            return
        if module is not self.last:
            self.last, self._batches, self._odd = module, [], ""
            self._parts = {id(part) for part in module.modules()} - {id(module)}
        self.order = self._notes.order()
        self._calls += 1
        given = inputs[0] if len(inputs) == 1 else None
        shape = tuple(getattr(given, "shape", ()))
        if given is None or len(shape) != _MATRIX or not given.is_floating_point():
            self._odd = f"it takes {_shown(inputs)}, not rows of columns"
        else:
            self._input = given.detach().cpu().clone()
        if self._calls >= CALLS_MAX:
            self.stop()

    def stop(self) -> None:
        """Listen no more, so that the rest of the training costs nothing."""
        undo, self._undo = self._undo, []
        for each in undo:
            each()

    def write(self, path: str) -> dict[str, Any]:
        """Write the last module as ONNX, with its sample and its answers to it beside it as JSON.

        Args:
            path: without an ending; `.onnx` and `.json` are added.

        Returns:
            `kind`, and `why` where it could not be written.
        """
        self.stop()
        found: dict[str, Any] = {"kind": type(self.last).__name__, "loss": self.loss}
        if self._odd or not self._batches:
            return {**found, "why": self._odd or "no loss was seen that tells what its output means"}
        try:
            _write(self.last, LOSSES[self.loss], self._batches, path)
        except Exception as error:  # noqa: BLE001 - converters raise what they like; any of it means that there is no ONNX form
            return {**found, "why": f"it does not convert to ONNX: {said(error)}"}
        return {**found, "sample": os.path.basename(f"{path}.json")}


def _shown(inputs: Any) -> str:  # noqa: ANN401
    shapes = [f"{list(one.shape)}" if hasattr(one, "shape") else type(one).__name__ for one in inputs]
    return f"inputs of shape {', '.join(shapes)}" if shapes else "no inputs by position"


def _write(module: Any, form: str, batches: list[tuple[Any, Any]], path: str) -> None:  # noqa: ANN401
    torch: Any = sys.modules["torch"]
    rows = torch.cat([batch.float() for batch, _ in batches])[:ROWS_MAX]
    targets = torch.cat([target.reshape(len(target), -1) for _, target in batches])[:ROWS_MAX]
    if targets.shape[1] != 1:
        raise ValueError(f"it predicts {targets.shape[1]} numbers a row")
    answers = _answering(torch, copy.deepcopy(module).cpu().eval(), form)
    with torch.no_grad():
        given = answers(rows)
    named = {"number": ["prediction"]}.get(form, ["label", "probabilities"])
    given: Any = (given,) if form == "number" else given
    axes = {name: {0: "rows"} for name in ("X", *named)}
    with _whole_without_onnx(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of how torch will write ONNX some day
        torch.onnx.export(
            answers, (rows[:2],), f"{path}.onnx", input_names=["X"], output_names=named, dynamic_axes=axes, dynamo=False
        )
    task = TASKS.get(form, "regression")
    classes = list(range(given[1].shape[1])) if task != "regression" else []
    facts = {
        "task": "binary" if len(classes) == _MATRIX else task,
        "classes": classes,
        "x": rows.tolist(),
        "y": targets.reshape(-1).tolist(),
        "answers": {name: value.tolist() for name, value in zip(named, given, strict=True)},
    }
    with open(f"{path}.json", "w", encoding="utf-8") as file:
        json.dump(facts, file)


def _as_it_is(model: bytes, _functions: object) -> bytes:
    return model


@contextmanager
def _whole_without_onnx() -> Generator[None]:
    """Let torch write ONNX where the package `onnx` is absent: it looks there for functions that we do not use."""
    if find_spec("onnx") is not None:
        yield
        return
    home: Any = import_module("torch.onnx._internal.torchscript_exporter.onnx_proto_utils")
    before = home._add_onnxscript_fn  # noqa: SLF001 - torch has no other way
    home._add_onnxscript_fn = _as_it_is  # noqa: SLF001
    try:
        yield
    finally:
        home._add_onnxscript_fn = before  # noqa: SLF001


def _answering(torch: Any, inner: Any, form: str) -> Any:  # noqa: ANN401
    """Return the module with what turns its output into labels and probabilities, or into one number a row."""
    base: Any = torch.nn.Module

    class Answers(base):
        def __init__(self) -> None:
            base.__init__(self)
            self.inner = inner

        def forward(self, rows: Any) -> Any:  # noqa: ANN401
            out = self.inner(rows)
            if form == "number":
                if out.dim() > 1 and out.shape[1] != 1:
                    raise ValueError(f"it answers {out.shape[1]} numbers a row")
                return out.reshape(-1, 1)
            if form in ("logits", "logarithms"):
                chances = torch.softmax(out, 1) if form == "logits" else torch.exp(out)
            else:
                one = (torch.sigmoid(out) if form == "logit" else out).reshape(-1, 1)
                chances = torch.cat([1 - one, one], 1)
            return torch.argmax(chances, 1), chances

    return Answers().eval()
