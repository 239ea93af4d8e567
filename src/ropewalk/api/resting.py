"""What is asked of a workspace that nobody has open, and done to it: what it holds, what it has to do, its removal."""

from __future__ import annotations

import logging
import shutil
from contextlib import suppress
from pathlib import Path
from time import monotonic

from ropewalk.blobs.clear import clear
from ropewalk.errors import NotFound, RopewalkError
from ropewalk.house import DATABASE, House, open_rows
from ropewalk.loops import wake
from ropewalk.settings import read_settings
from ropewalk.site import HIDDEN, Site
from ropewalk.store.choose import drop_schema
from ropewalk.workspaces.place import is_own_prefix, root_of
from ropewalk.workspaces.stores import store_url
from ropewalk.workspaces.workspace import Workspace, purged, to_purge

# Rows on a server have no file whose date would tell: they are asked so often.
ASK_SECONDS = 60.0
AGAIN_US = 60_000_000
log = logging.getLogger(__name__)


def due(site: Site, now_us: int) -> int | None:
    """Return when an open workspace has something to do by itself, in microseconds since the epoch."""
    with site.db.read() as rows:
        return wake.next_us(rows, now_us)


def peek(host: Path, found: Workspace, now_us: int) -> int | None:
    """Return the same of a closed one; None of one that was never opened.

    One that cannot be read is opened a minute later, so that it is told as broken.
    """
    try:
        with open_rows(root_of(host, found), guest=True) as store, store.read() as rows:
            return wake.next_us(rows, now_us)
    except NotFound:
        return None
    except (RopewalkError, OSError) as error:
        log.warning("workspace %s cannot be looked at: %s", found.name, error)
        return now_us + AGAIN_US


def stamp(host: Path, found: Workspace) -> object:
    """Return what changes when somebody writes the rows of a closed one."""
    file = root_of(host, found) / HIDDEN / DATABASE
    try:
        whole = file.stat()
    except OSError:
        return int(monotonic() / ASK_SECONDS)
    try:
        log_of = file.with_name(f"{DATABASE}-wal").stat()
    except OSError:
        return whole.st_mtime_ns, whole.st_size
    return whole.st_mtime_ns, whole.st_size, log_of.st_mtime_ns, log_of.st_size


def held(host: Path, found: Workspace) -> dict[str, int]:
    """Return how much of what a workspace holds, what it holds none of left out; empty where it was never opened.

    Args:
        host: folder of the host.
        found: the workspace.
    """
    root = root_of(host, found)
    try:
        with open_rows(root, climb=True, guest=True) as store, store.read(seconds_max=None) as rows:
            row = rows.row("workspaces.holds") or {}
    except NotFound:
        return {}
    return {what: count for what, value in row.items() if (count := int(str(value)))}


def purge(house: House, name: str) -> Workspace:
    """Remove the rows, files and objects of a deleted workspace for good; a folder that is not ours stays.

    Of an object store it clears the prefix that the workspace got when it was made, which ends with an id that is never
    given twice; where its settings name another place, that stays. What breaks off can be done once more.

    Raises:
        NotFound: no deleted workspace of this name has a folder.
        Conflict: somebody has it open: a server, a run or another command; the error names the process.
        Unavailable: the object store cannot be reached, or refuses; rows and files are still there.
    """
    site = house.site
    with site.db.read() as rows:
        found = to_purge(rows, name)
    root = root_of(site.root, found)
    settings = read_settings(root)
    if found.own:
        with suppress(NotFound), open_rows(root, alone=True, guest=True):
            pass  # nobody has it open; who opens it now is told that it is deleted
        if is_own_prefix(found, settings.blobs.url):
            clear(settings.blobs.url)
        if settings.store.schema and (url := store_url(root, settings)):
            drop_schema(url, settings.store.schema)
        shutil.rmtree(root, ignore_errors=True)
    site.db.write(lambda tx: purged(tx, site, found))
    return found
