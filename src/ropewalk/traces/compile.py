"""Composes the statements that no named query can say: lists of ids, and the filter and order of a search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from ropewalk.runs.fragments import Bound, Key, beyond, compared
from ropewalk.runs.grammar import NULLS, Clause, Order
from ropewalk.runs.paging import Position
from ropewalk.store.database import Reader, Row, Transaction, Value
from ropewalk.traces.expressions import checked
from ropewalk.traces.patterns import attribute_patterns, escaped, from_regex, text_patterns
from ropewalk.traces.values import dumped

T = TypeVar("T")
LISTED = 500
COLUMNS = (
    "number, id, experiment, start_ms, duration_ms, state, client_request, name, session, request_preview, "
    "response_preview, finalized, usage, cost"
)
_ASSESSMENT = (
    "trace, id, kind, name, value, error, rationale, span, source_type, source_id, overrides, valid, metadata, "
    "created_ms, updated_ms"
)
_ATTRIBUTES = {
    "experiment_id": "t.experiment",
    "request_id": "t.id",
    "timestamp_ms": "t.start_ms",
    "execution_time_ms": "t.duration_ms",
    "end_time_ms": "(t.start_ms + coalesce(t.duration_ms, 0))",
    "status": "t.state",
    "client_request_id": "t.client_request",
    "name": "t.name",
    "session": "t.session",
    "usage": "t.usage",
    "cost": "t.cost",
}
_NEVER_NULL = frozenset(("t.experiment", "t.id", "t.start_ms", "t.state", _ATTRIBUTES["end_time_ms"]))
_TEXTS = frozenset(("t.id", "t.state", "t.client_request", "t.name", "t.session"))
_LONG = frozenset(("t.client_request", "t.name"))
_SPAN_COLUMNS = {"name": "s.name", "type": "s.type", "status": "s.status"}
_KEYED = ("tag", "metadata")


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A search, understood.

    Attributes:
        experiments: ids of those that are searched.
        clauses: what must hold.
        orders: what comes first.
        after: values of the sort keys of the last trace of the page before, or None for the first page.
        count: traces, at most.
    """

    experiments: tuple[int, ...]
    clauses: tuple[Clause, ...]
    orders: tuple[Order, ...]
    after: Position | None
    count: int


def traces_of(reader: Reader, record: Callable[..., T], ids: Sequence[str]) -> list[T]:
    """Return the traces of a list of ids, in no order."""
    rows = _in_pieces(reader, f"select {COLUMNS} from traces where id in", ids, "")
    return [record(**row) for row in rows]


def values_of(reader: Reader, numbers: Sequence[int]) -> list[Row]:
    """Return tags and metadata of traces."""
    select = "select trace, kind, key, value from trace_values where trace in"
    return _in_pieces(reader, select, numbers, " order by trace, kind, key")


def assessments_of(reader: Reader, numbers: Sequence[int]) -> list[Row]:
    """Return assessments of traces, oldest first."""
    select = f"select {_ASSESSMENT} from assessments where trace in"
    return _in_pieces(reader, select, numbers, " order by trace, number")


def contents_of(reader: Reader, numbers: Sequence[int]) -> list[Row]:
    """Return the spans of traces as they were kept, the root first, then by start."""
    select = "select trace, content from spans where trace in"
    order = " order by trace, case when parent is null then 0 else 1 end, start_ns, id"
    return _in_pieces(reader, select, numbers, order)


def _in_pieces(reader: Reader, select: str, wanted: Sequence[Value], order: str) -> list[Row]:
    found: list[Row] = []
    for start in range(0, len(wanted), LISTED):
        bound = Bound()
        statement = f"{select} {bound.several(wanted[start : start + LISTED])}{order}"
        found += reader.composed(statement, bound.values)
    return found


def page(reader: Reader, question: Question) -> list[Row]:
    """Return the traces of a search, each with the values of its sort keys as `k0`, `k1` and so on."""
    bound = Bound()
    where = conditions(bound, question.experiments, question.clauses)
    keys = sort_keys(bound, question.orders)
    if question.after is not None:
        where += f" and {beyond(keys, question.after, bound)}"
    columns = ", ".join(f"t.{name}" for name in COLUMNS.split(", "))
    sorts = ", ".join(f"{key.sql} as k{place}" for place, key in enumerate(keys))
    order = ", ".join(key.order for key in keys)
    return reader.composed(
        f"select {columns}, {sorts} from traces t where {where} order by {order} limit {bound(question.count)}",
        bound.values,
    )


