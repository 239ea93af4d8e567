"""Finding logged models: by MLflow's filters, on chosen datasets, in order, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ropewalk.errors import Invalid
from ropewalk.models import compile as sql
from ropewalk.models.logged import LoggedModel
from ropewalk.models.search import require_count
from ropewalk.runs import experiments, grammar, paging
from ropewalk.runs.fragments import Bound, Key, compared, millis
from ropewalk.runs.grammar import LISTS, NUMBERS, TEXTS, Clause, Field, Order, Vocabulary
from ropewalk.store.database import Reader, Row

COUNT_MAX = 1 << 31
PAGE_ROWS = 1000
EXPERIMENTS_MAX = 1000
DATASETS_MAX = 100
_TEXT = TEXTS | LISTS
_CREATED = Field(name="created", kind="number", ops=NUMBERS)
_UPDATED = Field(name="updated", kind="number", ops=NUMBERS)
_COLUMNS = {
    "name": "m.name",
    "id": "m.id",
    "model_type": "m.model_type",
    "source_run": "m.source_run",
    "status": "m.status",
    "status_message": "m.status_message",
    "location": "m.location",
    "experiment": "cast(m.experiment as text)",
    "lifecycle": "case when m.deleted_us is null then 'active' else 'deleted' end",
}
_STAMPS = {"created": "m.created_us", "updated": "m.updated_us"}
_ATTRIBUTES = {
    "name": Field(name="name", ops=_TEXT),
    "model_id": Field(name="id", ops=_TEXT),
    "model_type": Field(name="model_type", ops=_TEXT),
    "source_run_id": Field(name="source_run", ops=_TEXT),
    "status": Field(name="status", ops=_TEXT),
    "status_message": Field(name="status_message", ops=_TEXT),
    "artifact_location": Field(name="location", ops=_TEXT),
    "experiment_id": Field(name="experiment", ops=_TEXT),
    "lifecycle_stage": Field(name="lifecycle", ops=_TEXT),
    **grammar.spellings(_CREATED, ("creation_timestamp", "creation_timestamp_ms", "creation_time")),
    **grammar.spellings(_UPDATED, ("last_updated_timestamp", "last_updated_timestamp_ms")),
}
_LOGGED = Vocabulary(
    thing="logged model",
    entities={"attributes": "attribute", "metrics": "metric", "params": "param", "tags": "tag"},
    keyed={
        "metric": Field(kind="number", ops=NUMBERS),
        "param": Field(ops=_TEXT, orders=False),
        "tag": Field(ops=_TEXT, orders=False),
    },
    fields={"attribute": _ATTRIBUTES},
    example="metrics.auc > 0.8 and params.depth = '8'",
)
_SOURCE = {"param": "logged_model_params", "tag": "logged_model_tags"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """What metrics were measured on.

    Attributes:
        name: of the dataset.
        digest: its version; empty for any.
    """

    name: str
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """One thing that logged models are ordered by.

    Attributes:
        name: such as `metrics.auc` or `creation_timestamp`.
        descending: whether the largest comes first; what is missing comes last both ways.
        on: only what was measured on this dataset counts; None for all.
    """

    name: str
    descending: bool = False
    on: Dataset | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A page of logged models.

    Attributes:
        models: in the order that was asked for.
        token: given to the next search for those that follow; empty when there are none.
    """

    models: tuple[LoggedModel, ...]
    token: str


def search(
    reader: Reader,
    within: Sequence[object],
    text: str = "",
    *,
    datasets: Sequence[Dataset] = (),
    order_by: Sequence[By] = (),
    count: int = 100,
    token: str = "",
) -> Found:
    """Return logged models that a filter fits, newest first when nothing else is said.

    A metric fits when any of its points does; it is ordered by its newest one.

    Args:
        reader: where the rows are.
        within: ids of experiments.
        text: the filter; empty for all.
        datasets: metrics are only looked at where they were measured on one of these; all when empty.
        order_by: first thing first.
        count: how many at most; no more than 1,000 come at once.
        token: of the page before, of the same search.

    Raises:
        Invalid: experiments, filter, order, count or token are not understood.
    """
    require_count(count, COUNT_MAX)
    limit, ids = min(count, PAGE_ROWS), _experiments(within)
    clauses = grammar.parse(text, _LOGGED)
    bound = Bound(len(clauses))
    _check_datasets(datasets)
    conditions = ["m.deleted_us is null", f"m.experiment in {bound.several(ids)}"]
    conditions += [_condition(clause, datasets, bound) for clause in clauses]
    if datasets and not any(clause.entity == "metric" for clause in clauses):
        conditions.append(sql.MEASURED.format(_on_any(datasets, bound)))
    keys = _keys(order_by, bound)
    asked = _asked(ids, text, datasets, order_by)
    rows = sql.page(
        reader,
        sql.LOGGED,
        sql.LOGGEDS,
        conditions=conditions,
        keys=keys,
        bound=bound,
        after=paging.after(token, asked, "".join(key.kind for key in keys)),
        count=limit + 1,
    )
    more = paging.token(asked, sql.place_of(rows[limit - 1], keys)) if len(rows) > limit else ""
    return Found(models=tuple(map(_model, rows[:limit])), token=more)


