"""One step of a trace, as it was told, as it is kept and as it is given back."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

import msgspec

from ropewalk.traces.refusal import SpanRefused
from ropewalk.traces.values import dumped, from_pairs, loaded, to_pairs

TRACE_PREFIX = "tr-"
TRACE_BYTES = 16
SPAN_BYTES = 8
NAME_LETTERS_MAX = 1000
MESSAGE_LETTERS_MAX = 10_000
KEY_LETTERS_MAX = 250
ATTRIBUTES_MAX = 1000
EVENTS_MAX = 1000
LINKS_MAX = 1000
CONTENT_BYTES_MAX = 4 << 20
TIME_NS_MAX = (1 << 63) - 1
REQUEST_ID = "mlflow.traceRequestId"
SPAN_TYPE = "mlflow.spanType"
OK, ERROR, UNSET = "OK", "ERROR", "UNSET"
_CODES = {0: UNSET, 1: OK, 2: ERROR, "STATUS_CODE_UNSET": UNSET, "STATUS_CODE_OK": OK, "STATUS_CODE_ERROR": ERROR}


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened during a span.

    Attributes:
        name: what.
        at_ns: when, nanoseconds since the epoch.
        attributes: plain values by name.
    """

    name: str
    at_ns: int
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """Another span that this one points at.

    Attributes:
        trace: the other trace's id, `tr-` and 32 hex digits.
        span: the other span's id, 16 hex digits.
        attributes: plain values by name.
    """

    trace: str
    span: str
    attributes: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One step of a trace.

    Attributes:
        trace: id of the trace, `tr-` and 32 hex digits.
        id: 16 hex digits, unique in the trace.
        parent: id of the span that this one is a part of; None for the root.
        name: what was done.
        start_ns: nanoseconds since the epoch.
        end_ns: the same; None while it runs.
        status: `OK`, `ERROR` or `UNSET`.
        message: words for an error.
        attributes: JSON texts by name, as MLflow keeps them.
        events: what happened during it.
        links: other spans that it points at.
        resource: who produced it, plain values by name.
    """

    trace: str
    id: str
    parent: str | None
    name: str
    start_ns: int
    end_ns: int | None
    status: str
    message: str
    attributes: dict[str, str]
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    resource: Mapping[str, Any]

    def attribute(self, name: str) -> Any:  # noqa: ANN401 - any JSON value
        """Return an attribute's value, or None."""
        text = self.attributes.get(name)
        return None if text is None else loaded(text)

    def content(self) -> str:
        """Return the whole span as the JSON text that is kept.

        Raises:
            SpanRefused: it has more than 4 MiB.
        """
        data = msgspec.json.encode(
            {
                "trace_id": _base64(self.trace.removeprefix(TRACE_PREFIX)),
                "span_id": _base64(self.id),
                "parent_span_id": None if self.parent is None else _base64(self.parent),
                "name": self.name,
                "start_time_unix_nano": self.start_ns,
                "end_time_unix_nano": self.end_ns,
                "status": {"code": f"STATUS_CODE_{self.status}", "message": self.message},
                "attributes": self.attributes,
                "events": [
                    {"name": one.name, "time_unix_nano": one.at_ns, "attributes": dumped(one.attributes)}
                    for one in self.events
                ],
                "links": [
                    {"trace_id": one.trace, "span_id": one.span, "attributes": dumped(one.attributes)}
                    for one in self.links
                ],
            }
        )
        if len(data) > CONTENT_BYTES_MAX:
            raise SpanRefused(f"it has {len(data)} bytes, {CONTENT_BYTES_MAX} at most")
        return data.decode()


def answered(content: str) -> dict[str, Any]:
    """Return a kept span as MLflow's clients read it: OpenTelemetry's span in the JSON form of protocol buffers."""
    kept: dict[str, Any] = msgspec.json.decode(content)
    found = {
        "trace_id": kept["trace_id"],
        "span_id": kept["span_id"],
        "name": kept["name"],
        "start_time_unix_nano": kept["start_time_unix_nano"],
        "status": kept["status"],
        "attributes": to_pairs({key: loaded(text) for key, text in kept["attributes"].items()}),
        "events": [{**one, "attributes": to_pairs(loaded(one["attributes"]))} for one in kept["events"]],
        "links": [
            {
                "trace_id": _base64(one["trace_id"].removeprefix(TRACE_PREFIX)),
                "span_id": _base64(one["span_id"]),
                "attributes": to_pairs(loaded(one["attributes"])),
            }
            for one in kept["links"]
        ],
    }
    if kept["parent_span_id"] is not None:
        found["parent_span_id"] = kept["parent_span_id"]
    if kept["end_time_unix_nano"] is not None:
        found["end_time_unix_nano"] = kept["end_time_unix_nano"]
    return found


