"""Composes searches for runs so that they walk an index, and asks the store.

Two ways lead to a page. Where a comparison leaves few runs, or several that ask for what is equal leave few together,
these are gathered by their indexes and ordered. Otherwise the
index of what the results are ordered by is walked, in its order, until the page is full: first what has a value, then
what is not a number, then what has none at all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Any, cast

from ropewalk.runs.clauses import STARTED, at, clause_sql, drives, keys_of, lookups, source_of, walks
from ropewalk.runs.fragments import Bound, Key, beyond
from ropewalk.runs.grammar import Clause, Order
from ropewalk.runs.paging import Position
from ropewalk.store.database import Reader, Row, Value

FEW = 5000
MANY = 20_000
AT_ONCE = 500
NAMED_MAX = 32
LIKE = 2
VIEWS = {"active": "r.deleted_us is null", "deleted": "r.deleted_us is not null", "all": "1 = 1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What is searched for.

    Attributes:
        experiments: ids; None for all.
        clauses: what must hold.
        orders: what comes first.
        view: `active`, `deleted` or `all`.
        position: after which the page begins; None for the first page.
        count: how many at most.
        named: all experiments, where these are meant and few; found by `pick`.
    """

    experiments: tuple[int, ...] | None
    clauses: tuple[Clause, ...]
    orders: tuple[Order, ...]
    view: str
    position: Position | None
    count: int
    named: tuple[int, ...] | None = None


def pick(reader: Reader, wish: Wish) -> list[Row]:
    """Return numbers of runs in order, each with the values that it was ordered by: `number`, `k0`, `k1`..."""
    if wish.experiments == ():
        return []
    wish = replace(wish, named=_named(reader, wish))
    chosen = _chosen(reader, wish)
    if chosen is not None:
        return _gathered(reader, wish, chosen)
    found = [row for part in _parts(reader, wish) for row in _walked(reader, wish, part)]
    for place, key in reversed(list(enumerate(keys_of(wish.orders)))):
        found.sort(key=itemgetter(f"k{place}"), reverse=key.descending)
    return found[: wish.count]


def _named(reader: Reader, wish: Wish) -> tuple[int, ...] | None:
    """Return all experiments, where these are meant and few: what has an index has it by experiment.

    PostgreSQL reads the indexes of a whole table where no experiment is named.
    """
    if wish.experiments is not None or not any(map(drives, wish.clauses)):
        return None
    ids = tuple(int(str(row["id"])) for row in reader.rows("experiments.ids"))
    return ids if len(ids) <= NAMED_MAX else None


def _within(wish: Wish, group: list[Clause]) -> tuple[int, ...] | None:
    """Return the experiments by which to enter an index for comparisons of one thing; None for all of it.

    What is LIKE something or is not it reads all of a key, and does so quicker in the order of the table.
    """
    return wish.experiments or (wish.named if min(map(_promise, group)) < LIKE else None)


def _parts(reader: Reader, wish: Wish) -> list[int | None]:
    """Return the experiments to walk one by one; None for all of them in one walk."""
    if wish.experiments is not None:
        return list(wish.experiments)
    if not wish.orders or not walks(wish.orders[0]):
        return [None]
    return [int(str(row["id"])) for row in reader.rows("experiments.ids")]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Chosen:
    """Comparisons that leave few runs.

    Attributes:
        groups: by the thing that they speak of; what they leave together is meant.
        runs: numbers of the runs that they leave, where these are known already.
    """

    groups: list[list[Clause]]
    runs: list[int] | None = None


def _chosen(reader: Reader, wish: Wish) -> _Chosen | None:
    """Return comparisons that leave few runs, if there are such."""
    groups: dict[tuple[str, ...], list[Clause]] = {}
    for clause in wish.clauses:
        if drives(clause):
            # Two comparisons of one metric are a range of its index; two of data sets may speak of different ones.
            apart = (str(len(groups)),) if clause.entity == "dataset" else ()
            groups.setdefault((clause.entity, clause.key, *apart), []).append(clause)
    equal: list[list[Clause]] = []
    # What is equal is counted further only where it can meet another such.
    most = MANY if sum(min(map(_promise, group)) == 0 for group in groups.values()) > 1 else FEW
    for group in sorted(groups.values(), key=lambda group: min(map(_promise, group))):
        same = min(map(_promise, group)) == 0
        count = _count(reader, wish, group, most if same else FEW)
        if count <= FEW:
            return _Chosen(groups=[group], runs=None if count else [])
        if same and count <= MANY:
            equal.append(group)
    if len(equal) < 2:  # noqa: PLR2004 - two of them are the fewest that meet
        return None
    # Each leaves more than a few, but together they may leave few.
    bound = Bound()
    sql = f"select c.run as run from ({_source(wish, equal, bound)}) c limit {bound(FEW + 1)}"
    runs = [int(str(row["run"])) for row in reader.composed(sql, bound.values)]
    if len(runs) > FEW:
        return None
    return _Chosen(groups=equal, runs=runs if len(runs) <= AT_ONCE else None)