def _model(row: Row) -> LoggedModel:
    return LoggedModel(**{name: row[name] for name in LoggedModel.__slots__})  # type: ignore[arg-type]


def _asked(ids: Sequence[int], text: str, datasets: Sequence[Dataset], order_by: Sequence[By]) -> list[Any]:
    """Return everything that decides which models are found and in which order."""
    orders = [[one.name, one.descending, *([one.on.name, one.on.digest] if one.on else [])] for one in order_by]
    return ["logged", list(ids), text, [[one.name, one.digest] for one in datasets], orders]


def _experiments(within: Sequence[object]) -> list[int]:
    if not 1 <= len(within) <= EXPERIMENTS_MAX:
        raise Invalid(
            "experiments-missing",
            "A search for logged models says in which experiments.",
            where="experiment_ids",
            why=f"1 to {EXPERIMENTS_MAX:,} ids, found {len(within):,}",
        )
    return sorted({experiments.parse_id(one) for one in within})


def _check_datasets(datasets: Sequence[Dataset]) -> None:
    if len(datasets) > DATASETS_MAX:
        raise Invalid(
            "count-invalid",
            "A search cannot name so many datasets.",
            where="datasets",
            why=f"{DATASETS_MAX} at most, found {len(datasets):,}",
        )


def _condition(clause: Clause, datasets: Sequence[Dataset], bound: Bound) -> str:
    if clause.entity == "attribute":
        if clause.key in _STAMPS:
            return millis(_STAMPS[clause.key], clause, bound)
        return compared(_COLUMNS[clause.key], clause, bound)
    if clause.entity == "metric":
        said = compared("x.value", clause, bound)
        fits = f"(x.is_nan = 1 or {said})" if clause.op == "!=" else f"x.is_nan = 0 and {said}"
        return sql.measured(bound(clause.key), f"{fits} and {_on_any(datasets, bound)}" if datasets else fits)
    return sql.tagged(_SOURCE[clause.entity], "t.model = m.number", clause, bound)


def _on_any(datasets: Sequence[Dataset], bound: Bound) -> str:
    """Return that a point was measured on one of the datasets."""
    return f"({' or '.join(_on(one, bound) for one in datasets)})"


def _on(dataset: Dataset, bound: Bound) -> str:
    name = f"x.dataset_name = {bound(dataset.name)}"
    return f"({name} and x.dataset_digest = {bound(dataset.digest)})" if dataset.digest else name


def _keys(order_by: Sequence[By], bound: Bound) -> list[Key]:
    orders = grammar.parse_order([_spoken(one) for one in order_by], _LOGGED)
    keys: list[Key] = []
    for by, order in zip(order_by, orders, strict=True):
        keys += _metric_keys(by, order, bound) if order.entity == "metric" else _attribute_keys(order)
    named = {order.key for order in orders if order.entity == "attribute"}
    if "created" not in named:
        keys.append(Key(sql="m.created_us / 1000", kind="i", descending=True))
    if "id" not in named:
        keys.append(Key(sql="m.id", kind="s"))
    return keys


def _spoken(by: By) -> str:
    """Return an order as the grammar reads it; a metric's key may hold anything."""
    entity, dot, key = by.name.partition(".")
    name = f"{entity}.`{key}`" if dot and "`" not in key else by.name
    return f"{name} {'DESC' if by.descending else 'ASC'}"


def _metric_keys(by: By, order: Order, bound: Bound) -> list[Key]:
    """Return what orders by the newest point of a metric: numbers first, then NaN, then what has none."""
    on = f" and {_on(by.on, bound)}" if by.on else ""
    newest = f"{sql.measured_key(bound(order.key))}{on} order by x.at_ms desc, x.step desc, x.run_id limit 1"
    return [
        Key(sql=f"coalesce((select x.is_nan {newest}), 2)", kind="i"),
        Key(sql=f"coalesce((select x.value {newest}), 0.0)", kind="f", descending=order.descending),
    ]


def _attribute_keys(order: Order) -> list[Key]:
    if order.key in _STAMPS:
        return [Key(sql=f"{_STAMPS[order.key]} / 1000", kind="i", descending=order.descending)]
    column = _COLUMNS[order.key]
    return [
        Key(sql=f"case when {column} = '' then 1 else 0 end", kind="i"),
        Key(sql=column, kind="s", descending=order.descending),
    ]
