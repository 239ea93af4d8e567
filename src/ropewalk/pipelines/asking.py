"""Which environment variables a function asks for, as far as its code and what it is bound to tell."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from inspect import getattr_static
from types import MethodType, ModuleType
from typing import Any, cast

from ropewalk.pipelines.asked import ASKS
from ropewalk.pipelines.bytecode import Scan
from ropewalk.pipelines.variables import is_secret

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WRITTEN = re.compile(r"[A-Z_][A-Z0-9_]+")
_KINDS = (list, tuple, set, frozenset)


def names_in(texts: Iterable[str], environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Yield what in texts may be a variable's name: what is set now, or is written like one; no secret's."""
    for text in texts:
        for name in _NAME.findall(text):
            if (name in environ or _WRITTEN.fullmatch(name)) and not is_secret(name):
                yield name


class Asking:
    """Which variables a function asks for, as far as what it is bound to tells.

    Args:
        found: its code.
        namespace: its module's names.
        held: what variables of enclosing functions and arguments that nobody gives hold.

    Attributes:
        names: the variables.
        open: whether it asks for others too, whose names only running it would tell.
    """

    def __init__(self, found: Scan, namespace: Mapping[str, Any], held: Mapping[str, Any]) -> None:
        self.names = list(found.variables)
        self.open = "expandvars" in found.names
        self._held = list(held.values())
        for place, *chain in (asked or ("",) for asked in found.asked):
            value = at({"global": namespace, "held": held}.get(place, {}), chain)
            self.open = self.open or not isinstance(value, str)
            self.names += [value] if isinstance(value, str) else []
        for chain in found.chains:
            value = at(namespace, chain)
            self._held.append(value)
            self.open = self.open or (chain[-1] not in ASKS and _asks(value))
        self.open = self.open or any(_asks(value) for name, value in held.items() if name not in ASKS)

    def texts(self) -> Iterator[str]:
        """Yield every text that it holds besides those in its code."""
        for value in self._held:
            parts: tuple[object, ...] = (value,)
            if isinstance(value, dict):
                parts = (*cast("dict[object, object]", value), *cast("dict[object, object]", value).values())
            elif isinstance(value, _KINDS):
                parts = tuple(cast("list[object]", value))
            yield from (part for part in parts if isinstance(part, str))


def at(names: Mapping[str, Any], chain: Iterable[str]) -> Any:  # noqa: ANN401 - any object
    """Return what a name with its attributes is bound to, None for nothing; no code of objects runs for it."""
    value: Any = None
    for place, name in enumerate(chain):
        if not place:
            value = names.get(name)
        elif isinstance(value, ModuleType | type) or (isinstance(value, Enum) and name in ("name", "value")):
            value = getattr(value, name, None)
        else:
            value = getattr_static(value, name, None)
    return value


def _asks(value: object) -> bool:
    """Say whether something asks the environment: `ask = os.getenv`, `look = os.environ.get`."""
    if isinstance(value, MethodType):
        return value.__self__ is os.environ
    return any(value is one for one in (os.environ, os.environb, os.getenv, os.getenvb))
