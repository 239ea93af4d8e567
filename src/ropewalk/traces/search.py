"""Finds traces: filter, order, and pages that stay right while traces are added."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from ropewalk.errors import Invalid
from ropewalk.runs import paging
from ropewalk.runs.experiments import parse_id
from ropewalk.runs.fragments import Bound
from ropewalk.runs.grammar import Clause
from ropewalk.runs.paging import after
from ropewalk.store.database import Reader
from ropewalk.traces import compile as composing
from ropewalk.traces.trace import PAGE_MAX, Info, infos, trace_of
from ropewalk.traces.vocabulary import read_filter, read_order

EXPERIMENTS_MAX = 1000
SMOOTHING = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of the traces that were found.

    Attributes:
        traces: in order.
        token: for the next page; empty when there is none.
    """

    traces: tuple[Info, ...]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Correlation:
    """How often two filters hold for the same traces.

    Attributes:
        npmi: normalized pointwise mutual information, -1 to 1; NaN when a filter never holds.
        smoothed: the same with Jeffreys' prior of 0.5 in each cell.
        first: traces that fit the first filter.
        second: traces that fit the second.
        joint: traces that fit both.
        total: traces that were looked at.
    """

    npmi: float
    smoothed: float
    first: int
    second: int
    joint: int
    total: int


def search(
    reader: Reader,
    experiments: Sequence[str],
    *,
    where: str = "",
    orders: Sequence[str] = (),
    count: int = 100,
    token: str = "",
) -> Page:
    """Return a page of traces, the newest first unless an order says otherwise.

    Args:
        reader: where the rows are.
        experiments: ids of those that are searched; unknown ones hold no traces.
        where: the filter.
        orders: such as `execution_time_ms DESC`.
        count: traces on a page, 1 to 500.
        token: of the page before.

    Raises:
        Invalid: filter, order, count or token is not understood.
    """
    if not 1 <= count <= PAGE_MAX:
        raise Invalid(
            "trace-invalid",
            "A page cannot have this many traces.",
            where="max_results",
            why=f"found {count}, wanted 1 to {PAGE_MAX}",
            fix=f"ask for {PAGE_MAX} and follow the page token",
        )
    numbers = experiment_numbers(experiments)
    clauses, order = read_filter(where), read_order(orders)
    asked = [list(numbers), where, list(orders)]
    keys = composing.sort_keys(Bound(), order)
    question = composing.Question(
        experiments=numbers,
        clauses=clauses,
        orders=order,
        after=after(token, asked, "".join(key.kind for key in keys)),
        count=count + 1,
    )
    rows = composing.page(reader, question)
    last = rows[count - 1] if len(rows) > count else None
    place = [] if last is None else [cast("str | int", last[f"k{number}"]) for number in range(len(keys))]
    return Page(
        traces=tuple(infos(reader, [trace_of(row) for row in rows[:count]])),
        token=paging.token(asked, place) if last is not None else "",
    )


def experiment_numbers(experiments: Sequence[str]) -> tuple[int, ...]:
    """Return the ids of experiments as numbers.

    Raises:
        Invalid: one is none, or there are more than 1000.
    """
    if len(experiments) > EXPERIMENTS_MAX:
        raise Invalid("trace-invalid", "These are too many experiments.", why=f"at most {EXPERIMENTS_MAX}")
    return tuple(dict.fromkeys(parse_id(one) for one in experiments))


def correlate(reader: Reader, experiments: Sequence[str], first: str, second: str, both: str = "") -> Correlation:
    """Return how often two filters hold together, among the traces that fit a third.

    Source: G. Bouma, Normalized (Pointwise) Mutual Information in Collocation Extraction, 2009.

    Raises:
        Invalid: a filter is not understood.
    """
    numbers = experiment_numbers(experiments)
    base: tuple[Clause, ...] = read_filter(both)
    one, other = read_filter(first), read_filter(second)
    counts = [composing.count(reader, numbers, base, *asked) for asked in ((), (one,), (other,), (one, other))]
    total, only, too, joint = counts
    unseen = total == 0 or only == 0 or too == 0
    return Correlation(
        npmi=math.nan if unseen else -1.0 if joint == 0 else _npmi(joint, only, too, total, 0.0),
        smoothed=math.nan if unseen else _npmi(joint, only, too, total, SMOOTHING),
        first=only,
        second=too,
        joint=joint,
        total=total,
    )


def _npmi(joint: int, first: int, second: int, total: int, prior: float) -> float:
    if joint == total:
        return 1.0
    whole, both = total + 4 * prior, joint + prior
    information = math.log(both * whole) - math.log((first + 2 * prior) * (second + 2 * prior))
    return max(-1.0, min(1.0, information / -math.log(both / whole)))
