"""What a comparison or an order of a search for runs says in SQL; `r` is the run."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ropewalk.runs.fragments import HEAD_LETTERS, Bound, Key, compared, millis
from ropewalk.runs.grammar import NULLS, Clause, Order
from ropewalk.runs.states import FAILED, INTERRUPTED, STATUS_OF

STARTED = "r.started_us"
_STATUS = (
    "case r.state when 'running' then 'RUNNING' when 'scheduled' then 'SCHEDULED' when 'finished' then 'FINISHED' "
    "when 'cancelled' then 'KILLED' else 'FAILED' end"
)
_COLUMNS = {
    "run_id": "r.id",
    "run_name": "r.name",
    "status": _STATUS,
    "user_id": "r.user_name",
    "artifact_uri": "r.location",
    "author": "r.author",
    "branch": "r.branch",
    "code": "r.code",
    "commit": "r.commit_sha",
    "environment": "r.environment",
    "experiment": "(select e.name from experiments e where e.id = r.experiment)",
    "kind": "r.kind",
    "pipeline": "r.pipeline",
    "state": "r.state",
}
_TABLES = {"metric": "latest", "param": "run_params", "tag": "run_tags"}
_OF_STEP = re.compile(r"(.*?) \[(.+)\]", re.DOTALL)


def step_of(key: str) -> tuple[str, str]:
    """Return key and step of a name such as `auc [fit-6]`, where several steps use one key; the step is often empty."""
    found = _OF_STEP.fullmatch(key)
    return (found[1], found[2]) if found else (key, "")


def at(alias: str, key: str, bound: Bound) -> str:
    """Return the condition that a row of what was logged has a key; the run's own row, or that of a step."""
    name, node = step_of(key)
    said = bound(node) if node else "''"
    return f"{alias}.key = {bound(name)} and {alias}.node = {said}"


def _value(alias: str, clause: Clause, bound: Bound) -> str:
    if clause.entity != "metric":
        return compared(f"{alias}.value", clause, bound)
    said = compared(f"{alias}.value", clause, bound)
    return f"({alias}.is_nan = 1 or {said})" if clause.op == "!=" else f"{alias}.is_nan = 0 and {said}"


def clause_sql(clause: Clause, bound: Bound) -> str:
    """Return the condition that a comparison puts on a run."""
    if clause.entity == "attribute":
        return _attribute(clause, bound)
    if clause.entity == "dataset":
        return f"exists (select 1 from {_dataset(clause, bound)} and i.run = r.number)"  # noqa: S608 - bound
    rows = f"select 1 from {_TABLES[clause.entity]} x where x.run = r.number and {at('x', clause.key, bound)}"  # noqa: S608
    if clause.op == "IS NULL":
        return f"not exists ({rows})"
    if clause.op == "IS NOT NULL":
        return f"exists ({rows})"
    return f"exists ({rows} and {_value('x', clause, bound)})"


def _attribute(clause: Clause, bound: Bound) -> str:
    if clause.key == "start_time":
        return millis(STARTED, clause, bound)
    if clause.key == "end_time":
        return millis("r.ended_us", clause, bound)
    return compared(_COLUMNS[clause.key], clause, bound)


def _dataset(clause: Clause, bound: Bound) -> str:
    if clause.key == "context":
        said = compared("i.value", clause, bound)
        return f"run_input_tags i where i.key = 'mlflow.data.context' and {said}"
    return f"datasets d cross join run_inputs i where i.dataset = d.id and {compared(f'd.{clause.key}', clause, bound)}"


def drives(clause: Clause) -> bool:
    """Say whether an index leads from a comparison to its runs."""
    if clause.entity == "attribute":
        return clause.op in ("=", "IN") and clause.key in ("run_id", "run_name", "status", "state")
    if clause.entity == "dataset":
        return True
    return clause.op not in NULLS and not step_of(clause.key)[1]


def walks(order: Order) -> bool:
    """Say whether the values that runs are ordered by have an index: those of metrics, parameters and tags have."""
    return order.entity in _TABLES and not step_of(order.key)[1]


