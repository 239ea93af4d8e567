"""What requests and answers are made of: structs that read and write JSON as protocol buffers' JSON form does."""

from __future__ import annotations

import math

import msgspec

from ropewalk.errors import Invalid

Number = float | str
_SPOKEN = {"nan": math.nan, "infinity": math.inf, "-infinity": -math.inf, "inf": math.inf, "-inf": -math.inf}


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request's or an answer's fields.

    Fields that a newer client sends and we do not know are ignored, as MLflow's server does; fields that hold their
    default are left out of answers.
    """


class Nothing(Message, frozen=True, kw_only=True):
    """No fields at all."""


def number(value: Number, name: str) -> float:
    """Return a number that came as JSON's or as text, such as `"NaN"`.

    Args:
        value: what came.
        name: the field, for the error.

    Raises:
        Invalid: it is no number.
    """
    if not isinstance(value, str):
        return value
    known = _SPOKEN.get(value.strip().lower())
    if known is not None:
        return known
    try:
        return float(value)
    except ValueError:
        raise Invalid(
            "request-malformed", f"{name!r} must be a number.", where=name, why=f"found {value[:80]!r}"
        ) from None


def spoken(value: float) -> Number:
    """Return a float as JSON can say it: NaN and infinities become texts."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
