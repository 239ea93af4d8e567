"""Spans as OpenTelemetry sends them become rows, and what they say of their traces is kept with these."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ropewalk.errors import Invalid, NotFound
from ropewalk.runs import experiments
from ropewalk.runs.keys import check_tag_key
from ropewalk.store.database import Transaction, Value
from ropewalk.traces import links
from ropewalk.traces.refusal import SpanRefused
from ropewalk.traces.span import ERROR, SPAN_TYPE, Span, clean, from_otlp
from ropewalk.traces.start import SESSION_LETTERS_MAX, keep_sums, place_artifacts
from ropewalk.traces.summary import Node, cost_of, preview, total_cost, total_usage, usage_of
from ropewalk.traces.tags import OWN, tag_text
from ropewalk.traces.trace import ERROR as FAILED
from ropewalk.traces.trace import (
    IN_PROGRESS,
    METADATA,
    NAME,
    SPANS_LOCATION,
    TAG,
    TRACKING_STORE,
    UNSPECIFIED,
    USER,
    Trace,
    get,
)
from ropewalk.traces.trace import OK as DONE
from ropewalk.traces.translate import COST, INPUTS, MODEL, OUTPUTS, PROVIDER, USAGE, translated
from ropewalk.traces.values import dumped, from_pairs, legal, loaded

BATCH_SPANS_MAX = 10_000
TRACE_SPANS_MAX = 10_000
TRACE_BYTES_MAX = 64 << 20
RESOURCE_MAX = 100
DIMENSION_LETTERS_MAX = 500
REASONS_MAX = 5
TAG_PREFIX = "mlflow.traceTag."
OTHERS = ("telemetry.sdk.", "mlflow.")
SESSIONS = ("session.id", "gen_ai.conversation.id")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Spans that can be kept.

    Attributes:
        rows: span and its columns.
        rejected: how many cannot.
        reasons: why, for some of them.
    """

    rows: tuple[tuple[Span, dict[str, Value]], ...]
    rejected: int
    reasons: tuple[str, ...]

    def without(self, refused: Iterable[str]) -> Batch:
        """Return the batch with more spans counted as rejected."""
        more = list(refused)
        return Batch(rows=self.rows, rejected=self.rejected + len(more), reasons=(*self.reasons, *more)[:REASONS_MAX])


def read(told: object) -> Batch:
    """Return the spans of an `ExportTraceServiceRequest` in its JSON form, ids as hex digits.

    Raises:
        Invalid: it is no such request, or it holds no spans.
    """
    groups = _list(cast("dict[str, Any]", told), "resourceSpans") if isinstance(told, dict) else []
    if not groups:
        raise _malformed("no resourceSpans found")
    rows: list[tuple[Span, dict[str, Value]]] = []
    reasons: list[str] = []
    for group in groups:
        resource = _resource(group)
        for scope in _list(group, "scopeSpans"):
            for one in _list(scope, "spans"):
                try:
                    if len(rows) >= BATCH_SPANS_MAX:
                        raise SpanRefused(f"a request has more than {BATCH_SPANS_MAX} spans")  # noqa: TRY301
                    span = translated(from_otlp(one, resource))
                    rows.append((span, _row(span)))
                except SpanRefused as refusal:
                    reasons.append(f"span {clean(one.get('name'), 40)!r}: {refusal}")
    return Batch(rows=tuple(rows), rejected=len(reasons), reasons=tuple(reasons[:REASONS_MAX]))


def keep(tx: Transaction, experiment: str, batch: Batch, run: str = "") -> Batch:
    """Keep spans, and what they say of their traces; return the batch with what was rejected.

    Args:
        tx: the caller's transaction.
        experiment: id of the experiment that new traces lie in.
        batch: the spans.
        run: id of a run that traces whose root is among the spans belong to; empty for none.

    Raises:
        NotFound: there is no such experiment.
        Invalid: the experiment is deleted and a trace would be new.
    """
    home = experiments.get(tx, experiment)
    by_trace: dict[str, list[tuple[Span, dict[str, Value]]]] = {}
    for span, row in batch.rows:
        by_trace.setdefault(span.trace, []).append((span, row))
    refused: list[str] = []
    for trace, rows in sorted(by_trace.items()):
        known = tx.get(Trace, "traces.get", id=trace)
        if known is None:
            experiments.active(tx, home.id)
            known = _made(tx, trace, home.id, [span for span, _ in rows])
            place_artifacts(tx, known, home.location)
        refused += _keep_trace(tx, known, rows)
    whole = batch.without(refused)
    roots = sorted({span.trace for span, _ in batch.rows if span.parent is None})
    if run and roots:
        try:
            for start in range(0, len(roots), links.LINKS_MAX):
                links.link_run(tx, roots[start : start + links.LINKS_MAX], run)
        except NotFound:
            return Batch(rows=whole.rows, rejected=whole.rejected, reasons=(*whole.reasons, f"no run {run[:80]!r}"))
    return whole


