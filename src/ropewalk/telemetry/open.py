"""Whom spans are told, as the project or OpenTelemetry's own variables say; nobody where neither does."""

from __future__ import annotations

import logging
import os
from collections.abc import Generator
from contextlib import contextmanager

from ropewalk.errors import Missing
from ropewalk.settings import Telemetry
from ropewalk.telemetry.context import Parent, parent_of
from ropewalk.telemetry.spans import Spans

CALLER = "TRACEPARENT"
log = logging.getLogger(__name__)


@contextmanager
def spans_of(told: Telemetry) -> Generator[Spans | None]:
    """Give who is told of spans, or None, and have him told the last of them at the end.

    Args:
        told: `[telemetry]` of the project.

    Raises:
        Invalid: the address is none.
        Missing: the project names a collector, and OpenTelemetry's library is not installed. Where only a variable of
            the environment does, which may be meant for others, that is logged.
    """
    from ropewalk.telemetry.otlp import address_in

    address = address_in(os.environ, told.otlp)
    spans = _opened(address, told) if address else None
    try:
        yield spans
    finally:
        if spans is not None:
            spans.close()


def caller() -> Parent | None:
    """Return whoever started this process and has a trace, as the variable `TRACEPARENT` says."""
    return parent_of(os.environ.get(CALLER, "").encode() or None)


def _opened(address: str, told: Telemetry) -> Spans | None:
    from ropewalk import __version__
    from ropewalk.telemetry.otlp import SERVICE, OtlpSpans

    service = os.environ.get(SERVICE, "") or told.service
    try:
        return OtlpSpans(address, service=service, version=__version__, share=told.share)
    except Missing as error:
        if told.otlp:
            raise
        log.warning("no spans go to %s: %s %s", address, error.why, error.fix)
        return None
