"""Patterns of LIKE for what searches ask: escaped, from regular expressions, and for the kept text of spans."""

from __future__ import annotations

import re

import msgspec

from ropewalk.errors import Invalid
from ropewalk.runs.grammar import Target
from ropewalk.traces.values import dumped

LETTERS_MAX = 10_000
_PIECE = re.compile(
    r"\\(?P<literal>[^A-Za-z0-9])|(?P<any>\.)(?:(?P<many>[*+])\??)?|(?P<plain>[^\\^$.*+?()\[\]{}|])", re.DOTALL
)


def escaped(pattern: str) -> str:
    """Return a pattern with `!` as its escape; `%` and `_` keep their meaning."""
    _require_short(pattern)
    return pattern.replace("!", "!!")


def literal(text: str) -> str:
    """Return the pattern that only a text itself fits."""
    return escaped(text).replace("%", "!%").replace("_", "!_")


def from_regex(expression: str) -> str | None:
    """Return a simple regular expression as a pattern: letters, `.`, `.*`, `.+`, escapes, `^` and `$`.

    None where it says more than that, and has to be run.
    """
    _require_short(expression)
    start, end = expression.startswith("^"), expression.endswith("$") and not expression.endswith(r"\$")
    inner = expression[start : len(expression) - end]
    place, parts = 0, list[str]()
    while place < len(inner):
        found = _PIECE.match(inner, place)
        if found is None:
            return None
        if found["literal"] is not None or found["plain"] is not None:
            parts.append(literal(found["literal"] or found["plain"]))
        else:
            parts.append({"*": "%", "+": "_%"}.get(found["many"] or "", "_"))
        place = found.end()
    return ("" if start else "%") + "".join(parts) + ("" if end else "%")


def text_patterns(pattern: str) -> list[str]:
    """Return patterns for the whole text of a span: as it was written, and as JSON in JSON spells quotes."""
    spelled = _inside(dumped(pattern)[1:-1])
    return [escaped(one) for one in dict.fromkeys((pattern, spelled))]


def attribute_patterns(name: str, op: str, value: Target) -> list[str]:
    """Return patterns, one of which a span's text fits when its attribute compares.

    Args:
        name: of the attribute.
        op: `=`, `!=`, `IN`, `NOT IN`, `LIKE`, `ILIKE` or `RLIKE`; of negations the patterns of what is negated.
        value: a text, or texts.
    """
    key = literal(msgspec.json.encode(name).decode() + ":")
    if op in ("=", "!=", "IN", "NOT IN"):
        wanted = value if isinstance(value, tuple) else (str(value),)
        texts = [text for one in wanted for text in (dumped(one), one)]
        return [f"%{key}{literal(msgspec.json.encode(text).decode())}%" for text in texts]
    pattern = from_regex(str(value)) if op == "RLIKE" else escaped(str(value))
    if pattern is None:
        raise Invalid(
            "filter-invalid",
            "An attribute of a span is compared with simple regular expressions alone.",
            where=f"span.attributes.{name}"[:80],
            why="it lies within the span's text; letters, '.', '.*', '.+', escapes, '^' and '$' are understood there",
            fix="compare with LIKE or ILIKE: '%' stands for any letters, '_' for one",
        )
    spelled = _inside(dumped(pattern)[1:-1])
    quote = r"\""
    return [f'%{key}"{quote}{spelled}{quote}"%', f'%{key}"{_inside(pattern)}"%']


def _inside(text: str) -> str:
    """Return a text as it is spelled inside a JSON string."""
    return msgspec.json.encode(text).decode()[1:-1]


def _require_short(text: str) -> None:
    if len(text) > LETTERS_MAX:
        raise Invalid(
            "filter-invalid",
            "A pattern of the search is too long.",
            where=text[:40],
            why=f"it has {len(text)} letters, {LETTERS_MAX} at most",
            fix="shorten it",
        )
