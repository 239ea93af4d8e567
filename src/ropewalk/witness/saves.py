"""Sees models that a script writes to files, by the functions that are known for it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, cast

from ropewalk.witness.files import Files
from ropewalk.witness.imports import Watch
from ropewalk.witness.notes import Notes

SAVES_MAX = 50
MODELS_HELD_MAX = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Save:
    """One model that was written.

    Attributes:
        form: by which library's function.
        path: the file.
        model: the object; None where it is only text or bytes.
        order: what came after what.
    """

    form: str
    path: str
    model: Any
    order: int


class Saves:
    """Remembers which model went to which file.

    Args:
        notes: who gives numbers, where troubles go.
        files: told of files that are written behind Python's back.
    """

    def __init__(self, notes: Notes, files: Files) -> None:
        self.saves: list[Save] = []
        self._notes = notes
        self._files = files

    def watch(self, imports: Watch) -> None:
        """Wrap the known functions once their modules are there."""
        functions = {"joblib": "dump", "pickle": "dump", "cloudpickle": "dump", "dill": "dump", "skops.io": "dump"}
        functions |= {"torch": "save", "onnx": "save_model"}
        for module, name in functions.items():
            imports.after(module, functools.partial(self._function, name, module))
        imports.after("xgboost.core", functools.partial(self._method, "Booster", "xgboost"))
        imports.after("xgboost.sklearn", functools.partial(self._method, "XGBModel", "xgboost"))
        imports.after("lightgbm.basic", functools.partial(self._method, "Booster", "lightgbm"))

    def _function(self, name: str, form: str, module: ModuleType) -> None:
        original = getattr(module, name)
        setattr(module, name, self._wrapped(original, form, lambda args: (args[0], args[1])))
        if name == "save_model" and getattr(module, "save", None) is original:
            module.save = getattr(module, name)  # type: ignore[attr-defined]

    def _method(self, owner: str, form: str, module: ModuleType) -> None:
        kind = getattr(module, owner)
        kind.save_model = self._wrapped(kind.save_model, form, lambda args: (args[0], args[1]))

    def _wrapped(self, original: Any, form: str, pick: Callable[[tuple[Any, ...]], tuple[Any, Any]]) -> Any:  # noqa: ANN401
        @functools.wraps(original)
        def save(*args: Any, **options: Any) -> Any:  # noqa: ANN401 - the library's own signature
            found = original(*args, **options)
            try:
                given = (*args, *options.values())
                if len(given) > 1:
                    self._note(form, *pick(given))
            except Exception as error:  # noqa: BLE001 - it was written; that we do not know where is no error
                self._notes.trouble(f"save by {form}", error)
            return found

        return save

    def _note(self, form: str, model: Any, target: Any) -> None:  # noqa: ANN401
        path: Any = getattr(target, "name", target)
        if isinstance(path, int) or not _is_model(model):
            return
        whole = os.path.realpath(os.fsdecode(path))
        self._files.wrote(whole)
        saved = Save(form=form, path=whole, model=model, order=self._notes.order())
        self.saves = [*self.saves[1 - SAVES_MAX :], saved]
        for place, one in enumerate(self.saves[:-MODELS_HELD_MAX]):  # a checkpoint an epoch shall not fill the memory
            self.saves[place] = replace(one, model=None)


def _is_model(thing: object) -> bool:
    """Say whether something may be a model: it predicts, or it is a network or its weights."""
    kind = type(thing)
    if kind.__module__.partition(".")[0] in ("onnx", "torch") or hasattr(thing, "predict"):
        return True
    if any(one.__module__.startswith("torch.nn") for one in kind.__mro__):
        return True
    return isinstance(thing, dict) and any(
        type(one).__module__.startswith("torch") for one in cast("dict[Any, Any]", thing).values()
    )
