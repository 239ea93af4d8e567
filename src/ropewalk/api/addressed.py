"""Which workspace a request is about: by MLflow's header, or by the path below which its pages and routes lie."""

from __future__ import annotations

import re

from ropewalk.endpoints.problems import Scope
from ropewalk.errors import Invalid, NotFound, RopewalkError
from ropewalk.workspaces.names import is_workspace_name, require_name

HEADER = b"x-mlflow-workspace"
BELOW = "/workspaces/"
LETTERS_MAX = 256
# A workspace, empty for the server's own project, and what is wrong with how it was named.
Meant = tuple[str, RopewalkError | None]
OWN: Meant = ("", None)
# What is asked of the server and not of one of its workspaces, whatever header comes along.
_OF_SERVER = re.compile(r"/(ajax-)?api/3\.0/mlflow/(workspaces(/.*)?|server-info)")


def base_of(name: str) -> str:
    """Return the path below which a workspace's pages and routes lie."""
    return f"{BELOW}{name}"


def addressed(scope: Scope, names: tuple[str, ...]) -> Meant:
    """Return the workspace that a request names, empty for the server's own project, and what is wrong with it.

    The path loses what names the workspace, so that everything behind reads it as if the workspace were alone.

    Args:
        scope: ASGI's, of a request.
        names: those of the server's own project.
    """
    headers = scope["headers"]
    said = dict(headers).get(HEADER)
    path: str = scope["path"]
    if said is None and not path.startswith(BELOW):
        return OWN
    twice = sum(name == HEADER for name, _ in headers) > 1
    try:
        header = _said(said, twice=twice)
        below = _below(scope, path) if path.startswith(BELOW) and path != BELOW else ""
        if _OF_SERVER.fullmatch(str(scope["path"])):
            return OWN
        if header and below and header != below:
            raise _disagree(header, below)
        found = header or below
        if found in names:
            return OWN
        if found and not is_workspace_name(found):
            require_name(found)
    except RopewalkError as error:
        return "", error
    else:
        return found, None


def _said(value: bytes | None, *, twice: bool) -> str:
    if twice:
        raise Invalid("workspace-twice", "The header that names the workspace came twice.", where="X-MLFLOW-WORKSPACE")
    if value is None:
        return ""
    return value.strip()[:LETTERS_MAX].decode("latin-1")


def _below(scope: Scope, path: str) -> str:
    """Return the workspace that a path names, and take it out of the path.

    Raises:
        Invalid: it is not written as its name is, letter for letter.
        NotFound: nothing of that kind is served of a workspace.
    """
    name, slash, rest = path.removeprefix(BELOW).partition("/")
    prefix = f"{BELOW}{name}"
    raw: bytes = (scope.get("raw_path") or path.encode()).partition(b"?")[0]
    left = raw.removeprefix(prefix.encode("latin-1", "replace"))
    if len(left) == len(raw) or (slash and not left.startswith(b"/")):
        raise Invalid(
            "workspace-address",
            "The path does not name its workspace letter for letter.",
            where=path[:80],
            why="a name has nothing that an address would have to write otherwise",
            fix=f"{prefix[:80]}/",
        )
    inner = f"/{rest}"
    if inner in ("/login", "/logout") or inner.startswith(("/workspaces", "/static")):
        raise NotFound("route-not-found", "Nothing is served here.", where=path[:200], fix=f"GET {inner[:200]}")
    scope["path"] = inner
    scope["raw_path"] = left or b"/"
    return name


def _disagree(header: str, below: str) -> Invalid:
    return Invalid(
        "workspace-mismatch",
        "The request names two workspaces.",
        where="X-MLFLOW-WORKSPACE",
        why=f"the header says {header[:80]!r}, the path {below[:80]!r}",
        fix="name one, or the same twice",
    )
