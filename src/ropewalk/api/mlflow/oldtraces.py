"""Traces as clients before MLflow 3 tell and ask for them."""

from __future__ import annotations

from functools import partial
from typing import Literal

from ropewalk.api.mlflow.message import Message
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.api.mlflow.traces import required
from ropewalk.store.database import Reader, Transaction
from ropewalk.traces import search, start
from ropewalk.traces import trace as traces
from ropewalk.traces.trace import IN_PROGRESS, UNSPECIFIED, Info

Status = Literal["TRACE_STATUS_UNSPECIFIED", "OK", "ERROR", "IN_PROGRESS"]
_UNSPECIFIED: Status = "TRACE_STATUS_UNSPECIFIED"


class Pair(Message, frozen=True, kw_only=True):
    """A name and its value."""

    key: str = ""
    value: str = ""


class OldTrace(Message, frozen=True, kw_only=True):
    """What is known of a trace."""

    request_id: str = ""
    experiment_id: str = ""
    timestamp_ms: int = 0
    execution_time_ms: int = 0
    status: str = _UNSPECIFIED
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class One(Message, frozen=True, kw_only=True):
    """A trace."""

    trace_info: OldTrace


class Begun(Message, frozen=True, kw_only=True):
    """`POST traces`: the beginning of a trace."""

    experiment_id: str = ""
    timestamp_ms: int = 0
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class Ended(Message, frozen=True, kw_only=True):
    """`PATCH traces/{trace_id}`: its end."""

    request_id: str = ""
    timestamp_ms: int = 0
    status: Status = _UNSPECIFIED
    request_metadata: list[Pair] = []
    tags: list[Pair] = []


class Which(Message, frozen=True, kw_only=True):
    """The id again, as clients send it."""

    request_id: str = ""


class Search(Message, frozen=True, kw_only=True):
    """`GET traces`."""

    experiment_ids: list[str] = []
    filter: str = ""
    max_results: int = 100
    order_by: list[str] = []
    page_token: str = ""


class Found(Message, frozen=True, kw_only=True):
    """A page of traces."""

    traces: list[OldTrace] = []
    next_page_token: str = ""


def begin(tx: Transaction, call: Call) -> One:
    """Keep the beginning of a trace; its id is made here."""
    body: Begun = call.body
    if not body.experiment_id:
        raise required("experiment_id")
    told = start.Told(
        id="",
        experiment=body.experiment_id,
        start_ms=body.timestamp_ms,
        state=IN_PROGRESS,
        tags=_mapping(body.tags),
        metadata=_mapping(body.request_metadata),
    )
    return One(trace_info=_form(start.begin(tx, call.site, told)))


def end(tx: Transaction, call: Call) -> One:
    """Keep the end of a trace."""
    body: Ended = call.body
    made = start.end(
        tx,
        call.path["trace_id"],
        end_ms=body.timestamp_ms,
        state=UNSPECIFIED if body.status == _UNSPECIFIED else body.status,
        tags=_mapping(body.tags),
        metadata=_mapping(body.request_metadata),
    )
    return One(trace_info=_form(made))


def show(reader: Reader, call: Call) -> One:
    """Return a trace."""
    return One(trace_info=_form(traces.info(reader, call.path["trace_id"])))


def search_traces(reader: Reader, call: Call) -> Found:
    """Return a page of the traces that fit a filter."""
    asked: Search = call.body
    if not asked.experiment_ids:
        raise required("experiment_ids")
    page = search.search(
        reader,
        asked.experiment_ids,
        where=asked.filter,
        orders=asked.order_by,
        count=asked.max_results,
        token=asked.page_token,
    )
    return Found(traces=[_form(one) for one in page.traces], next_page_token=page.token)


def _mapping(pairs: list[Pair]) -> dict[str, str]:
    return {one.key: one.value for one in pairs}


def _form(info: Info) -> OldTrace:
    trace = info.trace
    return OldTrace(
        request_id=trace.id,
        experiment_id=str(trace.experiment),
        timestamp_ms=trace.start_ms,
        execution_time_ms=trace.duration_ms or 0,
        status=_UNSPECIFIED if trace.state == UNSPECIFIED else trace.state,
        request_metadata=[Pair(key=key, value=value) for key, value in info.metadata.items()],
        tags=[Pair(key=key, value=value) for key, value in info.tags.items()],
    )


_changing = partial(Route, how=How.WRITE, action="write", result=One)
_asking = partial(Route, method="GET", how=How.READ, action="read")
ROUTES = (
    _changing(method="POST", path="/mlflow/traces", work=begin, body=Begun, summary="Keep the beginning of a trace"),
    _changing(
        method="PATCH", path="/mlflow/traces/{trace_id}", work=end, body=Ended, summary="Keep the end of a trace"
    ),
    _asking(path="/mlflow/traces", work=search_traces, body=Search, result=Found, summary="Search traces"),
    _asking(path="/mlflow/traces/{trace_id}/info", work=show, body=Which, result=One, summary="A trace"),
)
