"""Files by path as a tree of folders, the folders first."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from ropewalk.console.words import size

OPEN_MAX = 12
DEPTH_MAX = 40


def tree(files: Iterable[tuple[str, int, str]]) -> list[dict[str, Any]]:
    """Return nested items, each with `name`, `told`, `open`, `address` and, for a folder, `children`.

    Args:
        files: path, bytes and address of each; folders deeper than forty stay one name.
    """
    top: dict[str, Any] = {}
    for path, count, address in files:
        parts = path.split("/", DEPTH_MAX)
        here = top
        for part in parts[:-1]:
            inner = here.setdefault(f"{part}/", {})
            here = inner
        here[parts[-1]] = (count, address)
    return _items(top)


def _items(folder: dict[str, Any]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for name, inside in sorted(folder.items(), key=lambda pair: (not isinstance(pair[1], dict), pair[0])):
        if isinstance(inside, dict):
            children = _items(cast(dict[str, Any], inside))
            files = sum(item["files"] for item in children)
            told = f"{files:,} {'file' if files == 1 else 'files'}"
            items.append(
                {
                    "name": name[:-1],
                    "told": told,
                    "open": len(children) <= OPEN_MAX,
                    "children": children,
                    "files": files,
                    "address": "",
                }
            )
        else:
            count, address = inside
            items.append({"name": name, "told": size(count), "children": [], "files": 1, "address": address})
    return items
