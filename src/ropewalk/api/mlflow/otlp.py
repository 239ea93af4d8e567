"""Spans as OpenTelemetry's exporters send them over HTTP: as protocol buffers or as JSON."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

import msgspec

from ropewalk.api.mlflow.route import Call, How, Route
from ropewalk.endpoints.guard import read_body
from ropewalk.endpoints.problems import Receive, Send, answer
from ropewalk.errors import Invalid
from ropewalk.traces import ingest, protobuf

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
EXPERIMENT = "x-mlflow-experiment-id"
RUN = "x-mlflow-run-id"
MARKS_MAX = 2_000_000


async def export(call: Call, receive: Receive, send: Send) -> None:
    """Keep spans; what cannot be kept is counted in the answer, as OTLP's partial success has it.

    Raises:
        Invalid: the body is no trace export, or nothing says which experiment it belongs to.
        NotFound: there is no such experiment.
    """
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in call.scope["headers"]}
    media = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media not in (PROTOBUF, JSON):
        raise Invalid(
            "media-type-unsupported",
            "Spans come as protocol buffers or JSON.",
            where="Content-Type",
            why=f"found {media[:80]!r}",
            fix=f"send Content-Type: {PROTOBUF} or {JSON}",
        )
    experiment = headers.get(EXPERIMENT, "")
    if not experiment:
        raise Invalid(
            "otlp-experiment-missing",
            "Nothing says which experiment these spans belong to.",
            where=EXPERIMENT,
            why="the header is missing",
            fix=f'OTEL_EXPORTER_OTLP_TRACES_HEADERS="{EXPERIMENT}=0"',
        )
    data = await read_body(receive)
    batch = await asyncio.to_thread(_read, media, data)
    work = partial(ingest.keep, experiment=experiment, batch=batch, run=headers.get(RUN, ""))
    kept = await asyncio.wrap_future(call.site.db.submit(work))
    await _told(send, media, kept)


def _read(media: str, data: bytes) -> ingest.Batch:
    return ingest.read(protobuf.export_request(data) if media == PROTOBUF else _json(data))


def _json(data: bytes) -> dict[str, Any]:
    if sum(data.count(mark) for mark in (b"{", b"[", b'"')) > MARKS_MAX:
        raise Invalid(
            "otlp-malformed",
            "The body has too many parts.",
            where="/v1/traces",
            why=f"it has more than {MARKS_MAX} brackets and quotes",
            fix="send smaller batches",
        )
    try:
        return cast("dict[str, Any]", msgspec.json.decode(data))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Invalid(
            "otlp-malformed",
            "The body is no JSON of an OTLP trace export.",
            where="/v1/traces",
            why=str(error)[:200],
            fix='send {"resourceSpans": [...]}',
        ) from error


async def _told(send: Send, media: str, kept: ingest.Batch) -> None:
    words = "; ".join(kept.reasons)[:1000]
    if media == PROTOBUF:
        body = protobuf.export_response(kept.rejected, words)
    elif kept.rejected or words:
        body = msgspec.json.encode({"partialSuccess": {"rejectedSpans": str(kept.rejected), "errorMessage": words}})
    else:
        body = b"{}"
    await answer(send, 200, body, ((b"content-type", media.encode()), (b"cache-control", b"no-store")))


ROUTES = (
    Route(
        method="POST",
        path="/v1/traces",
        work=export,
        how=How.STREAM,
        action="write",
        summary="Keep spans, as OpenTelemetry sends them",
        bare=True,
    ),
)
