"""Pieces of SQL that searches are composed of: constant texts, with every value bound to a name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ropewalk.runs.grammar import LISTS, NUMBERS, Clause
from ropewalk.store.database import Value

HEAD_LETTERS = 160  # of a parameter or tag, that the indexes hold
JOINS_MAX = 8
_HUGE = 1 << 53


class Bound:
    """Gathers the values of a statement and gives each a name.

    Args:
        comparisons: how many the statement will make.
    """

    def __init__(self, comparisons: int = 0) -> None:
        self.values: dict[str, Value] = {}
        self.apart = ""
        self.width = 0  # of its regular expressions
        self.expect(comparisons)

    def expect(self, comparisons: int) -> None:
        """Prepare for a number of comparisons."""
        # PostgreSQL makes a join of each `exists` and plans a hundred of them for seconds; with a limit it asks by row.
        self.apart = " limit 1 offset 0" if comparisons > JOINS_MAX else ""

    def __call__(self, value: Value) -> str:
        """Return the placeholder of a value."""
        name = f"v{len(self.values)}"
        self.values[name] = value
        return f":{name}"

    def several(self, values: Sequence[Value]) -> str:
        """Return a list of placeholders in parentheses."""
        return f"({', '.join(self(value) for value in values)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One thing that rows are ordered by, never null.

    Attributes:
        sql: the expression.
        kind: `s` text, `i` whole number, `f` float.
        descending: whether the largest comes first.
    """

    sql: str
    kind: str
    descending: bool = False

    @property
    def order(self) -> str:
        """Its words in an `order by`."""
        return f"{self.sql} desc" if self.descending else self.sql


def compared(sql: str, clause: Clause, bound: Bound) -> str:
    """Return the comparison of an expression with a clause's value, where it has one."""
    value, op = clause.value, clause.op
    if op in LISTS:
        assert isinstance(value, tuple), "a list is compared with a tuple"
        return f"{sql} {'in' if op == 'IN' else 'not in'} {bound.several(value)}"
    assert not isinstance(value, tuple), "one value is compared"
    if op == "LIKE":
        return f"{sql} like {bound(_pattern(value))} escape '\\'"
    if op == "ILIKE":
        return f"lower({sql}) like lower({bound(_pattern(value))}) escape '\\'"
    return f"{sql} {'<>' if op == '!=' else op} {bound(value)}"


def _pattern(value: Value) -> str:
    """Return a pattern in which a backslash means itself, as it does in MLflow's."""
    return str(value).replace("\\", "\\\\")


def millis(sql: str, clause: Clause, bound: Bound) -> str:
    """Return the comparison of microseconds with a clause that speaks of whole milliseconds."""
    assert clause.op in NUMBERS, "times are compared as numbers"
    value = float(str(clause.value)) if isinstance(clause.value, float) else int(str(clause.value))
    value = max(-_HUGE, min(_HUGE, value))
    low, high = math.ceil(value) * 1000, (math.floor(value) + 1) * 1000
    if clause.op in ("<", ">="):
        return f"{sql} {clause.op} {bound(low)}"
    if clause.op in ("<=", ">"):
        return f"{sql} {'<' if clause.op == '<=' else '>='} {bound(high)}"
    if low >= high:  # no whole millisecond is a fraction
        return "1 = 0" if clause.op == "=" else f"{sql} is not null"
    if clause.op == "=":
        return f"({sql} >= {bound(low)} and {sql} < {bound(high)})"
    return f"({sql} < {bound(low)} or {sql} >= {bound(high)})"


def beyond(keys: Sequence[Key], position: Sequence[str | int | float], bound: Bound) -> str:
    """Return the condition that a row comes after a position, in the order of the keys."""
    assert len(keys) == len(position), "a position has a value for each key"
    ways: list[str] = []
    same = ""
    for key, value in zip(keys, position, strict=True):
        name = bound(value)
        ways.append(f"({same}{key.sql} {'<' if key.descending else '>'} {name})")
        same += f"{key.sql} = {name} and "
    # What every such row also fulfils, said plainly so that an index can be entered there.
    first = keys[0]
    return f"{first.sql} {'<=' if first.descending else '>='} {bound(position[0])} and ({' or '.join(ways)})"
