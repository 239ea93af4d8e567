"""The values that OpenTelemetry's attributes hold, from and to the JSON form of its protocol buffers."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping
from typing import Any, cast

from ropewalk.traces.refusal import SpanRefused

DEPTH_MAX = 24
_INT64 = 1 << 63
_DIGITS_MAX = 1000
_encode = json.JSONEncoder(ensure_ascii=False).encode


def dumped(value: object) -> str:
    """Return a value as the JSON text in which spans keep it; NaN and infinities as Python writes them."""
    return _encode(value)


def loaded(text: str) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of a kept text; a text that is no JSON stands for itself."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def from_any(told: Mapping[str, Any], depth: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """Return the plain value of an `AnyValue` in its JSON form, in camel or snake case.

    Raises:
        SpanRefused: it is none, or it nests more than 24 levels.
    """
    if depth > DEPTH_MAX:
        raise SpanRefused(f"an attribute nests more than {DEPTH_MAX} levels")
    for name, value in told.items():
        if value is None:
            continue
        read = _READ.get(name)
        if read is not None:
            try:
                return read(value, depth)
            except (TypeError, ValueError, AttributeError, KeyError) as error:
                raise SpanRefused(f"an attribute's {name[:40]} is not what it says") from error
    return None


def _text(value: object, _depth: int) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _whole(value: object, _depth: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or (isinstance(value, str) and len(value) > 20):  # noqa: PLR2004 - digits of 64 bits and a sign
        raise TypeError
    return int(value)


def _real(value: object, _depth: int) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    return float(value)


def _flag(value: object, _depth: int) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _bytes(value: object, _depth: int) -> str:
    if not isinstance(value, str):
        raise TypeError
    try:
        base64.b64decode(value, validate=True)
    except binascii.Error as error:
        raise ValueError from error
    return value


def _array(value: Mapping[str, Any], depth: int) -> list[Any]:
    return [from_any(one, depth + 1) for one in value.get("values") or ()]


def _mapping(value: Mapping[str, Any], depth: int) -> dict[str, Any]:
    return from_pairs(value.get("values") or (), depth + 1)


def from_pairs(pairs: Any, depth: int = 0) -> dict[str, Any]:  # noqa: ANN401 - a list of key and value, unchecked
    """Return the plain mapping of a list of `KeyValue` in its JSON form."""
    found: dict[str, Any] = {}
    for pair in pairs:
        if not isinstance(pair, dict):
            raise SpanRefused("an attribute is no pair of key and value")
        key, told = (cast("dict[str, Any]", pair).get(name) for name in ("key", "value"))
        if not isinstance(key, str):
            raise SpanRefused("an attribute has no key")
        if told is not None and not isinstance(told, dict):
            raise SpanRefused("an attribute's value is no AnyValue")
        found[key] = None if told is None else from_any(cast("dict[str, Any]", told), depth)
    return found


_BY_NAME = {
    "stringValue": _text,
    "boolValue": _flag,
    "intValue": _whole,
    "doubleValue": _real,
    "bytesValue": _bytes,
    "arrayValue": _array,
    "kvlistValue": _mapping,
}
_READ = {**_BY_NAME, **{name.replace("Value", "_value"): read for name, read in _BY_NAME.items()}}


def legal(text: str) -> str:
    """Return a text as UTF-8 can say it: halves of surrogate pairs become question marks."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def to_any(value: object, depth: int = 0) -> dict[str, Any]:
    """Return a plain value as an `AnyValue` in the JSON form that MLflow's clients read."""
    if value is None:
        return {}
    if isinstance(value, bool):
        return {"bool_value": value}
    if isinstance(value, int | float):
        return _number(value)
    if isinstance(value, list | dict) and depth < DEPTH_MAX:
        return _nested(cast("list[object] | dict[str, object]", value), depth + 1)
    return {"string_value": legal(value if isinstance(value, str) else _flat(cast("object", value)))}


def _nested(value: list[object] | dict[str, object], depth: int) -> dict[str, Any]:
    if isinstance(value, dict):
        return {"kvlist_value": {"values": to_pairs(value, depth)}}
    return {"array_value": {"values": [to_any(one, depth) for one in value]}}


def _number(value: float) -> dict[str, Any]:
    if isinstance(value, int):
        if -_INT64 <= value < _INT64:
            return {"int_value": value}
        return {"string_value": str(value)[:_DIGITS_MAX]}
    return {"double_value": _spoken(value)}


def _flat(value: object) -> str:
    try:
        return dumped(value)
    except RecursionError:
        return "(nests too deep to be shown)"


def to_pairs(values: Mapping[str, object], depth: int = 0) -> list[dict[str, Any]]:
    """Return a mapping as a list of `KeyValue`."""
    return [{"key": legal(str(key)), "value": to_any(value, depth)} for key, value in values.items()]


def _spoken(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
