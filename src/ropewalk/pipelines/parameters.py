"""What a pipeline's parameters take, told so that who chooses values for them need not import its code."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from ropewalk.pipelines.arguments import annotation_of, wanted_of
from ropewalk.records import frozen

WHOLE, NUMBER, SEVERAL, CHOICE, ANY = "whole number", "number", "several", "choice", "any"


@frozen
class Parameter:
    """One parameter of a pipeline.

    Attributes:
        name: its name.
        kind: `whole number`, `number`, `several` (a list, tuple or set), `choice` or `any`.
        choices: as one types them; of a `choice`, empty for all others.
    """

    name: str
    kind: str
    choices: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        """Return it as JSON for the way between processes."""
        return {"name": self.name, "kind": self.kind, "choices": list(self.choices)}

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> Parameter:
        """Return the parameter that `plain` made these values of."""
        return cls(name=values["name"], kind=values["kind"], choices=tuple(values["choices"]))


def parameters_of(function: Callable[..., Any]) -> list[Parameter]:
    """Return a pipeline's parameters, in their order."""
    found: list[Parameter] = []
    for name, item in wanted_of(function).items():
        kind, choices = _kind(annotation_of(item))
        found.append(Parameter(name=name, kind=kind, choices=choices))
    return found


def _kind(wanted: Any) -> tuple[str, tuple[str, ...]]:  # noqa: ANN401 - any annotation
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin is typing.Annotated:
        return _kind(inner[0])
    if origin in (typing.Union, types.UnionType):
        left = [item for item in inner if item is not type(None)]
        return _kind(left[0]) if len(left) == 1 else (ANY, ())
    if wanted in (list, tuple, set) or origin in (list, tuple, set):
        return SEVERAL, ()
    choices = _choices(wanted, origin, inner)
    if choices:
        return CHOICE, choices
    return WHOLE if wanted is int else NUMBER if wanted is float else ANY, ()


def _choices(wanted: Any, origin: Any, inner: tuple[Any, ...]) -> tuple[str, ...]:  # noqa: ANN401 - any annotation
    """Return what there is to choose from, as one types it; nothing for what is no choice."""
    if origin is typing.Literal:
        return tuple(str(item) for item in inner)
    if wanted is bool:
        return "false", "true"
    members = typing.cast("type[Enum]", wanted)
    return tuple(item.name for item in members) if isinstance(wanted, type) and issubclass(wanted, Enum) else ()
