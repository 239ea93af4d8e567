"""Reading a contract off a frame that is known to be good."""

from __future__ import annotations

import math
import re
from itertools import permutations
from typing import Any

import polars as pl

from ropewalk.data.contract import Column, ColumnType, Contract, Rule, comparable
from ropewalk.data.frames import as_polars
from ropewalk.data.kinds import empty, kind_of
from ropewalk.errors import Invalid

CATEGORIES_MAX = 128
UNIQUE_ROWS_MIN = 100
RULE_ROWS_MIN = 100
RULES_MAX = 16
ORDERED_WORDS = frozenset(
    {
        ("begin", "end"),
        ("created", "updated"),
        ("dep", "arr"),
        ("departure", "arrival"),
        ("first", "last"),
        ("from", "to"),
        ("low", "high"),
        ("lower", "upper"),
        ("min", "max"),
        ("opened", "closed"),
        ("start", "end"),
        ("start", "stop"),
    }
)
EXACT_FLOAT = 2**53


def infer(frame: object, *, target: str | None = None, slack: float = 0.5) -> Contract:
    """Return the contract that a frame keeps, with room for what it has not seen.

    Types, presence and emptiness are taken as they are and are errors later. Ranges are widened by `slack` of their
    width to both sides (never below zero where nothing was negative); ranges, categories, uniqueness and rules are
    warnings until somebody sets `strict`. Datetimes get no range, since time moves on.

    Args:
        frame: a polars or pandas frame.
        target: the column that is predicted, None for none.
        slack: share of each range's width that is added on both sides.

    Raises:
        Invalid: the target is not a column, or a column has a type that requests cannot carry.
    """
    table = as_polars(frame)
    if target is not None and target not in table.columns:
        raise Invalid("target-unknown", "The target is not a column of the frame.", why=f"found {target[:80]!r}")
    kinds: dict[str, ColumnType] = {name: _kind(name, dtype) for name, dtype in table.schema.items()}
    seen = table.select([expr for name, kind in kinds.items() for expr in _looks(table, name, kind)]).row(0, named=True)
    columns = tuple(_column(table, seen, name, kind, slack) for name, kind in kinds.items())
    return Contract(columns=columns, rules=_rules(table, kinds, target), target=target or "")


def _kind(name: str, dtype: pl.DataType) -> ColumnType:
    kind = kind_of(dtype)
    if kind is None:
        raise Invalid(
            "column-type-unsupported",
            "A column has a type that a contract has no word for.",
            where=name,
            why=f"it is {dtype}; int, float, bool, string and datetime are known",
            fix="drop the column or turn it into one of these types",
        )
    return kind


def _looks(table: pl.DataFrame, name: str, kind: ColumnType) -> list[pl.Expr]:
    column = pl.col(name)
    looks = [empty(name, table.schema[name]).sum().alias(f"empty {name}")]
    if kind in ("int", "float"):
        looks += [
            column.min().cast(pl.Float64).alias(f"min {name}"),
            column.max().cast(pl.Float64).alias(f"max {name}"),
        ]
    if kind in ("int", "string"):
        looks.append(column.n_unique().alias(f"distinct {name}"))
    return looks


def _column(table: pl.DataFrame, seen: dict[str, Any], name: str, kind: ColumnType, slack: float) -> Column:
    missing = int(seen[f"empty {name}"] or 0)
    share = missing / table.height if table.height else 0.0
    distinct = int(seen.get(f"distinct {name}") or 0)
    unique = not missing and distinct == table.height >= UNIQUE_ROWS_MIN
    low, high = (None, None) if unique else _range(kind, seen.get(f"min {name}"), seen.get(f"max {name}"), slack)
    categories = None
    if kind == "string" and not unique and 0 < distinct <= CATEGORIES_MAX:
        categories = tuple(table[name].cast(pl.String).drop_nulls().unique().sort().to_list())
    return Column(
        name=name,
        type=kind,
        nullable=missing > 0,
        max_null_share=round(min(1.0, share * (1 + slack) + 0.01), 6) if missing else None,
        min=low,
        max=high,
        categories=categories,
        unique=unique,
    )


def _range(kind: ColumnType, low: float | None, high: float | None, slack: float) -> tuple[float | None, float | None]:
    if low is None or high is None or not math.isfinite(low) or not math.isfinite(high):
        return None, None
    room = (high - low) * slack or abs(high) * slack
    bottom, top = low - room, high + room
    bottom = max(bottom, 0.0) if low >= 0 else bottom
    top = min(top, 0.0) if high <= 0 else top
    if not math.isfinite(bottom) or not math.isfinite(top):
        return None, None
    return (math.floor(bottom), math.ceil(top)) if kind == "int" else (bottom, top)


def _rules(table: pl.DataFrame, kinds: dict[str, ColumnType], target: str | None) -> tuple[Rule, ...]:
    """Return orders between columns that no row breaks, among times and columns named as a pair."""
    pairs = [
        (left, right)
        for left, right in permutations((name for name in kinds if name != target), 2)
        if kinds[left] != "bool"
        and kinds[left] != "string"
        and comparable(kinds[left], kinds[right])
        and (kinds[left] == "datetime" or _ordered_names(left, right))
    ]
    if not pairs or table.height < RULE_ROWS_MIN:
        return ()
    both = [pl.col(left) <= pl.col(right) for left, right in pairs]
    looks = [(~hold).sum().alias(f"broken {place}") for place, hold in enumerate(both)]
    looks += [hold.is_not_null().sum().alias(f"seen {place}") for place, hold in enumerate(both)]
    looks += [(pl.col(left) < pl.col(right)).sum().alias(f"less {place}") for place, (left, right) in enumerate(pairs)]
    try:
        found = table.select(looks).row(0, named=True)
    except pl.exceptions.PolarsError:
        return ()  # times with and without a zone have no order among each other
    held = [
        Rule(left=left, op="<=", right=right)
        for place, (left, right) in enumerate(pairs)
        if not found[f"broken {place}"]
        and found[f"seen {place}"] >= RULE_ROWS_MIN
        and found[f"less {place}"] * 2 > found[f"seen {place}"]
    ]
    return tuple(held[:RULES_MAX])


def _ordered_names(left: str, right: str) -> bool:
    """Say whether two names differ in one word alone, and those words have an order: `price_low`, `price_high`."""
    one, other = (re.split(r"[^a-z0-9]+", name.lower()) for name in (left, right))
    if len(one) != len(other):
        return False
    apart = [pair for pair in zip(one, other, strict=True) if pair[0] != pair[1]]
    return len(apart) == 1 and apart[0] in ORDERED_WORDS
