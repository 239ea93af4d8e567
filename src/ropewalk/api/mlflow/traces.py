"""Traces as MLflow 3 tells and asks for them."""

from __future__ import annotations

import asyncio
from functools import partial

import msgspec

from ropewalk.api.mlflow.message import Message, Nothing, Number, spoken
from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.api.mlflow.traceinfo import Location, TraceForm, TraceInfo, form_of, told_of
from ropewalk.endpoints.problems import Receive, Send, answer
from ropewalk.errors import Invalid, NotFound
from ropewalk.store.database import Reader, Transaction
from ropewalk.traces import delete, links, search, start, tags, whole
from ropewalk.traces import trace as traces

WAIT_SECONDS = (0.0, 0.2, 0.8, 2.0)
BOTH = ("2.0", "3.0")


class Started(Message, frozen=True, kw_only=True):
    """`POST traces`: a trace, told whole."""

    trace: TraceForm | None = None


class OneTrace(Message, frozen=True, kw_only=True):
    """A trace."""

    trace: TraceForm


class Asked(Message, frozen=True, kw_only=True):
    """`GET traces/get`: which trace, and whether it may be half."""

    trace_id: str = ""
    allow_partial: bool = False


class Several(Message, frozen=True, kw_only=True):
    """Which traces, and in which experiments alone."""

    trace_ids: list[str] = []
    experiment_ids: list[str] | None = None


class SeveralTraces(Message, frozen=True, kw_only=True):
    """Traces with their spans."""

    traces: list[TraceForm] = []


class SeveralInfos(Message, frozen=True, kw_only=True):
    """Traces without their spans."""

    trace_infos: list[TraceInfo] = []


class Search(Message, frozen=True, kw_only=True):
    """`POST traces/search`."""

    locations: list[Location] = []
    filter: str = ""
    max_results: int = 100
    order_by: list[str] = []
    page_token: str = ""


class Found(Message, frozen=True, kw_only=True):
    """A page of traces."""

    traces: list[TraceInfo] = []
    next_page_token: str = ""


class Tag(Message, frozen=True, kw_only=True):
    """A tag's name and value."""

    key: str = ""
    value: str = ""


class Deletion(Message, frozen=True, kw_only=True):
    """`POST traces/delete-traces`: which traces go."""

    experiment_id: str = ""
    max_timestamp_millis: int | None = None
    max_traces: int | None = None
    request_ids: list[str] = []


class Deleted(Message, frozen=True, kw_only=True, omit_defaults=False):
    """How many went."""

    traces_deleted: int = 0


class RunLink(Message, frozen=True, kw_only=True):
    """`POST traces/link-to-run`."""

    trace_ids: list[str] = []
    run_id: str = ""


class PromptVersion(Message, frozen=True, kw_only=True):
    """A prompt's name and version."""

    name: str = ""
    version: str = ""


class PromptLink(Message, frozen=True, kw_only=True):
    """`POST traces/link-prompts`."""

    trace_id: str = ""
    prompt_versions: list[PromptVersion] = []


class Pair(Message, frozen=True, kw_only=True):
    """`POST traces/calculate-filter-correlation`."""

    experiment_ids: list[str] = []
    filter_string1: str = ""
    filter_string2: str = ""
    base_filter: str = ""


class Correlated(Message, frozen=True, kw_only=True, omit_defaults=False):
    """How often two filters hold together."""

    npmi: Number
    npmi_smoothed: Number
    filter1_count: int
    filter2_count: int
    joint_count: int
    total_count: int


def start_trace(tx: Transaction, call: Call) -> OneTrace:
    """Keep a trace that its client tells whole."""
    form = call.body.trace
    if form is None or form.trace_info is None:
        raise required("trace.trace_info")
    made = start.start(tx, call.site, told_of(form.trace_info))
    return OneTrace(trace=TraceForm(trace_info=form_of(made)))


def trace_info(reader: Reader, call: Call) -> OneTrace:
    """Return a trace without its spans."""
    return OneTrace(trace=TraceForm(trace_info=form_of(traces.info(reader, call.path["trace_id"]))))


async def get_trace(call: Call, _receive: Receive, send: Send) -> None:
    """Return a trace with its spans; one whose spans are still on their way is waited for a little."""
    asked: Asked = call.body
    if not asked.trace_id:
        raise required("trace_id")
    for pause in (0.0,) if asked.allow_partial else WAIT_SECONDS:
        await asyncio.sleep(pause)
        found = await asyncio.to_thread(_whole, call, asked)
        if found is not None:
            await answer(send, 200, found)
            return
    raise NotFound(
        "trace-incomplete",
        f"Trace with ID {asked.trace_id[:100]!r} is not fully exported yet.",
        where=f"trace:{asked.trace_id[:100]}",
        why="its client told of more spans than have come",
        fix="ask again later, or with allow_partial=true",
    )


def _whole(call: Call, asked: Asked) -> bytes | None:
    with call.site.db.read() as reader:
        found = whole.get_whole(reader, asked.trace_id, partial=asked.allow_partial)
    return None if found is None else msgspec.json.encode(OneTrace(trace=_form(found)))


def _form(found: whole.Whole) -> TraceForm:
    return TraceForm(trace_info=form_of(found.info), spans=list(found.spans))


def batch_get(reader: Reader, call: Call) -> SeveralTraces:
    """Return several traces with their spans, without those whose spans have not all come."""
    asked: Several = call.body
    found = whole.several(reader, _ids(asked), asked.experiment_ids)
    return SeveralTraces(traces=[_form(one) for one in found])


def batch_infos(reader: Reader, call: Call) -> SeveralInfos:
    """Return several traces without their spans."""
    found = traces.by_ids(reader, _ids(call.body), call.body.experiment_ids)
    return SeveralInfos(trace_infos=[form_of(one) for one in traces.infos(reader, found)])


