"""Spans go out by OTLP over HTTP, through OpenTelemetry's own library, which is imported only here and when wanted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

from ropewalk.errors import Invalid, missing_extra
from ropewalk.telemetry.context import Parent
from ropewalk.telemetry.spans import SERVER, Span, is_of_share

PATH = "/v1/traces"
ENDPOINT, TRACES, DISABLED = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_SDK_DISABLED"
SERVICE = "OTEL_SERVICE_NAME"
log = logging.getLogger(__name__)


def address_in(environ: Mapping[str, str], otlp: str) -> str:
    """Return where spans go: as the project says, or as OpenTelemetry's own variables do; empty for nowhere.

    Args:
        environ: the environment's variables.
        otlp: the address of a collector, with or without `/v1/traces`.

    Raises:
        Invalid: it is no address.
    """
    if environ.get(DISABLED, "").lower() == "true":
        return ""
    said = otlp or environ.get(TRACES, "") or environ.get(ENDPOINT, "")
    if said and not said.startswith(("http://", "https://")):
        raise Invalid(
            "otlp-address",
            "This is no address that spans can be sent to.",
            where="[telemetry] otlp" if otlp else ENDPOINT,
            why=f"found {said[:120]!r}",
            fix='otlp = "http://127.0.0.1:4318"',
        )
    if not said or said.endswith(PATH) or (not otlp and environ.get(TRACES)):
        return said
    return said.rstrip("/") + PATH


class OtlpSpans:
    """Sends spans in batches, from a thread of the library's; what the other end does not take in time is dropped.

    Args:
        address: of the collector's traces.
        service: by which name we are known there.
        version: ours.
        share: of the traces that begin here, 0 to 1.

    Raises:
        Missing: OpenTelemetry's library is not installed.
    """

    def __init__(self, address: str, *, service: str, version: str, share: float) -> None:
        self._share = share
        self._trace = _library("opentelemetry.trace")
        self._sdk = _library("opentelemetry.sdk.trace")
        exporter = _library("opentelemetry.exporter.otlp.proto.http.trace_exporter").OTLPSpanExporter(endpoint=address)
        self._processor = _library("opentelemetry.sdk.trace.export").BatchSpanProcessor(exporter)
        named = {"service.name": service, "service.version": version}
        self._resource = _library("opentelemetry.sdk.resources").Resource.create(named)
        self._scope = _library("opentelemetry.sdk.util.instrumentation").InstrumentationScope("ropewalk", version)

    def wants(self, trace: str, parent: Parent | None) -> bool:
        """Say whether the spans of a trace are wanted: as its caller says, or by their share."""
        return parent.sampled if parent is not None else is_of_share(trace, self._share)

    def tell(self, spans: Sequence[Span]) -> None:
        """Tell of spans; never waits and never fails."""
        for one in spans:
            try:
                self._processor.on_end(self._read(one))
            except Exception:
                log.exception("a span was not told: %s", one.name)

    def close(self) -> None:
        """Tell what is left, and end."""
        self._processor.shutdown()

    def _read(self, span: Span) -> Any:  # noqa: ANN401 - the library's own
        trace = self._trace
        kind = trace.SpanKind.SERVER if span.kind == SERVER else trace.SpanKind.INTERNAL
        code = trace.StatusCode.ERROR if span.failure else trace.StatusCode.UNSET
        return self._sdk.ReadableSpan(
            resource=self._resource,
            instrumentation_scope=self._scope,
            name=span.name,
            context=self._context(span.trace, span.id, remote=False),
            parent=self._context(span.trace, span.parent, remote=span.kind == SERVER) if span.parent else None,
            kind=kind,
            attributes=dict(span.attributes),
            status=trace.Status(code, span.failure or None),
            start_time=span.begun_us * 1000,
            end_time=span.ended_us * 1000,
        )

    def _context(self, trace: str, span: str, *, remote: bool) -> Any:  # noqa: ANN401 - the library's own
        flags = self._trace.TraceFlags(self._trace.TraceFlags.SAMPLED)
        return self._trace.SpanContext(int(trace, 16), int(span, 16), remote, flags)


def _library(name: str) -> Any:  # noqa: ANN401 - of an extra
    try:
        return import_module(name)
    except ImportError:
        raise missing_extra("opentelemetry-sdk", "otel") from None
