"""Finding registered models and versions: by MLflow's filters, in order, a page at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ropewalk.errors import Invalid
from ropewalk.models import compile as sql
from ropewalk.models import prompts
from ropewalk.models.registered import RegisteredModel
from ropewalk.models.versions import ModelVersion
from ropewalk.runs import grammar, paging
from ropewalk.runs.fragments import Bound, Key, compared
from ropewalk.runs.grammar import LISTS, NUMBERS, TEXTS, Clause, Field, Order, Vocabulary
from ropewalk.store.database import Reader, Row

MODELS_MAX = 1000
VERSIONS_MAX = 200_000
# So many versions leave in one answer; who wants more follows the token.
PAGE_ROWS = 10_000
_ENTITIES = {"attribute": "attribute", "tag": "tag", "tags": "tag"}
_TAGS = {"tag": Field(kind="text", ops=TEXTS, orders=False)}
_NAME = Field(name="name", ops=TEXTS | LISTS)
_MODEL = Vocabulary(
    thing="registered model",
    entities=_ENTITIES,
    keyed=_TAGS,
    fields={"attribute": {"name": _NAME}},
    example="name LIKE 'flights%' and tags.team = 'ops'",
)
_MODEL_ORDER = Vocabulary(
    thing="registered model",
    entities=_ENTITIES,
    keyed=_TAGS,
    fields={
        "attribute": {
            "name": _NAME,
            "timestamp": Field(name="updated"),
            "last_updated_timestamp": Field(name="updated"),
            "creation_timestamp": Field(name="created"),
        }
    },
)
_VERSION = Vocabulary(
    thing="model version",
    entities=_ENTITIES,
    keyed=_TAGS,
    fields={
        "attribute": {
            "name": _NAME,
            "run_id": Field(name="run_id", ops=TEXTS | LISTS),
            "source_path": Field(name="source", ops=TEXTS),
            "version_number": Field(name="version", kind="whole", ops=NUMBERS, quoted=True),
        }
    },
    example="name = 'flights' and version_number > 3",
)
_VERSION_ORDER = Vocabulary(
    thing="model version",
    entities=_ENTITIES,
    keyed=_TAGS,
    fields={
        "attribute": {
            "name": _NAME,
            "version_number": Field(name="version"),
            "creation_timestamp": Field(name="created"),
            "last_updated_timestamp": Field(name="updated"),
        }
    },
)
_MODEL_COLUMNS = {"name": "m.name"}
_MODEL_KEYS = {
    "name": Key(sql="m.name", kind="s"),
    "created": Key(sql="m.created_us / 1000", kind="i"),
    "updated": Key(sql="m.updated_us / 1000", kind="i"),
}
_VERSION_COLUMNS = {"name": "m.name", "run_id": "v.run_id", "source": "v.source", "version": "v.version"}
_VERSION_KEYS = {
    "name": Key(sql="m.name", kind="s"),
    "version": Key(sql="v.version", kind="i"),
    "created": Key(sql="v.created_us / 1000", kind="i"),
    "updated": Key(sql="v.updated_us / 1000", kind="i"),
}
_NEWEST = Order(entity="attribute", key="updated", descending=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """A page of registered models.

    Attributes:
        models: in the order that was asked for.
        token: given to the next search for those that follow; empty when there are none.
    """

    models: tuple[RegisteredModel, ...]
    token: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """A page of model versions.

    Attributes:
        versions: in the order that was asked for.
        token: given to the next search for those that follow; empty when there are none.
    """

    versions: tuple[ModelVersion, ...]
    token: str


def models(
    reader: Reader, text: str = "", *, order_by: Sequence[str] = (), count: int = 100, token: str = ""
) -> Models:
    """Return registered models that a filter fits; prompts only when it asks for them.

    Args:
        reader: where the rows are.
        text: the filter; empty for all.
        order_by: such as `name DESC` or `last_updated_timestamp`; by name at last.
        count: how many at most, 1 to 1,000.
        token: of the page before, with the same filter and order.

    Raises:
        Invalid: filter, order, count or token is not understood.
    """
    require_count(count, MODELS_MAX)
    keys = _keys(grammar.parse_order(order_by, _MODEL_ORDER), _MODEL_KEYS, (("name", False),))
    clauses = grammar.parse(text, _MODEL)
    bound = Bound(len(clauses))
    tags = _Tags(table="registered_model_tags", own="t.model = m.id", family="t.model = m.id")
    conditions = _conditions(clauses, _MODEL_COLUMNS, tags, bound)
    search = ["models", text, *order_by]
    rows = sql.page(
        reader,
        sql.MODEL,
        sql.MODELS,
        conditions=["m.deleted_us is null", *conditions],
        keys=keys,
        bound=bound,
        after=paging.after(token, search, "".join(key.kind for key in keys)),
        count=count + 1,
    )
    found = tuple(RegisteredModel(**_own(row, RegisteredModel.__slots__)) for row in rows[:count])
    more = paging.token(search, sql.place_of(rows[count - 1], keys)) if len(rows) > count else ""
    return Models(models=found, token=more)


def versions(
    reader: Reader, text: str = "", *, order_by: Sequence[str] = (), count: int = PAGE_ROWS, token: str = ""
) -> Versions:
    """Return versions that a filter fits; those of prompts only when it asks for them.

    Args:
        reader: where the rows are.
        text: the filter; empty for all.
        order_by: such as `version_number DESC`; newest change first when empty.
        count: how many at most, 1 to 200,000; no more than 10,000 come at once.
        token: of the page before, with the same filter and order.

    Raises:
        Invalid: filter, order, count or token is not understood.
    """
    require_count(count, VERSIONS_MAX)
    limit = min(count, PAGE_ROWS)
    orders = grammar.parse_order(order_by, _VERSION_ORDER) or (_NEWEST,)
    keys = _keys(orders, _VERSION_KEYS, (("name", False), ("version", True)))
    clauses = grammar.parse(text, _VERSION)
    bound = Bound(len(clauses))
    own = "t.model = v.model and t.version = v.version"
    tags = _Tags(table="model_version_tags", own=own, family="t.model = v.model")
    conditions = _conditions(clauses, _VERSION_COLUMNS, tags, bound)
    search = ["versions", text, *order_by]
    rows = sql.page(
        reader,
        sql.VERSION,
        sql.VERSIONS,
        conditions=["m.deleted_us is null", "v.deleted_us is null", *conditions],
        keys=keys,
        bound=bound,
        after=paging.after(token, search, "".join(key.kind for key in keys)),
        count=limit + 1,
    )
    found = tuple(ModelVersion(**_own(row, ModelVersion.__slots__)) for row in rows[:limit])
    more = paging.token(search, sql.place_of(rows[limit - 1], keys)) if len(rows) > limit else ""
    return Versions(versions=found, token=more)


def require_count(count: int, most: int) -> None:
    """Pass only a number of results that a page may have.

    Raises:
        Invalid: it is below 1 or above the most.
    """
    if not 1 <= count <= most:
        raise Invalid(
            "count-invalid",
            "A page cannot have so many results.",
            where="max_results",
            why=f"it is 1 to {most:,}, found {count}",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tags:
    """Where the tags of what is searched are.

    Attributes:
        table: of tags.
        own: joins a tag `t` with the row that it is of.
        family: joins a tag `t` with the row's whole registered model.
    """

    table: str
    own: str
    family: str


def _conditions(clauses: Sequence[Clause], columns: Mapping[str, str], tags: _Tags, bound: Bound) -> list[str]:
    """Return what must hold; a filter that does not ask for prompts leaves them out, as MLflow does."""
    wanted = _wants_prompts(clauses)
    found: list[str] = []
    for clause in clauses:
        if clause.entity == "attribute":
            found.append(compared(columns[clause.key], clause, bound))
        elif clause.key != prompts.MARK or wanted:
            found.append(sql.tagged(tags.table, tags.own, clause, bound))
    if not wanted:
        mark = Clause(entity="tag", key=prompts.MARK, op="=", value="true")
        found.append(f"not {sql.tagged(tags.table, tags.family, mark, bound)}")
    return found


def _wants_prompts(clauses: Sequence[Clause]) -> bool:
    marks = [clause for clause in clauses if clause.entity == "tag" and clause.key == prompts.MARK]
    if not marks:
        return False
    first = marks[0]
    return (first.op, str(first.value).lower()) in {("=", "true"), ("!=", "false")}


def _keys(orders: Sequence[Order], known: Mapping[str, Key], last: Sequence[tuple[str, bool]]) -> list[Key]:
    """Return what is ordered by, ended so that no two rows are alike."""
    wanted = [(order.key, order.descending) for order in orders]
    wanted += [pair for pair in last if pair[0] not in {name for name, _ in wanted}]
    return [replace(known[name], descending=descending) for name, descending in wanted]


def _own(row: Row, fields: Iterable[str]) -> dict[str, Any]:
    return {name: row[name] for name in fields}
