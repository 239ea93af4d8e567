"""Which store and which bucket a project has: by its settings, the environment, or as the workspace of another one."""

from __future__ import annotations

import os
from pathlib import Path

from ropewalk.settings import Settings, read_settings
from ropewalk.site import HIDDEN
from ropewalk.store.choose import with_schema
from ropewalk.workspaces.place import Beside
from ropewalk.workspaces.workspace import FOLDERS

STORES = STORE, BLOBS = "ROPEWALK_STORE_URL", "ROPEWALK_BLOBS_URL"


def store_url(root: Path, settings: Settings, *, guest: bool = False) -> str:
    """Return the address of the project's PostgreSQL store; empty for the SQLite file in its folder.

    A workspace's folder takes no store from the environment, whose variables are its host's: it is beside the host's
    tables where its settings name a schema, else in its own file.
    """
    own, host = settings.store, host_of(root)
    given = "" if guest and host is None else os.environ.get(STORE, "")
    if host is None:
        url = given or own.url
    else:
        url = own.url or ((given or read_settings(host).store.url) if own.schema else "")
    return with_schema(url, own.schema) if url and own.schema else url


def blobs_url(root: Path, settings: Settings, *, guest: bool = False) -> str:
    """Return the address of the project's object store; empty for the folder of blobs in its own."""
    if guest or host_of(root) is not None:
        return settings.blobs.url
    return os.environ.get(BLOBS, "") or settings.blobs.url


def host_of(root: Path) -> Path | None:
    """Return the project in whose hidden folder another one lies as a workspace, or None."""
    above = root.parent
    return above.parent.parent if (above.name, above.parent.name) == (FOLDERS, HIDDEN) else None


def beside_of(root: Path, settings: Settings) -> Beside:
    """Return where a host keeps its own rows and bytes, beside which new workspaces are kept."""
    return Beside(postgres=bool(store_url(root, settings)), blobs=blobs_url(root, settings))
