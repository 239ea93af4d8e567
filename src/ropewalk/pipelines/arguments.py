"""A pipeline's arguments: from the words of a command line to the values that its parameters want."""

from __future__ import annotations

import inspect
import json
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from ropewalk.errors import Invalid

_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
_NOTHING = frozenset({"none", "null", ""})


def bind(function: Callable[..., Any], given: Mapping[str, Any], target: str) -> dict[str, Any]:
    """Return every argument of a pipeline by name, defaults filled in.

    Args:
        function: the pipeline.
        given: what was asked for; text is read as the parameter's annotation or its default's type says.
        target: how people call the pipeline, for errors.

    Raises:
        Invalid: an argument is unknown, missing or cannot be read.
    """
    wanted = wanted_of(function)
    for name in given:
        if name not in wanted:
            import difflib

            near = difflib.get_close_matches(name, wanted, 1)
            raise Invalid(
                "argument-unknown",
                f"The pipeline has no argument {name!r}.",
                where=target,
                why=f"it takes {', '.join(wanted) or 'none'}",
                fix=f"ropewalk run {target} {near[0]}=..." if near else f"ropewalk run {target}",
            )
    found: dict[str, Any] = {}
    for name, item in wanted.items():
        if name in given:
            found[name] = _read(name, given[name], item, target)
        elif item.default is item.empty:
            raise Invalid(
                "argument-missing",
                f"The pipeline needs the argument {name!r}.",
                where=target,
                why="it has no default",
                fix=f"ropewalk run {target} {name}=...",
            )
        else:
            found[name] = item.default
    return found


def wanted_of(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    """Return a pipeline's parameters by name, their annotations read."""
    try:
        signature = inspect.signature(function, eval_str=True)
    except NameError:
        signature = inspect.signature(function)
    return {
        name: item
        for name, item in signature.parameters.items()
        if item.kind not in (item.VAR_KEYWORD, item.VAR_POSITIONAL)
    }


def annotation_of(item: inspect.Parameter) -> Any:  # noqa: ANN401 - any annotation
    """Return what a parameter is to be read as: its annotation, or else its default's type."""
    if item.annotation is item.empty or isinstance(item.annotation, str):
        return Any if item.default is item.empty or item.default is None else typing.cast("Any", type(item.default))
    return item.annotation


def _read(name: str, value: Any, item: inspect.Parameter, target: str) -> Any:  # noqa: ANN401 - any argument
    annotation = annotation_of(item)
    try:
        return convert(value, annotation)
    except (ValueError, TypeError) as error:
        wanted = getattr(annotation, "__name__", None) if not typing.get_args(annotation) else None
        raise Invalid(
            "argument-unreadable",
            f"The argument {name!r} cannot be read.",
            where=target,
            why=f"wanted {wanted or annotation}, found {str(value)[:80]!r}",
            fix=f"ropewalk run {target} {name}=...",
        ) from error


def convert(value: Any, wanted: Any) -> Any:  # noqa: ANN401, C901, PLR0911 - one way out for each type
    """Return a value as an annotation wants it; text is read, other values are taken when they fit.

    Raises:
        ValueError: it cannot be read so.
    """
    origin, inner = typing.get_origin(wanted), typing.get_args(wanted)
    if origin in (typing.Union, types.UnionType):
        return _one_of(value, inner)
    if origin is typing.Literal:
        return (
            next(item for item in inner if item == value or str(item) == value) if _fits(value, inner) else _no(value)
        )
    if origin is typing.Annotated:
        return convert(value, inner[0])
    if wanted in (list, tuple, set) or origin in (list, tuple, set):
        return _several(value, origin or wanted, inner)
    if isinstance(wanted, type) and issubclass(wanted, Enum):
        return _member(value, wanted)
    if not isinstance(value, str):
        return float(value) if wanted is float and type(value) is int else value
    if wanted is str:
        return value
    if wanted is bool:
        return _WORDS[value.lower()] if value.lower() in _WORDS else _no(value)
    if wanted in (int, float):
        return wanted(value)
    if wanted is type(None):
        return None if value.lower() in _NOTHING else _no(value)
    try:
        return json.loads(value)
    except ValueError:
        return value


def _member(value: Any, kind: type[Enum]) -> Enum:  # noqa: ANN401 - any argument
    """Return the member that is called so, or has that value."""
    if isinstance(value, kind):
        return value
    found = [item for item in kind if value == item.name] or [item for item in kind if str(item.value) == str(value)]
    return found[0] if found else _no(value)


def _no(value: object) -> Any:  # noqa: ANN401 - never returns
    raise ValueError(f"not among what is wanted: {value!r}")


def _fits(value: object, choices: tuple[Any, ...]) -> bool:
    return any(item == value or str(item) == value for item in choices)


def _one_of(value: Any, choices: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any argument
    # Text fits every text, so it is tried last.
    for choice in sorted(choices, key=lambda item: item is str):
        try:
            return convert(value, choice)
        except (ValueError, TypeError):
            continue
    return _no(value)


def _several(value: Any, kind: Any, inner: tuple[Any, ...]) -> Any:  # noqa: ANN401 - any argument
    items = _items(value)
    fixed = kind is tuple and bool(inner) and inner[-1] is not Ellipsis
    if fixed and len(inner) != len(items):
        return _no(value)
    wants = inner if fixed else (inner[0] if inner else Any,) * len(items)
    make = typing.cast("Callable[[list[Any]], Any]", kind)
    return make([convert(item, want) for item, want in zip(items, wants, strict=True)])


def _items(value: Any) -> list[Any]:  # noqa: ANN401 - any argument
    if isinstance(value, str):
        text = value.strip()
        return json.loads(text) if text.startswith("[") else [part.strip() for part in text.split(",") if part.strip()]
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]  # pyright: ignore[reportUnknownArgumentType]