def delete(tx: Transaction, experiment: int, max_ms: int, *, ids: Sequence[str] = (), count: int) -> list[str]:
    """Delete traces of an experiment with all that hangs on them; return their ids.

    One statement for many: each of its own would make SQLite look through all that was deleted before.
    """
    gone: list[Row] = []
    for start in range(0, max(1, len(ids)), LISTED):
        bound = Bound()
        where = f"experiment = {bound(experiment)} and start_ms <= {bound(max_ms)}"
        if ids:
            where += f" and id in {bound.several(ids[start : start + LISTED])}"
        chosen = f"select number from traces where {where} order by start_ms, id limit {bound(count)}"
        gone += tx.composed(f"delete from traces where number in ({chosen}) returning id, start_ms", bound.values)
    return [str(row["id"]) for row in sorted(gone, key=lambda row: (int(str(row["start_ms"])), str(row["id"])))]


def count(reader: Reader, experiments: Sequence[int], *filters: Sequence[Clause]) -> int:
    """Return how many traces fit all clauses of all filters."""
    bound = Bound()
    parts = [conditions(bound, experiments, clauses) for clauses in filters]
    where = " and ".join(f"({one})" for one in parts)
    rows = reader.composed(f"select count(*) as found from traces t where {where}", bound.values)
    return int(str(rows[0]["found"]))


def sort_keys(bound: Bound, orders: Sequence[Order]) -> list[Key]:
    """Return what rows are sorted by, none of it ever null; what is missing comes last both ways."""
    keys: list[Key] = []
    for one in orders:
        sql = _ATTRIBUTES[one.key] if one.entity == "attribute" else _value_of(bound, one)
        whole = one.entity == "attribute" and sql not in _TEXTS
        if sql not in _NEVER_NULL:
            keys.append(Key(sql=f"case when {sql} is null then 1 else 0 end", kind="i"))
            sql = f"coalesce({sql}, {'0' if whole else repr('')})"
        keys.append(Key(sql=sql, kind="i" if whole else "s", descending=one.descending))
    named = {key.sql for key in keys}
    if "t.start_ms" not in named:
        keys.append(Key(sql="t.start_ms", kind="i", descending=True))
    if "t.id" not in named:
        keys.append(Key(sql="t.id", kind="s"))
    return keys


def _value_of(bound: Bound, order: Order) -> str:
    kind, key = bound(order.entity), bound(order.key)
    return f"(select v.value from trace_values v where v.trace = t.number and v.kind = {kind} and v.key = {key})"


def conditions(bound: Bound, experiments: Sequence[int], clauses: Sequence[Clause]) -> str:
    """Return what must hold of a trace `t`."""
    bound.expect(len(clauses))
    scope = _scope(bound, "t", experiments)
    spans = [_span(bound, clause) for clause in clauses if clause.entity == "span"]
    parts = [scope, *(_clause(bound, clause, experiments) for clause in clauses if clause.entity != "span")]
    if spans:
        parts.append(f"exists (select 1 from spans s where s.trace = t.number and {' and '.join(spans)})")
    return " and ".join(parts)


def _scope(bound: Bound, name: str, experiments: Sequence[int]) -> str:
    if len(experiments) == 1:
        return f"{name}.experiment = {bound(experiments[0])}"
    return f"{name}.experiment in {bound.several(experiments)}" if experiments else "1 = 0"


def _clause(bound: Bound, clause: Clause, experiments: Sequence[int]) -> str:
    if clause.entity in _KEYED:
        return _keyed(bound, clause)
    if clause.entity in ("feedback", "expectation"):
        return _assessed(bound, clause, experiments)
    if clause.entity == "issue":
        name = bound(clause.value if isinstance(clause.value, str) else "")
        return f"t.number in (select a.trace from assessments a where a.kind = 'issue' and a.name = {name})"
    if clause.key in ("run", "prompt"):
        return _linked(bound, clause)
    column = _ATTRIBUTES[clause.key]
    if clause.op == "=" and column in _LONG:
        mark = bound(cast("Value", clause.value))
        return f"(substr({column}, 1, 100) = substr({mark}, 1, 100) and {column} = {mark})"
    return _compared(bound, column, clause)


