"""The filter of a search for runs: `metrics.auc > 0.7 and params.depth = '8' and state = 'finished'`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn, cast

from ropewalk.errors import Invalid

Scope = Literal["metric", "param", "tag", "run"]
CLAUSES_MAX = 100
LETTERS_MAX = 10_000
ATTRIBUTES = (
    "author",
    "branch",
    "code",
    "commit",
    "environment",
    "experiment",
    "id",
    "kind",
    "name",
    "pipeline",
    "state",
)
_SCOPES: dict[str, Scope] = {
    "metric": "metric",
    "metrics": "metric",
    "param": "param",
    "params": "param",
    "parameters": "param",
    "tag": "tag",
    "tags": "tag",
    "run": "run",
    "attributes": "run",
}
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<op><=|>=|!=|==|=|<|>)
    | (?P<number>[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
    | (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
    | (?P<name>[A-Za-z_][\w]*(?:\.(?:[\w./\-:]+|`[^`]+`|"[^"]+"))?)
    )""",
    re.VERBOSE,
)
_NUMBER_OPS = frozenset({"=", "!=", "<", "<=", ">", ">="})
_TEXT_OPS = frozenset({"=", "!=", "like"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One comparison.

    Attributes:
        scope: what is compared: `metric`, `param`, `tag` or `run` for a column of the run itself.
        key: its name.
        op: `=`, `!=`, `<`, `<=`, `>`, `>=` (numbers) or `=`, `!=`, `like` (texts; `%` stands for anything).
        value: a float for metrics, a text otherwise.
    """

    scope: Scope
    key: str
    op: str
    value: float | str


def parse(text: str) -> tuple[Clause, ...]:
    """Return the comparisons that all must hold.

    Raises:
        Invalid: the text is not understood; the error shows the place.
    """
    if len(text) > LETTERS_MAX:
        _bad("it is too long", "")
    tokens = _tokens(text)
    clauses: list[Clause] = []
    while tokens:
        if clauses:
            kind, word = tokens.pop(0)
            if kind != "name" or word.lower() != "and":
                _bad("comparisons are joined by 'and'", word)
        if len(clauses) == CLAUSES_MAX:
            _bad(f"there are more than {CLAUSES_MAX} comparisons", "")
        clauses.append(_clause(tokens))
    return tuple(clauses)


def _tokens(text: str) -> list[tuple[str, str]]:
    place, tokens = 0, cast("list[tuple[str, str]]", [])
    end = len(text.rstrip())
    while place < end:
        found = _TOKEN.match(text, place)
        if found is None:
            _bad("this is no name, number, text or comparison", text[place : place + 20].strip())
        tokens.append((str(found.lastgroup), found.group().strip()))
        place = found.end()
    return tokens


def _clause(tokens: list[tuple[str, str]]) -> Clause:
    if len(tokens) < 3:  # noqa: PLR2004 - name, comparison, value
        _bad("a comparison is NAME OP VALUE", " ".join(word for _, word in tokens))
    (kind, name), (op_kind, op), (value_kind, value) = tokens[:3]
    del tokens[:3]
    op = "=" if op == "==" else op.lower()
    if kind != "name":
        _bad("a comparison begins with a name", name)
    if op_kind != "op" and op != "like":
        _bad("a comparison is =, !=, <, <=, >, >= or like", op)
    scope, key = _scope(name)
    if scope == "metric":
        if value_kind != "number" or op not in _NUMBER_OPS:
            _bad("a metric is compared with a number", f"{name} {op} {value}")
        return Clause(scope=scope, key=key, op=op, value=float(value))
    if op not in _TEXT_OPS:
        _bad("texts are compared with =, != or like", f"{name} {op} {value}")
    if value_kind == "text":
        value = re.sub(r"\\(.)", r"\1", value[1:-1])
    elif value_kind != "number":
        _bad("a text stands in quotes", f"{name} {op} {value}")
    return Clause(scope=scope, key=key, op=op, value=value)


def _scope(name: str) -> tuple[Scope, str]:
    first, dot, key = name.partition(".")
    scope = _SCOPES.get(first.lower()) if dot else "run"
    key = key.strip('`"') if dot else first
    if scope is None:
        _bad("names begin with metrics., params. or tags., or are one of the run's own", name)
    if scope == "run" and key not in ATTRIBUTES:
        _bad(f"a run has {', '.join(ATTRIBUTES)}", name)
    return scope, key


def _bad(why: str, found: str) -> NoReturn:
    raise Invalid(
        "filter-invalid",
        "The filter is not understood.",
        where=found[:80],
        why=why,
        fix="ropewalk runs --filter \"metrics.auc > 0.7 and params.depth = '8'\"",
    )


def like(pattern: str, text: str) -> bool:
    """Say whether a text fits a pattern in which `%` stands for anything."""
    first, *rest = pattern.split("%")
    if not rest:
        return text == pattern
    if not text.startswith(first):
        return False
    place, last = len(first), rest.pop()
    for part in rest:
        place = text.find(part, place)
        if place < 0:
            return False
        place += len(part)
    return len(text) - place >= len(last) and text.endswith(last)
