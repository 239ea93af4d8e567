"""Where a command works that was given `--workspace NAME`: in that workspace's folder, as if it were `--project`."""

from __future__ import annotations

import os
from pathlib import Path


def folder_of(host: Path, name: str) -> Path:
    """Return the folder of a workspace; its host's own for `default`.

    A project of its own that was registered takes no store from the environment: its variables name the host's.

    Args:
        host: folder of the host.
        name: of the workspace; one that is archived may be worked in too.

    Raises:
        NotFound: there is none, or nothing was ever recorded in the host.
    """
    from ropewalk.house import open_house
    from ropewalk.site import HIDDEN
    from ropewalk.workspaces import workspace
    from ropewalk.workspaces.place import prepare
    from ropewalk.workspaces.stores import STORES, beside_of

    with open_house(host, create=False) as house:
        with house.site.db.read() as rows:
            found = workspace.get(rows, name)
        root = prepare(host, found, beside_of(host, house.settings))
    if found.own and not (root / HIDDEN).exists():
        with open_house(root):  # one that nobody has used yet is as empty as it looks, and no mistake
            pass
    if not found.own:
        for variable in STORES:
            os.environ.pop(variable, None)
    return root
