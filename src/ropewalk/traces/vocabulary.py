"""What a search for traces may speak of, in MLflow's words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ropewalk.errors import Invalid
from ropewalk.runs.grammar import LISTS, NULLS, NUMBERS, TEXTS, Clause, Field, Order, Vocabulary, parse, parse_order

_SEEN = TEXTS | {"RLIKE"}
_LISTED = _SEEN | LISTS
_ENTITIES = {
    "tag": "tag",
    "tags": "tag",
    "metadata": "metadata",
    "request_metadata": "metadata",
    "attribute": "attribute",
    "attributes": "attribute",
    "trace": "attribute",
    "span": "span",
    "feedback": "feedback",
    "expectation": "expectation",
    "issue": "issue",
}


def _whole(name: str) -> Field:
    return Field(name=name, kind="whole", ops=NUMBERS)


def _text(name: str, ops: frozenset[str] = _LISTED, *, orders: bool = True) -> Field:
    return Field(name=name, ops=ops, orders=orders)


VOCABULARY = Vocabulary(
    thing="trace",
    entities=_ENTITIES,
    keyed={
        "tag": Field(ops=_SEEN | NULLS),
        "metadata": Field(ops=_SEEN | NULLS),
        "span": Field(ops=_LISTED, orders=False),
        "feedback": Field(kind="either", ops=_SEEN | NULLS | NUMBERS, orders=False),
        "expectation": Field(kind="either", ops=_SEEN | NULLS | NUMBERS, orders=False),
    },
    fields={
        "attribute": {
            "request_id": _text("request_id"),
            "timestamp": _whole("timestamp_ms"),
            "timestamp_ms": _whole("timestamp_ms"),
            "execution_time": _whole("execution_time_ms"),
            "execution_time_ms": _whole("execution_time_ms"),
            "end_time": _whole("end_time_ms"),
            "end_time_ms": _whole("end_time_ms"),
            "status": _text("status"),
            "client_request_id": _text("client_request_id"),
            "name": _text("name", _LISTED | NULLS),
            "run_id": _text("run", frozenset({"=", "!="}) | LISTS),
            "prompt": _text("prompt", frozenset({"="}), orders=False),
            "text": _text("content", frozenset({"LIKE", "ILIKE"}), orders=False),
            "experiment_id": _whole("experiment_id"),
        },
        "issue": {"id": _text("id", frozenset({"="}), orders=False)},
    },
    example="trace.status = 'OK' and tags.team = 'ops' and feedback.correct = 'true'",
)
# Names by which columns of a trace go when they are asked for as tags or metadata.
_COLUMNS = {
    ("tag", "mlflow.traceName"): "name",
    ("metadata", "mlflow.trace.session"): "session",
    ("metadata", "mlflow.trace.tokenUsage"): "usage",
    ("metadata", "mlflow.trace.cost"): "cost",
    ("metadata", "mlflow.sourceRun"): "run",
}
_EXACT = frozenset({"=", "!="}) | NULLS


def read_filter(text: str) -> tuple[Clause, ...]:
    """Return the comparisons of a filter.

    Raises:
        Invalid: it is not understood.
    """
    return tuple(placed(clause) for clause in parse(text, VOCABULARY))


def read_order(texts: Sequence[str]) -> tuple[Order, ...]:
    """Return what traces are ordered by.

    Raises:
        Invalid: it is not understood, or a trace cannot be ordered by it.
    """
    return tuple(_ordered(order) for order in parse_order(texts, VOCABULARY))


def placed(clause: Clause) -> Clause:
    """Return a comparison with the column that holds what it names, where there is one.

    Raises:
        Invalid: that column is not compared so.
    """
    if clause.entity == "attribute" and clause.key == "content":
        return replace(clause, entity="span")
    if clause.key == "prompt" and clause.entity == "attribute" and str(clause.value).count("/") != 1:
        raise _bad("prompt", "a prompt is compared as 'NAME/VERSION'", "prompt = 'qa-prompt/4'")
    if clause.entity == "span":
        return _span(clause)
    column = _COLUMNS.get((clause.entity, clause.key))
    if column is None or (column == "run" and clause.op not in ("=", "!=")):
        return clause
    if column in ("usage", "cost") and clause.op not in _EXACT:
        raise _bad(clause.key, "it is compared with =, !=, IS NULL or IS NOT NULL", "IS NOT NULL")
    return replace(clause, entity="attribute", key=column)


def _span(clause: Clause) -> Clause:
    key = clause.key
    if key.startswith("attributes.") and len(key) > len("attributes."):
        name = key.removeprefix("attributes.").strip("`")
        return replace(clause, key=f"attributes.{name}")
    if key == "content":
        if clause.op not in ("LIKE", "ILIKE"):
            raise _bad("span.content", "it is compared with LIKE or ILIKE", "span.content LIKE '%refund%'")
        return clause
    if key not in ("name", "type", "status"):
        raise _bad(f"span.{key}", "a span has name, type, status and attributes.NAME", "span.type = 'LLM'")
    return clause


def _ordered(order: Order) -> Order:
    column = _COLUMNS.get((order.entity, order.key))
    if order.entity == "attribute" and order.key == "run":
        return replace(order, entity="metadata", key="mlflow.sourceRun")
    if column in ("usage", "cost"):
        raise Invalid(
            "order-invalid",
            "Traces cannot be ordered by this metadata.",
            where=order.key,
            why="it holds several numbers",
            fix="order by timestamp_ms or execution_time_ms",
        )
    if column in ("name", "session"):
        return replace(order, entity="attribute", key=column)
    return order


def _bad(where: str, why: str, fix: str) -> Invalid:
    return Invalid("filter-invalid", "The filter of the search is not understood.", where=where[:80], why=why, fix=fix)
