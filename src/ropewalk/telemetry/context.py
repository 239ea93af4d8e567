"""The trace that a request belongs to, as W3C's Trace Context writes it, and the request that is served right now."""

from __future__ import annotations

import re
from contextvars import ContextVar
from os import urandom
from typing import NamedTuple

HEADER = b"traceparent"
# Where the trace that a request belongs to is left in its scope.
PARENT = "ropewalk.parent"
SAMPLED = 1
# Source: https://www.w3.org/TR/trace-context/#traceparent-header
_FORM = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_NEVER, _FIRST = b"ff", b"00"
_FIRST_BYTES = 55


class Parent(NamedTuple):
    """Who called: his trace, his span in it, and whether he keeps it."""

    trace: str
    span: str
    sampled: bool


class Current(NamedTuple):
    """The request that is served: its number and the trace that it belongs to, each empty where there is none."""

    request: str
    trace: str


NOBODY = Current("", "")
CURRENT: ContextVar[Current] = ContextVar("ropewalk.current", default=NOBODY)


def parent_of(header: bytes | None) -> Parent | None:
    """Return who called, or None where the header is missing or is none."""
    found = None if header is None else _FORM.fullmatch(header.strip())
    if found is None or found[1] == _NEVER or not found[2].strip(b"0") or not found[3].strip(b"0"):
        return None
    if found[1] == _FIRST and len(found[0]) != _FIRST_BYTES:
        return None
    return Parent(found[2].decode(), found[3].decode(), bool(int(found[4], 16) & SAMPLED))


def trace_of(header: bytes | None) -> str:
    """Return the id of the trace that a header names, or an empty text."""
    found = None if header is None else parent_of(header)
    return found.trace if found else ""


def new_trace() -> str:
    """Return the id of a trace that begins here."""
    return urandom(16).hex()


def new_span() -> str:
    """Return the id of a new span."""
    return urandom(8).hex()