def _compared(bound: Bound, column: str, clause: Clause) -> str:
    """Return a comparison of a column."""
    op, value = clause.op, clause.value
    if op in NULLS:
        return f"{column} {op.lower()}"
    if op in ("LIKE", "ILIKE", "RLIKE"):
        pattern = from_regex(str(value)) if op == "RLIKE" else escaped(str(value))
        if pattern is None:
            bound.width = checked(str(value), bound.width)
            return f"{column} regexp {bound(str(value))}"
        return _like(bound, column, pattern, fold=op == "ILIKE")
    return compared(column, clause, bound)


def _like(bound: Bound, column: str, pattern: str, *, fold: bool = False) -> str:
    mark = bound(pattern)
    left, right = (f"lower({column})", f"lower({mark})") if fold else (column, mark)
    return f"{left} like {right} escape '!'"


def _keyed(bound: Bound, clause: Clause) -> str:
    """Return a condition on a tag or a piece of metadata."""
    kind, key = bound(clause.entity), bound(clause.key)
    here = f"select 1 from trace_values v where v.trace = t.number and v.kind = {kind} and v.key = {key}"
    if clause.op in NULLS:
        return f"{'not ' if clause.op == 'IS NULL' else ''}exists ({here}{bound.apart})"
    if clause.op == "=" and not bound.apart:
        mark = bound(cast("Value", clause.value))
        return (
            f"t.number in (select v.trace from trace_values v where v.kind = {kind} and v.key = {key} "
            f"and substr(v.value, 1, 100) = substr({mark}, 1, 100) and v.value = {mark})"
        )
    return f"exists ({here} and {_compared(bound, 'v.value', clause)}{bound.apart})"


def _linked(bound: Bound, clause: Clause) -> str:
    """Return a condition on the run that a trace belongs to or the prompt that it used."""
    targets = bound.several(clause.value if isinstance(clause.value, tuple) else (cast("Value", clause.value),))
    kind = bound(clause.key)
    linked = f"t.number in (select l.trace from trace_links l where l.kind = {kind} and l.target in {targets})"
    if clause.key == "run":
        made = (
            "t.number in (select v.trace from trace_values v where v.kind = 'metadata' and v.key = 'mlflow.sourceRun' "
            f"and substr(v.value, 1, 100) in {targets})"
        )
        linked = f"({linked} or {made})"
    return f"not {linked}" if clause.op in ("!=", "NOT IN") else linked


def _span(bound: Bound, clause: Clause) -> str:
    """Return a condition on a span `s`."""
    if clause.key == "content":
        fold = clause.op == "ILIKE"
        likes = [_like(bound, "s.content", one, fold=fold) for one in text_patterns(str(clause.value))]
        return f"({' or '.join(likes)})"
    if clause.key in _SPAN_COLUMNS:
        return _compared(bound, _SPAN_COLUMNS[clause.key], clause)
    patterns = attribute_patterns(clause.key.removeprefix("attributes."), clause.op, clause.value)
    likes = " or ".join(_like(bound, "s.content", one, fold=clause.op == "ILIKE") for one in patterns)
    return f"not ({likes})" if clause.op in ("!=", "NOT IN") else f"({likes})"


def _assessed(bound: Bound, clause: Clause, experiments: Sequence[int]) -> str:
    """Return a condition on what is thought of a trace, or of the whole session that it is a part of."""
    kind, name = bound(clause.entity), bound(clause.key)
    fits = f"a.kind = {kind} and a.name = {name} and a.valid = 1"
    if clause.op not in NULLS:
        fits += f" and {_judged(bound, clause)}"
    of_session = (
        f"select o.session from assessments a join traces o on o.number = a.trace where {fits} "
        f"and a.session_scoped = 1 and o.session is not null and {_scope(bound, 'o', experiments)}"
    )
    found = (
        f"(t.number in (select a.trace from assessments a where {fits}) "
        f"or coalesce(t.session in ({of_session}), false))"
    )
    return f"not {found}" if clause.op == "IS NULL" else found