def _count(reader: Reader, wish: Wish, group: list[Clause], most: int) -> int:
    """Return how many runs comparisons of one thing leave, or one more than the most that is counted."""
    bound = Bound()
    sql = source_of(group, _within(wish, group), bound)
    limit = bound(most + 1)
    counted = f"select count(*) as n from (select c.run as run from ({sql}) c limit {limit}) d"
    (row,) = reader.composed(counted, bound.values)
    return int(str(row["n"]))


def _source(wish: Wish, groups: Sequence[list[Clause]], bound: Bound) -> str:
    """Return what selects the runs that comparisons leave together, each by its own index."""
    return " intersect ".join(source_of(group, _within(wish, group), bound) for group in groups)


def _promise(clause: Clause) -> int:
    """Return how early to ask for how many a comparison leaves: what is equal leaves the fewest."""
    return {"=": 0, "IN": 0, "!=": 3, "LIKE": LIKE, "ILIKE": LIKE}.get(clause.op, 1)


def _conditions(wish: Wish, clauses: Sequence[Clause], bound: Bound) -> list[str]:
    return [VIEWS[wish.view], *(clause_sql(one, bound) for one in clauses)]


def _gathered(reader: Reader, wish: Wish, chosen: _Chosen) -> list[Row]:
    if chosen.runs == []:
        return []
    bound, keys = Bound(), keys_of(wish.orders)
    source = _source(wish, chosen.groups, bound)
    if chosen.runs is not None:
        bound = Bound()
        source = f"select n.number as run from runs n where n.number in {bound.several(chosen.runs)}"
    joins = lookups(wish.orders, bound)
    done = [clause for group in chosen.groups for clause in group]
    where = ["r.number = c.run", *_conditions(wish, [one for one in wish.clauses if one not in done], bound)]
    if wish.experiments is not None:
        where.append(f"r.experiment in {bound.several(wish.experiments)}")
    if wish.position is not None:
        where.append(beyond(keys, wish.position, bound))
    sql = f"select {_columns(keys)} from ({source}) c cross join runs r {joins} where {' and '.join(where)}"
    return _ordered(reader, sql, keys, wish.count, bound)


def _columns(keys: Sequence[Key]) -> str:
    return ", ".join(["r.number as number", *(f"{key.sql} as k{place}" for place, key in enumerate(keys))])


def _ordered(reader: Reader, sql: str, keys: Sequence[Key], count: int, bound: Bound) -> list[Row]:
    order = ", ".join(key.order for key in keys)
    return reader.composed(f"{sql} order by {order} limit {bound(count)}", bound.values)


def _walked(reader: Reader, wish: Wish, experiment: int | None) -> list[Row]:
    """Return runs of one experiment in order, phase by phase until there are enough."""
    if not wish.orders or not walks(wish.orders[0]):
        bound, keys = Bound(), keys_of(wish.orders)
        where = _conditions(wish, wish.clauses, bound)
        where += [f"r.experiment = {bound(experiment)}"] if experiment is not None else []
        return _sorted(reader, wish, _Walk(source="runs r", where=where, keys=keys, fixed=0), bound, wish.count)
    found: list[Row] = []
    for phase in range(3 if wish.orders[0].entity == "metric" else 2):
        begun = int(str(wish.position[0])) if wish.position is not None else 0
        if phase >= begun and len(found) < wish.count:
            found += _phase(reader, wish, experiment, phase, wish.count - len(found))
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Walk:
    """Where rows come from, what they must fulfil, and how they are ordered.

    Attributes:
        source: the tables, walked in this order.
        where: conditions.
        keys: what rows are ordered by.
        fixed: how many of the keys are the same in all of these rows.
    """

    source: str
    where: list[str]
    keys: list[Key]
    fixed: int