def source_of(clauses: Sequence[Clause], experiments: Sequence[int] | None, bound: Bound) -> str:
    """Return what selects the runs, as `run`, that comparisons of one thing alone leave."""
    clause = clauses[0]
    if clause.entity == "attribute":
        indexed = " and ".join(_indexed(one, bound) for one in clauses)
        return f"select r.number as run from runs r where {indexed}"  # noqa: S608 - constants, bound
    if clause.entity == "dataset":
        assert len(clauses) == 1, "two data sets may fit two comparisons"
        return f"select distinct i.run as run from {_dataset(clause, bound)}"  # noqa: S608 - constants, bound
    where = [at("x", clause.key, bound), *(_held(one, bound) for one in clauses)]
    if experiments is None:
        where.append("x.experiment in (select e.id from experiments e)")
    else:
        where.append(f"x.experiment in {bound.several(experiments)}")
    return f"select x.run as run from {_TABLES[clause.entity]} x where {' and '.join(where)}"  # noqa: S608


def _held(clause: Clause, bound: Bound) -> str:
    """Return the condition on what an index holds of a value."""
    if clause.op != "=" or clause.entity == "metric":
        return _value("x", clause, bound)
    # The value is not compared as it is: SQLite would put it into the expression of the index, and miss the index.
    text = str(clause.value)
    head = f"substr(x.value, 1, {HEAD_LETTERS}) = {bound(text[:HEAD_LETTERS])}"
    return head if len(text) < HEAD_LETTERS else f"{head} and x.value || '' = {bound(text)}"


def _indexed(clause: Clause, bound: Bound) -> str:
    """Return the condition on a column that has an index."""
    if clause.key != "status":
        return compared(_COLUMNS[clause.key], clause, bound)
    states = [state for state, status in STATUS_OF.items() if status == clause.value]
    states += [FAILED, INTERRUPTED] if clause.value == "FAILED" else []
    return f"r.state in {bound.several(states or [''])}"


def keys_of(orders: Sequence[Order]) -> list[Key]:
    """Return what runs are ordered by: for each order a class (a value, not a number, none) and the value; then start.

    Runs that start later come first; ids decide between those that start at once.
    """
    keys: list[Key] = []
    for place, order in enumerate(orders):
        alias = f"o{place}"
        if order.entity == "metric":
            keys.append(Key(sql=f"case when {alias}.run is null then 2 else {alias}.is_nan end", kind="i"))
            keys.append(Key(sql=f"coalesce({alias}.value, 0.0)", kind="f", descending=order.descending))
        elif order.entity in _TABLES:
            head = f"coalesce(substr({alias}.value, 1, {HEAD_LETTERS}), '')"
            keys.append(Key(sql=f"case when {alias}.run is null then 1 else 0 end", kind="i"))
            keys.append(Key(sql=head, kind="s", descending=order.descending))
        elif order.key == "start_time":
            keys.append(Key(sql=STARTED, kind="i", descending=order.descending))
        elif order.key == "end_time":
            keys.append(Key(sql="case when r.ended_us is null then 1 else 0 end", kind="i"))
            keys.append(Key(sql="coalesce(r.ended_us, 0)", kind="i", descending=order.descending))
        else:
            keys.append(Key(sql=_COLUMNS[order.key], kind="s", descending=order.descending))
    if all(key.sql != STARTED for key in keys):
        keys.append(Key(sql=STARTED, kind="i", descending=True))
    if all(key.sql != "r.id" for key in keys):
        keys.append(Key(sql="r.id", kind="s"))
    return keys


def lookups(orders: Sequence[Order], bound: Bound, *, leading: bool = False) -> str:
    """Return the joins that bring what runs are ordered by.

    Args:
        orders: what they are ordered by.
        bound: where the values go.
        leading: whether the first one is walked itself, and needs no join.
    """
    joins: list[str] = []
    for place, order in enumerate(orders):
        if order.entity in _TABLES and not (leading and place == 0):
            alias = f"o{place}"
            on = f"{alias}.run = r.number and {at(alias, order.key, bound)}"
            joins.append(f"left join {_TABLES[order.entity]} {alias} on {on}")
    return " ".join(joins)
