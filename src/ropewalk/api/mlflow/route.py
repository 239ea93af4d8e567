"""One route of the protocol: where it is, what it takes, gives and needs, and what does its work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

from ropewalk.api.mlflow.message import Message
from ropewalk.endpoints.problems import Scope
from ropewalk.house import House
from ropewalk.site import Site

# Where the gate leaves who asks.
CALLER = "ropewalk.caller"
Action = Literal["read", "write", "approve", "operate", "admin", "known"]


class How(Enum):
    """Who runs a route's work, and with what."""

    __hash__ = object.__hash__  # there is one of each: a request looks its own up several times

    READ = "read"
    """`work(reader, call)`, in a thread, on one consistent view."""
    WRITE = "write"
    """`work(tx, call)`, in one transaction of the store's writer; answered once it is durable."""
    PLAIN = "plain"
    """`work(call)`, in a thread; it opens what it needs."""
    STREAM = "stream"
    """`async work(call, receive, send)`: it answers by itself, piece by piece."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, understood.

    Attributes:
        site: the project; its actor is the caller.
        house: the open project with its settings.
        path: the decoded segments that the route names.
        body: the struct of the body, or of the query; None where the route takes none.
        scope: ASGI's.
        counted: whether the bytes that come are counted against a quota.
    """

    site: Site
    house: House
    path: dict[str, str]
    body: Any
    scope: Scope
    counted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method at one path.

    Attributes:
        method: the HTTP verb.
        path: below `/api/VERSION`, such as `/mlflow/runs/create`; `{name}` is a segment, `{name:rest}` all that follow.
        work: does it; see `How`.
        how: who runs it.
        body: struct of the JSON body; of the query for GET, and for DELETE without a body; None for neither.
        result: struct of the answer; None for bytes that a stream sends.
        action: what the caller's role has to allow.
        versions: of the API below which it is served.
        summary: a line for the API's document.
        bare: served at `path` itself, not below `/api` and `/ajax-api`.
        secret: the answer holds what the caller alone may know, so that none is kept for a repetition.
        status: of a good answer; with 204 it has no body.
    """

    method: str
    path: str
    work: Callable[..., Any]
    how: How
    body: type[Message] | None = None
    result: type[Any] | None = None
    action: Action
    versions: tuple[str, ...] = ("2.0",)
    summary: str
    bare: bool = False
    secret: bool = False
    status: int = 200

    def paths(self) -> tuple[str, ...]:
        """Return every path at which it is served."""
        if self.bare:
            return (self.path,)
        return tuple(f"/{door}/{version}{self.path}" for version in self.versions for door in ("api", "ajax-api"))
