"""Checking single records against a contract, as plain dictionaries, fast enough for every request."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from ropewalk.data.contract import Column, Contract, Rule, parse_time

WHOLE_MIN, WHOLE_MAX = -(1 << 63), (1 << 63) - 1
FLOAT_MAX = 1 << 1023
SHOWN_LETTERS_MAX = 60
_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
_WORDS: Mapping[str, str] = {
    "int": "a whole number of 64 bits",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "datetime": "an ISO 8601 time, such as 2013-09-01T06:00:00Z",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a record.

    Attributes:
        field: which field.
        rule: `missing`, `unknown`, `type`, `null`, `finite`, `min`, `max`, `category`, or a rule's text.
        message: what was wanted and what was found.
        strict: True for an error (refuse the record), False for a warning (answer it and say so).
    """

    field: str
    rule: str
    message: str
    strict: bool = True


Test = Callable[[object], "Problem | None"]
RowChecker = Callable[[Mapping[str, object]], tuple[Problem, ...]]


def row_checker(contract: Contract) -> RowChecker:
    """Return a function that says what is wrong with one record; made once, called for every record.

    The target is unknown to requests. A nullable field may be left out; whole numbers may stand for floats; a boolean
    is never a number; numbers beyond 64 bits, NaN and infinities are refused.
    """
    tests = tuple((column.name, _test_of(column), column) for column in contract.inputs)
    known = frozenset(name for name, _, _ in tests)
    rules = tuple(_rule_of(rule, contract) for rule in contract.rules if rule.left in known and rule.right in known)
    closed = contract.closed

    def check_row(record: Mapping[str, object]) -> tuple[Problem, ...]:
        problems: list[Problem] = []
        for name, test, column in tests:
            if name in record:
                problem = test(record[name])
                if problem is not None:
                    problems.append(problem)
            elif not column.nullable:
                problems.append(Problem(field=name, rule="missing", message=f"is missing; wants {_WORDS[column.type]}"))
        if closed and not record.keys() <= known:
            problems += [_unknown(name, known) for name in record if name not in known]
        for rule in rules:
            problem = rule(record)
            if problem is not None:
                problems.append(problem)
        return tuple(problems)

    return check_row


def _unknown(name: object, known: frozenset[str]) -> Problem:
    from difflib import get_close_matches

    near = get_close_matches(str(name)[:128], known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else f"; known are {', '.join(sorted(known)[:20])}"
    return Problem(field=str(name)[:128], rule="unknown", message=f"is not a field of this model{hint}")


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN_LETTERS_MAX else text[:SHOWN_LETTERS_MAX] + "..."


def _test_of(column: Column) -> Test:
    return {"int": _whole, "float": _number, "bool": _flag, "string": _text, "datetime": _time}[column.type](column)


def _wrong(column: Column, value: object) -> Problem | None:
    """Return what is wrong with a value that is not of the column's type."""
    if value is None:
        if column.nullable:
            return None
        return Problem(field=column.name, rule="null", message=f"is empty; wants {_WORDS[column.type]}")
    return Problem(field=column.name, rule="type", message=f"wants {_WORDS[column.type]}, found {_shown(value)}")


def _outside(column: Column, value: object, rule: str) -> Problem:
    bound, word = (column.min, "least") if rule == "min" else (column.max, "most")
    return Problem(
        field=column.name, rule=rule, message=f"wants at {word} {bound}, found {_shown(value)}", strict=column.strict
    )


def _bounds(column: Column) -> tuple[float, float]:
    low, high = (
        parse_time(column.name, bound) if isinstance(bound, str) else bound for bound in (column.min, column.max)
    )
    return -math.inf if low is None else low, math.inf if high is None else high


def _whole(column: Column) -> Test:
    low, high = _bounds(column)

    def test(value: object) -> Problem | None:
        if not isinstance(value, int) or value is True or value is False or not WHOLE_MIN <= value <= WHOLE_MAX:
            return _wrong(column, value)
        if low <= value <= high:
            return None
        return _outside(column, value, "min" if value < low else "max")

    return test


def _number(column: Column) -> Test:
    low, high = _bounds(column)
    inside_low, inside_high = max(low, -float(FLOAT_MAX)), min(high, float(FLOAT_MAX))

    def test(value: object) -> Problem | None:
        if not isinstance(value, float) and (not isinstance(value, int) or value is True or value is False):
            return _wrong(column, value)
        if inside_low <= value <= inside_high:
            return None
        if isinstance(value, float) and not math.isfinite(value):
            if column.nullable and value != value:  # noqa: PLR0124 - NaN, which stands for an empty value
                return None
            return Problem(field=column.name, rule="finite", message=f"wants a finite number, found {value}")
        if isinstance(value, int) and abs(value) > FLOAT_MAX:
            return Problem(field=column.name, rule="finite", message="wants a number that a float can hold")
        return None if low <= value <= high else _outside(column, value, "min" if value < low else "max")

    return test


def _flag(column: Column) -> Test:
    def test(value: object) -> Problem | None:
        return None if value is True or value is False else _wrong(column, value)

    return test


def _text(column: Column) -> Test:
    known = None if column.categories is None else frozenset(column.categories)

    def test(value: object) -> Problem | None:
        if not isinstance(value, str):
            return _wrong(column, value)
        if not value.isascii() and not _speakable(value):
            return _wrong(column, value)
        if known is None or value in known:
            return None
        near = ", ".join(sorted(known)[:8]) + (", ..." if len(known) > 8 else "")  # noqa: PLR2004 - a glimpse
        message = f"wants one of {len(known)} known texts ({near}), found {_shown(value)}"
        return Problem(field=column.name, rule="category", message=message, strict=column.strict)

    return test


def _speakable(text: str) -> bool:
    """Say whether a text has no lone surrogates, which no column can hold."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def instant(value: object) -> float | None:
    """Return a datetime, or a text that says one, as microseconds since the epoch; None if it is neither."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    try:
        return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp() * 1_000_000
    except (OverflowError, ValueError):
        return None


def _time(column: Column) -> Test:
    low, high = _bounds(column)

    def test(value: object) -> Problem | None:
        at_us = instant(value)
        if at_us is None:
            return _wrong(column, value)
        if low <= at_us <= high:
            return None
        return _outside(column, value, "min" if at_us < low else "max")

    return test


def _rule_of(rule: Rule, contract: Contract) -> Callable[[Mapping[str, object]], Problem | None]:
    left, right, holds = rule.left, rule.right, _COMPARE[rule.op]
    column = contract.column(left)
    times = column is not None and column.type == "datetime"

    def test(record: Mapping[str, object]) -> Problem | None:
        one, other = record.get(left), record.get(right)
        if times:
            one, other = instant(one), instant(other)
        if one is None or other is None:
            return None
        try:
            if one != one or other != other or holds(one, other):  # type: ignore[operator] # noqa: PLR0124 - NaN
                return None
        except TypeError:
            return None  # a wrong type has been named already
        message = f"wants {rule.text}, found {_shown(record[left])} and {_shown(record[right])}"
        return Problem(field=left, rule=rule.text, message=message, strict=rule.strict)

    return test