def _judged(bound: Bound, clause: Clause) -> str:
    value: Any = clause.value
    if clause.op in ("<", "<=", ">", ">="):
        return f"a.is_numeric = 1 and a.aggregate {clause.op} {bound(float(value))}"
    if clause.op in ("=", "!="):
        either = f"(a.value = {bound(value)} or a.value = {bound(dumped(value))})"
        return either if clause.op == "=" else f"not {either}"
    return _compared(bound, "a.value", clause)


def dataset_keys(orders: Sequence[Order]) -> list[Key]:
    """Return what evaluation datasets are sorted by."""
    given = [(one.key, one.descending) for one in orders] or [("created_ms", True)]
    keys = [Key(sql=f"d.{key}", kind="s" if key == "name" else "i", descending=down) for key, down in given]
    return [*keys, Key(sql="d.id", kind="s", descending=True)]


def datasets(
    reader: Reader,
    *,
    experiments: Sequence[int],
    clauses: Sequence[Clause],
    keys: Sequence[Key],
    after: Position | None,
    count: int,
) -> list[Row]:
    """Return the evaluation datasets of a search."""
    bound, parts = Bound(), ["1 = 1"]
    if experiments:
        listed = bound.several(experiments)
        parts.append(f"d.id in (select e.dataset from evaluation_experiments e where e.experiment in {listed})")
    for clause in clauses:
        if clause.entity == "tag":
            here = f"select 1 from evaluation_tags v where v.dataset = d.id and v.key = {bound(clause.key)}"
            parts.append(f"exists ({here} and {_compared(bound, 'v.value', clause)})")
        else:
            parts.append(_compared(bound, f"d.{clause.key}", clause))
    if after is not None:
        parts.append(beyond(keys, after, bound))
    order = ", ".join(key.order for key in keys)
    return reader.composed(
        f"select d.* from evaluation_datasets d where {' and '.join(parts)} order by {order} limit {bound(count)}",
        bound.values,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """Figures over traces, spans or assessments, by groups; all texts are constant.

    Attributes:
        source: what is joined, with the trace as `t`.
        where: constant conditions.
        value: the expression that is summed up.
        groups: expressions by which rows are grouped.
        time: expression of the milliseconds or nanoseconds by which a range is cut.
        scale: its units in a millisecond.
        sums: aggregates of the value.
    """

    source: str
    where: tuple[str, ...]
    value: str
    groups: tuple[str, ...]
    time: str
    scale: int
    sums: tuple[str, ...]


def figures(
    reader: Reader,
    measure: Measure,
    *,
    experiments: Sequence[int],
    clauses: Sequence[Clause],
    equal: Sequence[tuple[str, str]],
    between: tuple[int | None, int | None],
    bucket_ms: int | None,
    count: int,
) -> list[Row]:
    """Return the groups as `g0`, `g1` and so on with their sums as `s0`, `s1`; without sums every value as `v`."""
    bound = Bound()
    parts = [conditions(bound, experiments, clauses), *measure.where, f"{measure.value} is not null"]
    parts += [f"{column} = {bound(value)}" for column, value in equal]
    parts += [f"{group} is not null" for group in measure.groups]
    low, high = between
    if low is not None:
        parts.append(f"{measure.time} >= {bound(_held(low * measure.scale))}")
    if high is not None:
        parts.append(f"{measure.time} < {bound(_held((high + 1) * measure.scale))}")
    groups = list(measure.groups)
    if bucket_ms is not None:
        width = bound(bucket_ms * measure.scale)
        groups.insert(0, f"({measure.time} / {width}) * {bound(bucket_ms)}")
    named = [f"{group} as g{place}" for place, group in enumerate(groups)]
    sums = [f"{one} as s{place}" for place, one in enumerate(measure.sums)]
    select = ", ".join([*named, *sums] if sums else [*named, f"{measure.value} as v"])
    places = ", ".join(str(place + 1) for place in range(len(groups)))
    grouped = f" group by {places}" if places and sums else ""
    ordered = f" order by {places}" if places else ""
    return reader.composed(
        f"select {select} from {measure.source} where {' and '.join(parts)}{grouped}{ordered} limit {bound(count)}",
        bound.values,
    )


def _held(value: int) -> int:
    """Return a number within the 64 bits that a database compares."""
    return max(-(1 << 63), min((1 << 63) - 1, value))
