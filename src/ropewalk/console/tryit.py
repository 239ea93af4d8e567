"""The form that tries an endpoint: a field for each column of the contract, filled with a real row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ropewalk.data.contract import Column
from ropewalk.endpoints.served import Served

CHOICES_MAX = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of the form.

    Attributes:
        name: of the column.
        type: of the contract: `int`, `float`, `bool`, `string` or `datetime`.
        value: what stands there at first.
        hint: what is ordinary there, for people.
        choices: what may be chosen; empty where it is typed.
        open: whether something else than the choices may be typed too.
        required: whether it must be filled in.
    """

    name: str
    type: str
    value: str
    hint: str
    choices: tuple[str, ...]
    open: bool
    required: bool


def fields(served: Served | None) -> list[Field]:
    """Return the fields of who answers, in the contract's order; none where nobody can be read."""
    return [_field(column, served.example.get(column.name)) for column in served.contract.inputs] if served else []


def _field(column: Column, value: Any) -> Field:  # noqa: ANN401 - a cell of JSON
    choices = column.categories or ()
    if column.type == "bool":
        choices = ("true", "false")
    return Field(
        name=column.name,
        type=column.type,
        value=_text(value),
        hint=", ".join(part for part in (_range(column), "may be empty" if column.nullable else "") if part),
        choices=choices[:CHOICES_MAX],
        open=column.type != "bool" and (not column.strict or len(choices) > CHOICES_MAX),
        required=not column.nullable,
    )


def _text(value: Any) -> str:  # noqa: ANN401 - a cell of JSON
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def _range(column: Column) -> str:
    kind = {"int": "whole number", "float": "number", "datetime": "ISO 8601 time"}.get(column.type, "")
    low = "" if column.min is None else f"from {_short(column.min)}"
    high = "" if column.max is None else f"to {_short(column.max)}"
    return " ".join(part for part in (kind, low, high) if part)


def _short(bound: float | str) -> str:
    return bound if isinstance(bound, str) else f"{bound:.6g}"
