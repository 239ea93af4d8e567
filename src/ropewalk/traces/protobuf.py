"""Reads OpenTelemetry's trace messages from the wire format of protocol buffers, into their JSON form.

The format and its numbers are those of the Protocol Buffers encoding guide and of opentelemetry-proto 1.x, which
promises not to change them; so no library is needed, and nothing is read that is not asked for.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Callable, Iterator
from typing import Any

from ropewalk.errors import Invalid

DEPTH_MAX = 100
FIELDS_MAX = 500_000
VARINT_BITS_MAX = 70
_REAL = struct.Struct("<d")
_FIXED = struct.Struct("<Q")
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
Read = Callable[[Any, "_Reader"], Any]
Shape = dict[int, tuple[str, int, Read, bool]]


class _Broken(ValueError):
    pass


class _Reader:
    """How deep a message is read, and how many fields it may still have."""

    def __init__(self) -> None:
        self.depth = 0
        self.left = FIELDS_MAX


def export_request(data: bytes) -> dict[str, Any]:
    """Return an `ExportTraceServiceRequest` in its JSON form, with ids as hex digits.

    Raises:
        Invalid: the bytes are no such message.
    """
    try:
        return _message(memoryview(data), _Reader(), _REQUEST)
    except (_Broken, struct.error, IndexError, UnicodeDecodeError) as error:
        raise Invalid(
            "otlp-malformed",
            "The body is no protocol buffer of an OTLP trace export.",
            where="/v1/traces",
            why=str(error)[:200] or "it ends in the middle of a field",
            fix="send ExportTraceServiceRequest with Content-Type: application/x-protobuf",
        ) from error


def export_response(rejected: int, message: str) -> bytes:
    """Return an `ExportTraceServiceResponse`; an empty one when all went well."""
    if not rejected and not message:
        return b""
    words = message.encode()
    inner = (b"\x08" + _varint_bytes(rejected) if rejected else b"") + b"\x12" + _varint_bytes(len(words)) + words
    return b"\x0a" + _varint_bytes(len(inner)) + inner


def _varint_bytes(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        found.append(value & 0x7F | 0x80)
        value >>= 7
    found.append(value)
    return bytes(found)


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no high bit
            return value & (1 << 64) - 1, place
        shift += 7
        if shift >= VARINT_BITS_MAX:
            raise _Broken("a number has more than ten bytes")


def _fields(data: memoryview) -> Iterator[tuple[int, int, Any]]:
    place, end = 0, len(data)
    while place < end:
        tag, place = _varint(data, place)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, place = _varint(data, place)
        elif kind in (_FIXED64, _FIXED32):
            start, place = place, place + (8 if kind == _FIXED64 else 4)
            value = data[start:place]
        elif kind == _BYTES:
            size, start = _varint(data, place)
            place = start + size
            value = data[start:place]
        else:
            raise _Broken(f"field {number} has the unknown wire type {kind}")
        if place > end or not number:
            raise _Broken("a field is longer than its message")
        yield number, kind, value


def _message(data: memoryview, reader: _Reader, shape: Shape) -> dict[str, Any]:
    found: dict[str, Any] = {}
    reader.depth += 1
    if reader.depth > DEPTH_MAX:
        raise _Broken(f"it nests more than {DEPTH_MAX} levels")
    for number, kind, value in _fields(data):
        reader.left -= 1
        known = shape.get(number)
        if known is None or known[1] != kind:
            continue
        name, _, read, repeated = known
        if repeated:
            found.setdefault(name, []).append(read(value, reader))
        else:
            found[name] = read(value, reader)
        if reader.left < 0:
            raise _Broken(f"it has more than {FIELDS_MAX} fields: send smaller batches")
    reader.depth -= 1
    return found


def _text(value: memoryview, _reader: _Reader) -> str:
    return str(value, "utf-8", "replace")


def _hex(value: memoryview, _reader: _Reader) -> str:
    return bytes(value).hex()


def _whole(value: int, _reader: _Reader) -> int:
    return value - (1 << 64) if value >> 63 else value


def _flag(value: int, _reader: _Reader) -> bool:
    return value != 0


def _fixed(value: memoryview, _reader: _Reader) -> int:
    return _FIXED.unpack(value)[0]


def _real(value: memoryview, _reader: _Reader) -> float:
    return _REAL.unpack(value)[0]


def _base64(value: memoryview, _reader: _Reader) -> str:
    return b64encode(value).decode()


def _of(shape: Shape) -> Read:
    def read(value: memoryview, reader: _Reader) -> dict[str, Any]:
        return _message(value, reader, shape)

    return read


_VALUE: Shape = {}
_PAIR: Shape = {1: ("key", _BYTES, _text, False), 2: ("value", _BYTES, _of(_VALUE), False)}
_VALUE.update(
    {
        1: ("stringValue", _BYTES, _text, False),
        2: ("boolValue", _VARINT, _flag, False),
        3: ("intValue", _VARINT, _whole, False),
        4: ("doubleValue", _FIXED64, _real, False),
        5: ("arrayValue", _BYTES, _of({1: ("values", _BYTES, _of(_VALUE), True)}), False),
        6: ("kvlistValue", _BYTES, _of({1: ("values", _BYTES, _of(_PAIR), True)}), False),
        7: ("bytesValue", _BYTES, _base64, False),
    }
)
_STATUS: Shape = {2: ("message", _BYTES, _text, False), 3: ("code", _VARINT, _whole, False)}
_EVENT: Shape = {
    1: ("timeUnixNano", _FIXED64, _fixed, False),
    2: ("name", _BYTES, _text, False),
    3: ("attributes", _BYTES, _of(_PAIR), True),
}
_LINK: Shape = {
    1: ("traceId", _BYTES, _hex, False),
    2: ("spanId", _BYTES, _hex, False),
    4: ("attributes", _BYTES, _of(_PAIR), True),
}
_SPAN: Shape = {
    1: ("traceId", _BYTES, _hex, False),
    2: ("spanId", _BYTES, _hex, False),
    4: ("parentSpanId", _BYTES, _hex, False),
    5: ("name", _BYTES, _text, False),
    7: ("startTimeUnixNano", _FIXED64, _fixed, False),
    8: ("endTimeUnixNano", _FIXED64, _fixed, False),
    9: ("attributes", _BYTES, _of(_PAIR), True),
    11: ("events", _BYTES, _of(_EVENT), True),
    13: ("links", _BYTES, _of(_LINK), True),
    15: ("status", _BYTES, _of(_STATUS), False),
}
_RESOURCE: Shape = {1: ("attributes", _BYTES, _of(_PAIR), True)}
_SCOPE: Shape = {2: ("spans", _BYTES, _of(_SPAN), True)}
_REQUEST: Shape = {
    1: (
        "resourceSpans",
        _BYTES,
        _of({1: ("resource", _BYTES, _of(_RESOURCE), False), 2: ("scopeSpans", _BYTES, _of(_SCOPE), True)}),
        True,
    )
}
