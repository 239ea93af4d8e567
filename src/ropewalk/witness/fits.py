"""Sees every `fit` that a script calls on an estimator: which object, on which rows, with what held back."""

from __future__ import annotations

import functools
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, ModuleType
from typing import Any

from ropewalk.witness.notes import Notes
from ropewalk.witness.sampling import as_table, is_table, places, rows_of, take
from ropewalk.witness.splits import Splits

FITS_MAX = 8
# Code that calls `fit` on a script's behalf, with copies of its model or with parts of it.
_LIBRARIES = frozenset(
    {"sklearn", "imblearn", "xgboost", "lightgbm", "catboost", "mlxtend", "joblib", "dask", "skopt", "tune_sklearn"}
)
_BETWEEN = frozenset({"mlflow", "contextlib", "functools", __name__.partition(".")[0]})
_METHODS = ("fit", "partial_fit")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """One fit that a script called itself.

    Attributes:
        model: the estimator; a weak reference.
        order: what came after what.
        rows: how many rows it was given.
        x: a sample of them; None where they are no table.
        y: the targets of the sample; None for none.
        held: inputs and targets that were held back; None for none.
        odd: why the rows cannot be a contract; empty when they can.
    """

    model: Any
    order: int
    rows: int
    x: Any
    y: Any
    held: tuple[Any, Any] | None
    odd: str


class Fits:
    """Remembers the last fits.

    Args:
        notes: where troubles go, and who gives numbers.
        splits: what was held back.
    """

    def __init__(self, notes: Notes, splits: Splits) -> None:
        self.fits: list[Fit] = []
        self.transformers: dict[str, None] = {}
        self.whole: Any = None
        self.last: Any = None
        self._notes = notes
        self._splits = splits
        self._here = threading.local()
        self._sampled: tuple[Any, Any, Fit] | None = None

    def watch(self, module: ModuleType) -> None:
        """Wrap the fits of every class that will be derived from scikit-learn's `BaseEstimator`."""
        base: Any = module.BaseEstimator
        before = base.__init_subclass__

        def init_subclass(cls: type, **options: Any) -> None:  # noqa: ANN401 - a class statement's own
            before.__func__(cls, **options)
            for name in _METHODS:
                if name in cls.__dict__:
                    setattr(cls, name, self._wrapped(cls.__dict__[name]))

        base.__init_subclass__ = classmethod(init_subclass)

    def _wrapped(self, original: Any) -> Any:  # noqa: ANN401
        if not callable(original) or isinstance(original, type):
            return original

        @functools.wraps(original)
        def fit(model: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401 - the estimator's own signature
            if getattr(self._here, "inside", False) or not of_script(_caller(2)):
                return original(model, *args, **options)
            self._here.inside = True
            try:
                found = original(model, *args, **options)
            finally:
                self._here.inside = False
            try:
                self._note(model, args, options)
            except Exception as error:  # noqa: BLE001 - what we cannot describe is trained all the same
                self._notes.trouble(f"fit of {type(model).__name__}", error)
            return found

        return fit

    def _note(self, model: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:  # noqa: ANN401
        x = args[0] if args else options.get("X")
        y = args[1] if len(args) > 1 else options.get("y")
        if not hasattr(model, "predict"):
            self.transformers.setdefault(type(model).__name__)
            return
        order = self._notes.order()
        fit = self._fit(x, y, order, _weak(model))
        self.fits = [*self.fits[1 - FITS_MAX :], fit]
        self.last = model
        if is_whole(model):
            self.whole = model

    def _fit(self, x: Any, y: Any, order: int, model: Any) -> Fit:  # noqa: ANN401
        """Describe the rows; those of the fit before are not looked at twice."""
        if self._sampled is not None and self._sampled[0]() is x and self._sampled[1]() is y:
            seen = self._sampled[2]
            return Fit(model=model, order=order, rows=seen.rows, x=seen.x, y=seen.y, held=seen.held, odd=seen.odd)
        fit = self._described(x, y, order, model)
        if x is not None and y is not None:
            self._sampled = (_weak(x), _weak(y), fit)
        return fit

    def _described(self, x: Any, y: Any, order: int, model: Any) -> Fit:  # noqa: ANN401
        whole = as_table(x)
        if not is_table(whole):
            odd = f"it was fitted on {_called(x)}, not on a table of columns"
            return Fit(model=model, order=order, rows=rows_of(x), x=None, y=None, held=None, odd=odd)
        if y is None:
            odd = "it was fitted without a target, so there is nothing that it predicts"
            return Fit(model=model, order=order, rows=rows_of(x), x=None, y=None, held=None, odd=odd)
        chosen = places(whole)
        return Fit(
            model=model,
            order=order,
            rows=rows_of(whole),
            x=take(whole, chosen),
            y=take(y, chosen),
            held=self._splits.held_for(x, y),
            odd="",
        )


def _caller(depth: int) -> FrameType:
    """Return the frame of who called, so many calls up."""
    look: Callable[[int], FrameType] = getattr(sys, "_getframe")  # noqa: B009 - CPython's own, named with care
    return look(depth)


def of_script(frame: FrameType | None) -> bool:
    """Say whether a call comes from the script's own code, not from a library that works on its model."""
    while frame is not None:
        top = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if top not in _BETWEEN:
            return top not in _LIBRARIES
        frame = frame.f_back
    return True


def is_whole(model: object) -> bool:
    """Say whether a model is a pipeline, or a search that has found its best."""
    return any(one.__name__ == "Pipeline" for one in type(model).__mro__) or hasattr(model, "best_estimator_")


def _called(x: object) -> str:
    kind = type(x).__name__
    return f"a {kind} of {type(x).__module__.partition('.')[0]}" if type(x).__module__ != "builtins" else f"a {kind}"


def _weak(thing: Any) -> Callable[[], Any]:  # noqa: ANN401
    try:
        return weakref.ref(thing)
    except TypeError:
        return lambda: None
