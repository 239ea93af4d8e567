"""What `train_test_split` held back, so that a model can be measured on rows that it has not seen."""

from __future__ import annotations

import functools
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.witness.notes import Notes
from ropewalk.witness.sampling import as_table, is_table, library, places, rows_of, take

SPLITS_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One of the tables that were split.

    Attributes:
        train: the part that was given out for training; a weak reference.
        rows: how many rows that has.
        held: rows of the other part.
    """

    train: Any
    rows: int
    held: Any


class Splits:
    """Remembers the last splits.

    Args:
        notes: where it is said when one cannot be remembered.
    """

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._known: list[list[Part]] = []

    def watch(self, module: Any) -> None:  # noqa: ANN401 - a module
        """Wrap the function in the module that defines it, before the package hands it out."""
        original = module.train_test_split

        @functools.wraps(original)
        def train_test_split(*tables: Any, **options: Any) -> Any:  # noqa: ANN401 - scikit-learn's own signature
            found = original(*tables, **options)
            try:
                self._keep(found)
            except Exception as error:  # noqa: BLE001 - a kind of table that we do not know has no holdout
                self._notes.trouble("train_test_split", error)
            return found

        module.train_test_split = train_test_split

    def _keep(self, found: Sequence[Any]) -> None:
        parts: list[Part] = []
        for train, held in zip(found[::2], found[1::2], strict=True):
            table = as_table(held)
            chosen = places(table) if is_table(table) else []
            if not parts and not chosen:
                return
            rows = chosen if chosen or not parts else self._places(found)
            parts.append(Part(train=_weak(train), rows=rows_of(train), held=take(table, rows)))
        self._known = [*self._known[1 - SPLITS_MAX :], parts]

    @staticmethod
    def _places(found: Sequence[Any]) -> list[int]:
        """Return the rows that were kept of the first table, for a column that was split beside it."""
        return places(as_table(found[1]))

    def held_for(self, x: Any, y: Any) -> tuple[Any, Any] | None:  # noqa: ANN401
        """Return inputs and targets that were held back where a model was fitted on `x` and `y`; None if unknown."""
        for parts in reversed(self._known):
            for place, part in enumerate(parts):
                if part.train() is x:
                    other = next((one for one in parts if one.train() is y), None)
                    if other is None and len(parts) == 2:  # noqa: PLR2004 - inputs and targets, the latter reshaped
                        other = parts[1 - place]
                    return None if other is None or other is part else (part.held, other.held)
                held = _columns_of(part, x, y)
                if held is not None:
                    return held
        return None


def _columns_of(part: Part, x: Any, y: Any) -> tuple[Any, Any] | None:  # noqa: ANN401
    """Return the held columns where `x` and `y` are columns of a pandas table that was split whole."""
    train = part.train()
    if library(x) != "pandas" or library(train) != "pandas" or not hasattr(x, "columns"):
        return None
    name = getattr(y, "name", None)
    names = list(part.held.columns)
    if name in names and set(x.columns) <= set(names) and len(x) == part.rows and x.index.equals(train.index):
        return part.held[list(x.columns)], part.held[name]
    return None


def _weak(table: Any) -> Any:  # noqa: ANN401
    try:
        return weakref.ref(table)
    except TypeError:  # a list
        return lambda: None
