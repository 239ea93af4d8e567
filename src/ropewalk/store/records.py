"""Rows as records: columns are given to a record's fields by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from ropewalk.store.database import Row

T = TypeVar("T")


def maker(record: type[T]) -> Callable[[Row], T]:
    """Return what makes a record of a row: its own `from_row` where it has one."""
    from_row = getattr(record, "from_row", None)
    if from_row is not None:
        return cast("Callable[[Row], T]", from_row)
    return lambda row: cast("Any", record)(**row)