def from_otlp(told: Mapping[str, Any], resource: Mapping[str, Any]) -> Span:
    """Return the span of OpenTelemetry's JSON form, ids as hex digits.

    Args:
        told: the members of the JSON object, in camel case.
        resource: who produced it.

    Raises:
        SpanRefused: ids are missing or wrong, times are not times, or something is above its limit.
    """
    trace = TRACE_PREFIX + _id(told.get("traceId"), "traceId", TRACE_BYTES)
    span = _id(told.get("spanId"), "spanId", SPAN_BYTES)
    status = cast("dict[str, Any]", told["status"] if isinstance(told.get("status"), dict) else {})
    code = status.get("code", 0)
    made = Span(
        trace=trace,
        id=span,
        parent=_id(told["parentSpanId"], "parentSpanId", SPAN_BYTES) if told.get("parentSpanId") else None,
        name=clean(told.get("name"), NAME_LETTERS_MAX),
        start_ns=_time(told.get("startTimeUnixNano"), "startTimeUnixNano"),
        end_ns=_time(told.get("endTimeUnixNano"), "endTimeUnixNano") or None,
        status=_CODES.get(code if isinstance(code, int | str) else 0, UNSET),
        message=clean(status.get("message"), MESSAGE_LETTERS_MAX),
        attributes=_attributes(told.get("attributes")),
        events=tuple(_event(one) for one in _listed(told.get("events"), "events", EVENTS_MAX)),
        links=tuple(_link(one) for one in _listed(told.get("links"), "links", LINKS_MAX)),
        resource=resource,
    )
    if made.parent == made.id:
        made = replace(made, parent=None)
    return replace(made, attributes={**made.attributes, REQUEST_ID: dumped(trace)})


def clean(value: object, most: int) -> str:
    """Return a text without NUL characters, cut at a number of characters; an empty one for what is no text."""
    return value.replace("\0", "\ufffd")[:most] if isinstance(value, str) else ""


def _event(told: Mapping[str, Any]) -> Event:
    return Event(
        name=clean(told.get("name"), NAME_LETTERS_MAX),
        at_ns=_time(told.get("timeUnixNano"), "timeUnixNano"),
        attributes=_plain(told.get("attributes")),
    )


def _link(told: Mapping[str, Any]) -> Link:
    return Link(
        trace=TRACE_PREFIX + _id(told.get("traceId"), "link traceId", TRACE_BYTES),
        span=_id(told.get("spanId"), "link spanId", SPAN_BYTES),
        attributes=_plain(told.get("attributes")),
    )


def _plain(told: object) -> dict[str, Any]:
    values = from_pairs(_listed(told, "attributes", ATTRIBUTES_MAX))
    return {clean(key, KEY_LETTERS_MAX): value for key, value in values.items()}


def _attributes(told: object) -> dict[str, str]:
    return {key: single(dumped(value)) for key, value in _plain(told).items()}


def single(text: str) -> str:
    """Return a JSON text that was written into a JSON text as it was before, so that values are encoded once.

    Clients send values that they encoded themselves; the protocol encodes again. Numbers in quotes stay texts.
    """
    if not text.startswith('"'):
        return text
    inner = loaded(text)
    if not isinstance(inner, str) or inner.lstrip()[:1] not in ('"', "{", "["):
        return text
    try:
        value = json.loads(inner)
    except (ValueError, RecursionError):
        return text
    return inner if isinstance(value, str | dict | list) else text


def _listed(told: object, name: str, most: int) -> list[Any]:
    if told is None:
        return []
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):  # pyright: ignore[reportUnknownVariableType]
        raise SpanRefused(f"its {name} are no list of objects")
    if len(told) > most:  # pyright: ignore[reportUnknownArgumentType]
        raise SpanRefused(f"it has more than {most} {name}")
    return told  # pyright: ignore[reportUnknownVariableType]


def _id(value: object, name: str, size: int) -> str:
    text = value.lower() if isinstance(value, str) else ""
    if len(text) != 2 * size or any(letter not in "0123456789abcdef" for letter in text) or not text.strip("0"):
        raise SpanRefused(f"its {name} must be {2 * size} hex digits and not all zero")
    return text


def _time(value: object, name: str) -> int:
    if value is None or value == "":
        return 0
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 20:  # noqa: PLR2004 - digits of 64 bits
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= TIME_NS_MAX:
        raise SpanRefused(f"its {name} must be nanoseconds since 1970")
    return value


def _base64(hexes: str) -> str:
    return base64.b64encode(bytes.fromhex(hexes)).decode()