def _keep_trace(tx: Transaction, trace: Trace, rows: Sequence[tuple[Span, dict[str, Value]]]) -> list[str]:
    """Keep the spans of one trace; return why some were not kept."""
    size = tx.row("traces.size", trace=trace.number) or {}
    count, total = int(str(size["spans"])), int(str(size["bytes"]))
    kept: list[tuple[Span, dict[str, Value]]] = []
    refused: list[str] = []
    for span, row in rows:
        new = tx.row("traces.has_span", trace=trace.number, id=span.id) is None
        if count + new > TRACE_SPANS_MAX or total + int(str(row["bytes"])) > TRACE_BYTES_MAX:
            refused.append(f"trace {trace.id} has more than {TRACE_SPANS_MAX} spans or {TRACE_BYTES_MAX} bytes")
            continue
        count, total = count + new, total + int(str(row["bytes"]))
        kept.append((span, row))
    if kept:
        tx.many("traces.set_span", [{**row, "trace": trace.number} for _, row in kept])
        _tell(tx, trace, [span for span, _ in kept])
    return refused


def _tell(tx: Transaction, trace: Trace, spans: Sequence[Span]) -> None:
    """Bring a trace up to date with its spans; what its client told as a whole stays."""
    root = next((span for span in spans if span.parent is None), None)
    tags = _tags(spans, root)
    changed: dict[str, Value] = {
        "state": _state(root) if root and trace.state in (IN_PROGRESS, UNSPECIFIED) else trace.state,
        "name": tags.pop(NAME, trace.name),
        "session": trace.session if trace.session is not None else _said(spans, SESSIONS, SESSION_LETTERS_MAX),
        "request_preview": trace.request_preview,
        "response_preview": trace.response_preview,
        **_times(trace, spans),
    }
    if root and trace.request_preview is None:
        changed["request_preview"] = preview(root.attributes.get(INPUTS), "user")
    if root and trace.response_preview is None:
        changed["response_preview"] = preview(root.attributes.get(OUTPUTS), "assistant")
    same = {"experiment": trace.experiment, "client_request": trace.client_request, "finalized": trace.finalized}
    tx.run("traces.update", number=trace.number, **same, **changed)
    _sum(tx, trace, spans)
    user = _said(spans, ("user.id",), SESSION_LETTERS_MAX)
    if user is not None:
        tx.run("traces.add_value", trace=trace.number, kind=METADATA, key=USER, value=user)
    rows = {**tags, SPANS_LOCATION: TRACKING_STORE}
    tx.many(
        "traces.set_value",
        [{"trace": trace.number, "kind": TAG, "key": key, "value": value} for key, value in rows.items()],
    )


def _sum(tx: Transaction, trace: Trace, spans: Sequence[Span]) -> None:
    """Sum tokens and dollars over all spans of a trace, unless its client has told the sums."""
    told = trace.finalized
    usage = any(USAGE in span.attributes for span in spans) and not (told and trace.usage is not None)
    cost = any(COST in span.attributes for span in spans) and not (told and trace.cost is not None)
    if usage or cost:
        nodes = [
            Node(
                id=str(row["id"]), parent=_text(row["parent"]), usage=usage_of(row["usage"]), cost=cost_of(row["cost"])
            )
            for row in tx.rows("traces.nodes", trace=trace.number)
        ]
        keep_sums(tx, trace.number, total_usage(nodes) if usage else None, total_cost(nodes) if cost else None)


