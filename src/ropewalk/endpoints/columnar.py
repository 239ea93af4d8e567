"""A request of many rows held against the contract column by column, by the interpreter's own loops and not by ours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf, isfinite
from operator import itemgetter
from typing import Any

from ropewalk.data.contract import Column, Contract, parse_time
from ropewalk.data.rows import WHOLE_MAX, WHOLE_MIN, instant
from ropewalk.models.manifest import Field

# Below this a row is looked at in less time than its columns.
ROWS_MIN = 8
Columns = dict[str, list[Any]]
Columnar = Callable[[list[dict[str, Any]]], Columns | None]
Test = Callable[[list[Any]], bool]
_NOTHING = type(None)


def compiled(contract: Contract, inputs: Sequence[Field]) -> Columnar | None:
    """Return a function that makes a model's columns of rows that are fine in every way, and nothing of others.

    Where it returns None the rows have to be looked at one by one, which says what is wrong with them, if anything.
    There is no such function for a contract with rules between columns, or one that does not name every column of
    the model.

    Args:
        contract: what a row must be.
        inputs: the model's columns, in its order.
    """
    names = tuple(column.name for column in contract.inputs)
    fields = tuple(field.name for field in inputs)
    if contract.rules or len(names) < 2 or not set(fields) <= set(names):  # noqa: PLR2004 - `itemgetter` of one is no row
        return None
    get, exact = itemgetter(*names), len(names) if contract.closed else 0
    tests = tuple((column.name, _test(column)) for column in contract.inputs)
    floats = tuple(field.name for field in inputs if field.type == "float")

    def columns(rows: list[dict[str, Any]]) -> Columns | None:
        if exact and set(map(len, rows)) != {exact}:
            return None
        try:
            found = dict(zip(names, map(list, zip(*map(get, rows), strict=True)), strict=True))
            if not all(test(found[name]) for name, test in tests):
                return None
        except (KeyError, OverflowError):
            return None
        for name in floats:
            found[name] = as_floats(found[name])
        return {name: found[name] for name in fields}

    return columns


def as_floats(values: list[Any]) -> list[Any]:
    """Return numbers as floats; None stays."""
    if set(map(type, values)) <= {float, _NOTHING}:
        return values
    return [value if value is None else float(value) for value in values]


def _test(column: Column) -> Test:
    """Return a function that says whether a column of values is fine without a doubt."""
    of = {"int": _whole, "float": _number, "bool": _flag, "string": _text, "datetime": _time}[column.type](column)
    if not column.nullable:
        return of

    def test(values: list[Any]) -> bool:
        there = [value for value in values if value is not None] if None in values else values
        return not there or of(there)

    return test


def _bounds(column: Column) -> tuple[float, float]:
    low, high = (parse_time(column.name, one) if isinstance(one, str) else one for one in (column.min, column.max))
    return -inf if low is None else low, inf if high is None else high


def _whole(column: Column) -> Test:
    low, high = _bounds(column)
    low, high = max(low, WHOLE_MIN), min(high, WHOLE_MAX)
    return lambda values: set(map(type, values)) == {int} and low <= min(values) and max(values) <= high


def _number(column: Column) -> Test:
    low, high = _bounds(column)

    def test(values: list[Any]) -> bool:
        kinds = set(map(type, values))
        if not kinds <= {float, int}:
            return False
        # A sum is finite only where every value is, so that least and greatest mean something.
        total = sum(values) if kinds == {float} else sum(map(float, values))
        return isfinite(total) and low <= min(values) and max(values) <= high

    return test


def _flag(_column: Column) -> Test:
    return lambda values: set(map(type, values)) == {bool}


def _text(column: Column) -> Test:
    if column.categories is not None:
        known = frozenset(column.categories)
        return lambda values: set(map(type, values)) == {str} and known.issuperset(values)
    return lambda values: set(map(type, values)) == {str} and "".join(values).isascii()


def _time(column: Column) -> Test:
    low, high = _bounds(column)

    def test(values: list[Any]) -> bool:
        return all(at is not None and low <= at <= high for at in map(instant, values))

    return test
