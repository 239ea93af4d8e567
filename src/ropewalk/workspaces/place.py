"""Where a workspace's rows and bytes lie: in a folder of its own, or beside the host's tables and objects."""

from __future__ import annotations

from pathlib import Path

from ropewalk.records import frozen
from ropewalk.site import HIDDEN
from ropewalk.workspaces.names import DEFAULT
from ropewalk.workspaces.workspace import Workspace

SCHEMA = "ropewalk_ws_"
_SETTINGS = "ropewalk.toml"


@frozen
class Beside:
    """Where the host keeps its own, beside which new workspaces are kept.

    Attributes:
        postgres: whether its rows are on a server, where each workspace gets a schema.
        blobs: address of its object store, below which each workspace gets a prefix; empty for folders.
    """

    postgres: bool = False
    blobs: str = ""


def root_of(host: Path, found: Workspace) -> Path:
    """Return the folder of a workspace; the host's own for `default`."""
    if found.id == DEFAULT:
        return host
    assert found.folder, "a workspace that was purged has no folder"
    return host / HIDDEN / found.folder if found.own else Path(found.folder)


def schema_of(found: Workspace) -> str:
    """Return the schema that a workspace's tables get on a server."""
    return f"{SCHEMA}{found.id}"


def prepare(host: Path, found: Workspace, beside: Beside) -> Path:
    """Make the folder of a workspace of ours, with settings that say where its rows and bytes are; return it.

    What they say stays: a host that moves to PostgreSQL later leaves its workspaces where they are.
    """
    root = root_of(host, found)
    if not found.own or (root / _SETTINGS).exists():
        return root
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    lines = [f'name = "{found.name}"']
    if beside.postgres:
        lines.append(f'[store]\nschema = "{schema_of(found)}"')
    if beside.blobs:
        lines.append(f'[blobs]\nurl = "{beside.blobs.rstrip("/")}{_prefix(found)}"')
    text = "# A workspace: `ropewalk --workspace NAME` works in it.\n" + "\n".join(lines) + "\n"
    new = root / f".{_SETTINGS}.new"
    new.write_text(text, encoding="utf-8")
    new.rename(root / _SETTINGS)
    return root


def is_own_prefix(found: Workspace, url: str) -> bool:
    """Say whether an address of an object store is the one that `prepare` gave this workspace, and nobody else's."""
    return "://" in url and url.endswith(_prefix(found))


def _prefix(found: Workspace) -> str:
    return f"/workspaces/{found.id}"
