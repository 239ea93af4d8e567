"""Routes by what their work needs: a view to read, or a transaction to write in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ropewalk.api.mlflow.message import Message
from ropewalk.api.mlflow.route import Action, Call, How, Route
from ropewalk.store.database import Reader, Transaction


def reads(
    method: str, path: str, work: Callable[[Reader, Call], Any], body: type[Message], result: type[Message]
) -> Route:
    """Return a route that reads one view; its summary is the work's first line."""
    return Route(
        method=method,
        path=path,
        work=work,
        how=How.READ,
        body=body,
        result=result,
        action="read",
        summary=_summary(work),
    )


def writes(  # noqa: PLR0917 - a line of a table
    method: str,
    path: str,
    work: Callable[[Transaction, Call], Any],
    body: type[Message],
    result: type[Message],
    action: Action = "write",
) -> Route:
    """Return a route that writes in one transaction; its summary is the work's first line."""
    return Route(
        method=method,
        path=path,
        work=work,
        how=How.WRITE,
        body=body,
        result=result,
        action=action,
        summary=_summary(work),
    )


def _summary(work: Callable[..., Any]) -> str:
    return (work.__doc__ or "").strip().partition("\n")[0].removesuffix(".")