def _made(tx: Transaction, trace: str, experiment: int, spans: Sequence[Span]) -> Trace:
    names = ("client_request", "name", "session", "request_preview", "response_preview", "usage", "cost")
    sums = ("input_tokens", "output_tokens", "total_tokens", "cache_read_tokens", "cache_write_tokens")
    empty: dict[str, Value] = dict.fromkeys((*names, *sums, "input_cost", "output_cost", "total_cost"))
    start = min(span.start_ns for span in spans) // 1_000_000
    own: dict[str, Value] = {"id": trace, "experiment": experiment, "start_ms": start, "duration_ms": None}
    tx.run("traces.insert", **{**empty, **own, "state": IN_PROGRESS, "finalized": 0})
    return get(tx, trace)


def _times(trace: Trace, spans: Sequence[Span]) -> dict[str, Value]:
    if trace.finalized:
        return {"start_ms": trace.start_ms, "duration_ms": trace.duration_ms}
    start = min(trace.start_ms, *(span.start_ns // 1_000_000 for span in spans))
    ends = [span.end_ns // 1_000_000 for span in spans if span.end_ns is not None]
    if trace.duration_ms is not None:
        ends.append(trace.start_ms + trace.duration_ms)
    return {"start_ms": start, "duration_ms": max(0, max(ends) - start) if ends else None}


def _state(root: Span) -> str:
    return FAILED if root.status == ERROR else DONE


def _tags(spans: Sequence[Span], root: Span | None) -> dict[str, str]:
    """Return tags: what the resource says, and what the application tagged at the root, which wins."""
    resource = next((span.resource for span in spans if span.resource), cast("Mapping[str, Any]", {}))
    told = {key: value for key, value in list(resource.items())[:RESOURCE_MAX] if not key.startswith(OTHERS)}
    if root is not None:
        for key, text in root.attributes.items():
            if key.startswith(TAG_PREFIX):
                told[key.removeprefix(TAG_PREFIX)] = loaded(text)
    found: dict[str, str] = {}
    for key, value in told.items():
        try:
            name, text = tag_text(check_tag_key(key), value if isinstance(value, str) else dumped(value))
        except Invalid:
            continue
        if name not in OWN:
            found[name] = legal(text.replace("\0", "\ufffd"))
    return found


def _said(spans: Sequence[Span], names: Sequence[str], most: int) -> str | None:
    for span in spans:
        for name in names:
            value = span.attribute(name)
            if isinstance(value, str) and value:
                return legal(clean(value, most))
    return None


def _row(span: Span) -> dict[str, Value]:
    content = span.content()
    usage, cost = usage_of(span.attribute(USAGE)), cost_of(span.attribute(COST))
    return {
        "id": span.id,
        "parent": span.parent,
        "name": span.name,
        "type": _dimension(span, SPAN_TYPE),
        "status": span.status,
        "start_ns": span.start_ns,
        "end_ns": span.end_ns,
        "model": _dimension(span, MODEL),
        "provider": _dimension(span, PROVIDER),
        "usage": None if usage is None else dumped(usage),
        "cost": None if cost is None else dumped(cost),
        **{name: (cost or {}).get(name) for name in ("input_cost", "output_cost", "total_cost")},
        "bytes": len(content),
        "content": content,
    }


def _dimension(span: Span, name: str) -> str | None:
    value = span.attribute(name)
    return legal(clean(value, DIMENSION_LETTERS_MAX)) if isinstance(value, str) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _resource(group: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return who produced a group of spans; a description that cannot be read is left out."""
    told: object = group.get("resource")
    try:
        return from_pairs(_list(told, "attributes")) if isinstance(told, dict) else {}  # pyright: ignore[reportUnknownArgumentType]
    except SpanRefused:
        return {}


def _list(told: object, name: str) -> list[dict[str, Any]]:
    found = cast("dict[str, Any]", told).get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):  # pyright: ignore[reportUnknownVariableType]
        raise _malformed(f"{name} is no list of objects")
    return cast("list[dict[str, Any]]", found)


def _malformed(why: str) -> Invalid:
    return Invalid(
        "otlp-malformed",
        "The body is no OTLP trace export.",
        where="/v1/traces",
        why=why,
        fix="send ExportTraceServiceRequest as protocol buffers or JSON",
    )
