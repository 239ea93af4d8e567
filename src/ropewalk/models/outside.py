"""Finds ONNX tensors whose bytes lie in other files: a path in a model file could lead anywhere (CVE-2022-25882)."""

from __future__ import annotations

from collections.abc import Iterator

# Which fields of onnx.proto lead to tensors, by message: field number -> message. TensorProto: 13 is external_data,
# 14 data_location, where 1 means EXTERNAL.
_PATHS: dict[str, dict[int, str]] = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "function": {7: "node", 11: "attribute"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
_EXTERNAL_DATA, _LOCATION, _NAME = 13, 14, 8
_DEPTH_MAX = 64


class NotProtobuf(ValueError):
    """The bytes are not a protobuf message."""


def outside_tensors(data: bytes) -> tuple[str, ...]:
    """Return the names of tensors that point at other files, in order; unnamed ones as `?`.

    Raises:
        NotProtobuf: the bytes cannot be walked.
    """
    return tuple(_walk(memoryview(data), "model", 0))


def _walk(data: memoryview, message: str, depth: int) -> Iterator[str]:
    if depth > _DEPTH_MAX:
        raise NotProtobuf("graphs lie in graphs too deep")
    name, outside = "?", False
    for field, value in _fields(data):
        if message == "tensor":
            if field == _NAME and isinstance(value, memoryview):
                name = bytes(value).decode("utf-8", "replace") or "?"
            outside = outside or field == _EXTERNAL_DATA or (field == _LOCATION and value == 1)
        inner = _PATHS[message].get(field)
        if inner is not None and isinstance(value, memoryview):
            yield from _walk(value, inner, depth + 1)
    if outside:
        yield name


def _fields(data: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """Yield each field's number with its whole number, or with its bytes."""
    place = 0
    while place < len(data):
        key, place = _number(data, place)
        field, kind = key >> 3, key & 7
        if kind == 0:
            value, place = _number(data, place)
            yield field, value
            continue
        if kind == 2:  # noqa: PLR2004 - protobuf's wire type of bytes, texts and messages
            length, place = _number(data, place)
        else:
            length = {1: 8, 5: 4}.get(kind, -1)
        if length < 0 or place + length > len(data):
            raise NotProtobuf(f"field {field} does not fit")
        yield field, data[place : place + length]
        place += length


def _number(data: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(data):
            break
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follows
            return value, place
    raise NotProtobuf("a number does not end")