def _phase(reader: Reader, wish: Wish, experiment: int | None, phase: int, count: int) -> list[Row]:
    """Return runs of one phase: with a value (0), with one that is no number (1, metrics only), without any (last)."""
    bound, order = Bound(), wish.orders[0]
    first, second, *rest = keys_of(wish.orders)
    where = _conditions(wish, wish.clauses, bound)
    table = {"metric": "latest", "param": "run_params", "tag": "run_tags"}[order.entity]
    own = Key(sql=str(phase), kind=first.kind)
    if phase == (2 if order.entity == "metric" else 1):
        where += [f"r.experiment = {bound(experiment)}", "o0.run is null"]
        empty = Key(sql="''" if second.kind == "s" else "0.0", kind=second.kind)
        walk = _Walk(source="runs r", where=where, keys=[own, empty, *rest], fixed=2)
        return _sorted(reader, wish, walk, bound, count)
    where += ["r.number = o0.run", at("o0", order.key, bound), f"o0.experiment = {bound(experiment)}"]
    where += [f"o0.is_nan = {phase}"] if order.entity == "metric" else []
    # The index of the values holds the start too, so that runs of one value need no sorting.
    rest = [replace(key, sql="o0.started_us") if key.sql == STARTED else key for key in rest]
    held = replace(second, sql=_value(second.sql))
    walk = _Walk(source=f"{table} o0 cross join runs r", where=where, keys=[own, held, *rest], fixed=1 + phase)
    return _sorted(reader, wish, walk, bound, count)


def _sorted(reader: Reader, wish: Wish, walk: _Walk, bound: Bound, count: int) -> list[Row]:
    where, keys = list(walk.where), walk.keys[walk.fixed :]
    joins = lookups(wish.orders, bound, leading=" o0 " in walk.source)
    begun = wish.position is not None and (not walk.fixed or walk.keys[0].sql == str(wish.position[0]))
    if wish.position is not None and begun:
        where.append(beyond(keys, wish.position[walk.fixed :], bound))
    sql = f"select {_columns(walk.keys)} from {walk.source} {joins} where {' and '.join(where)}"
    return _ordered(reader, sql, keys, count, bound)


def _value(sql: str) -> str:
    """Return what an index holds of a value that is there."""
    return sql.removeprefix("coalesce(").rpartition(", ")[0]


def chunks(numbers: Sequence[int]) -> Iterator[tuple[str, dict[str, Value]]]:
    """Yield what stands behind `in` for whole numbers, with its value, not too many at once."""
    for start in range(0, len(numbers), AT_ONCE):
        yield "(select value from json_each(:numbers))", {"numbers": json.dumps(list(numbers[start : start + AT_ONCE]))}


def rows_of(reader: Reader, what: str, numbers: Sequence[int]) -> Iterator[Row]:
    """Yield rows that belong to runs.

    Args:
        reader: where the rows are.
        what: `runs`, `latest`, `run_params`, `run_tags`, `inputs`, `input_tags` or `models`.
        numbers: of the runs.
    """
    select = {
        "runs": "select * from runs where number in {}",
        "latest": "select run, key, node, step, at_ms, value, is_nan from latest where run in {} "
        "order by run, key, node",
        "run_params": "select run, key, node, value from run_params where run in {} order by run, key, node",
        "run_tags": "select run, key, node, value from run_tags where run in {} order by run, key, node",
        "inputs": "select i.run as run, d.id as dataset, d.name as name, d.digest as digest, "
        "d.source_type as source_type, d.source as source, d.schema as schema, d.profile as profile "
        "from run_inputs i join datasets d on d.id = i.dataset where i.run in {} order by i.run, d.id",
        "input_tags": "select run, dataset, key, value from run_input_tags where run in {} order by run, dataset, key",
        "models": "select run, way, model, step from run_models where run in {} order by run, way, step, model",
    }[what]
    for listed, values in chunks(numbers):
        yield from reader.composed(select.format(listed), values)


def experiments_of(
    reader: Reader, where: str, order: str, bound: Bound, count: int
) -> tuple[list[dict[str, Any]], dict[int, dict[str, str]]]:
    """Return rows of experiments that a condition fits, `e` being the experiment, and their tags by id.

    Args:
        reader: where the rows are.
        where: the condition, composed of constant parts.
        order: likewise.
        bound: the values of both.
        count: how many at most.
    """
    sql = f"select e.* from experiments e where {where} order by {order} limit {bound(count)}"
    rows = cast("list[dict[str, Any]]", reader.composed(sql, bound.values))
    tags: dict[int, dict[str, str]] = {}
    for listed, values in chunks([row["id"] for row in rows]):
        select = f"select experiment, key, value from experiment_tags where experiment in {listed} order by key"
        for row in reader.composed(select, values):
            tags.setdefault(cast("int", row["experiment"]), {})[str(row["key"])] = str(row["value"])
    return rows, tags