def _ids(asked: Several) -> list[str]:
    if not asked.trace_ids:
        raise required("trace_ids")
    return asked.trace_ids


def search_traces(reader: Reader, call: Call) -> Found:
    """Return a page of the traces that fit a filter."""
    asked: Search = call.body
    if not asked.locations:
        raise required("locations")
    places = [one.mlflow_experiment.experiment_id for one in asked.locations if one.mlflow_experiment is not None]
    page = search.search(
        reader,
        places,
        where=asked.filter,
        orders=asked.order_by,
        count=asked.max_results,
        token=asked.page_token,
    )
    return Found(traces=[form_of(one) for one in page.traces], next_page_token=page.token)


def set_tag(tx: Transaction, call: Call) -> Nothing:
    """Give a trace a tag."""
    tags.set_tag(tx, call.path["trace_id"], _key(call), call.body.value)
    return Nothing()


def delete_tag(tx: Transaction, call: Call) -> Nothing:
    """Take a tag off a trace."""
    tags.delete_tag(tx, call.path["trace_id"], _key(call))
    return Nothing()


def _key(call: Call) -> str:
    if not call.body.key:
        raise required("key")
    return str(call.body.key)


def delete_traces(tx: Transaction, call: Call) -> Deleted:
    """Delete traces of an experiment."""
    asked: Deletion = call.body
    if not asked.experiment_id:
        raise required("experiment_id")
    gone = delete.delete(
        tx,
        call.site,
        asked.experiment_id,
        ids=asked.request_ids,
        max_ms=asked.max_timestamp_millis,
        count=asked.max_traces,
    )
    return Deleted(traces_deleted=gone)


def link_run(tx: Transaction, call: Call) -> Nothing:
    """Make traces belong to a run."""
    if not call.body.trace_ids or not call.body.run_id:
        raise required("run_id" if call.body.trace_ids else "trace_ids")
    links.link_run(tx, call.body.trace_ids, call.body.run_id)
    return Nothing()


def link_prompts(tx: Transaction, call: Call) -> Nothing:
    """Note which prompts a trace used."""
    if not call.body.trace_id or not call.body.prompt_versions:
        raise required("prompt_versions" if call.body.trace_id else "trace_id")
    links.link_prompts(tx, call.body.trace_id, [(one.name, one.version) for one in call.body.prompt_versions])
    return Nothing()


def correlate(reader: Reader, call: Call) -> Correlated:
    """Say how often two filters hold together."""
    asked: Pair = call.body
    for name in ("experiment_ids", "filter_string1", "filter_string2"):
        if not getattr(asked, name):
            raise required(name)
    found = search.correlate(
        reader, asked.experiment_ids, asked.filter_string1, asked.filter_string2, asked.base_filter
    )
    return Correlated(
        npmi=spoken(found.npmi),
        npmi_smoothed=spoken(found.smoothed),
        filter1_count=found.first,
        filter2_count=found.second,
        joint_count=found.joint,
        total_count=found.total,
    )


def required(name: str) -> Invalid:
    """Return the error that names a parameter that is missing."""
    return Invalid(
        "request-malformed", f"Missing value for required parameter {name!r}.", where=name, fix=f'"{name}": ...'
    )


_asking = partial(Route, how=How.READ, action="read", versions=("3.0",))
_changing = partial(Route, how=How.WRITE, action="write", versions=BOTH)
_T = "/mlflow/traces"
ROUTES = (
    Route(
        method="POST",
        path=_T,
        work=start_trace,
        how=How.WRITE,
        body=Started,
        result=OneTrace,
        action="write",
        versions=("3.0",),
        summary="Keep a trace",
    ),
    Route(
        method="GET",
        path=f"{_T}/get",
        work=get_trace,
        how=How.STREAM,
        body=Asked,
        result=OneTrace,
        action="read",
        versions=("3.0",),
        summary="A trace with its spans",
    ),
    _asking(
        method="GET",
        path=f"{_T}/batchGet",
        work=batch_get,
        body=Several,
        result=SeveralTraces,
        summary="Several traces with their spans",
    ),
    _asking(
        method="POST",
        path=f"{_T}/batchGetInfos",
        work=batch_infos,
        body=Several,
        result=SeveralInfos,
        summary="Several traces without their spans",
    ),
    _asking(method="POST", path=f"{_T}/search", work=search_traces, body=Search, result=Found, summary="Search traces"),
    _asking(
        method="POST",
        path=f"{_T}/calculate-filter-correlation",
        work=correlate,
        body=Pair,
        result=Correlated,
        summary="Say how often two filters hold together",
    ),
    _asking(
        method="GET", path=f"{_T}/{{trace_id}}", work=trace_info, result=OneTrace, summary="A trace without its spans"
    ),
    _changing(
        method="POST",
        path=f"{_T}/delete-traces",
        work=delete_traces,
        body=Deletion,
        result=Deleted,
        summary="Delete traces",
    ),
    _changing(
        method="POST",
        path=f"{_T}/link-to-run",
        work=link_run,
        body=RunLink,
        result=Nothing,
        summary="Make traces belong to a run",
    ),
    _changing(
        method="POST",
        path=f"{_T}/link-prompts",
        work=link_prompts,
        body=PromptLink,
        result=Nothing,
        summary="Note which prompts a trace used",
    ),
    _changing(
        method="PATCH", path=f"{_T}/{{trace_id}}/tags", work=set_tag, body=Tag, result=Nothing, summary="Tag a trace"
    ),
    _changing(
        method="DELETE",
        path=f"{_T}/{{trace_id}}/tags",
        work=delete_tag,
        body=Tag,
        result=Nothing,
        summary="Take a tag off a trace",
    ),
)
