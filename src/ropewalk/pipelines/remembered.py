"""Graphs that were told before: where nothing of a plain project has changed, nothing of it is imported."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ropewalk import __version__
from ropewalk.pipelines.early import graph_file, words_of
from ropewalk.pipelines.outcomes import blobs_of
from ropewalk.refs import canonical, digest_of

FORMAT = 3
GRAPHS_MAX = 64
# What differs from terminal to terminal and tells a program nothing.
_TERMINAL = frozenset(
    {"_", "SHLVL", "OLDPWD", "COLUMNS", "LINES", "WINDOWID", "TERM_SESSION_ID", "SSH_TTY", "SSH_CLIENT"}
)


def _installed() -> list[list[str]]:
    """Return what is installed where a worker would look for it, by the names of folders that hold its versions.

    Read anew each time: a server lives for weeks, and meanwhile a library is upgraded.
    """
    places = dict.fromkeys([*sys.path[1:], *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    found: list[list[str]] = []
    for place in places:
        try:
            names = os.listdir(place) if place else []  # noqa: PTH208 - names are all that is wanted
        except OSError:
            continue
        found.append([place, *sorted(name for name in names if name.endswith((".dist-info", ".egg-info", ".pth")))])
    return found


class Remembered:
    """One command's graph, if it was told before.

    Args:
        hidden: the project's folder of ours.
        target: `FILE.py:FUNCTION`.
        args: as they were given.
    """

    def __init__(self, hidden: Path, target: str, args: Mapping[str, Any]) -> None:
        self._words = words_of(target, args)
        self._path = graph_file(hidden, target, args)

    @property
    def likely(self) -> bool:
        """Whether this command was told of, by whatever code."""
        return self._path.is_file()

    def _key(self, project: Mapping[str, Any]) -> str:
        variables = {name: value for name, value in os.environ.items() if name not in _TERMINAL}
        facts = [
            FORMAT,
            __version__,
            self._words,
            [project[name] for name in ("tree", "files", "globals")],
            [sys.executable, sys.path[1:], sys.version, _installed()],
            digest_of(canonical(variables)),
        ]
        return digest_of(canonical(facts))

    def get(self, project: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return what a worker told of the project as it is now, or None."""
        try:
            head, _, body = self._path.read_bytes().partition(b"\n")
            well = json.loads(head) == [self._key(project), digest_of(body)]
            return json.loads(body) if well else None
        except (OSError, ValueError):
            return None

    def keep(self, project: Mapping[str, Any], told: Mapping[str, Any]) -> None:
        """Keep what a worker told, where it says that it will say the same again."""
        plain = told.get("plain") and not told["entries"]
        if not plain or any(True for call in told["calls"] for _ in blobs_of(list(call[2].values()))):
            return
        part = self._path.with_suffix(f".{os.getpid()}.{threading.get_ident()}.part")
        body = canonical(told)
        head = canonical([self._key(project), digest_of(body)])
        # Not durable on purpose: what is lost, torn or removed by another run beside this one is told anew.
        with suppress(OSError):
            part.parent.mkdir(parents=True, exist_ok=True)
            with part.open("wb") as file:
                file.writelines((head, b"\n", body))
            part.replace(self._path)
        for old in sorted(_files(part.parent), reverse=True)[GRAPHS_MAX:]:
            with suppress(OSError):
                os.unlink(old[1])  # noqa: PTH108 - as it was listed


def _files(folder: Path) -> Iterator[tuple[float, str]]:
    """Yield time and path of each file that is still there: runs beside each other tidy up the same folder."""
    with suppress(OSError), os.scandir(folder) as found:
        for entry in found:
            with suppress(OSError):
                yield entry.stat().st_mtime, entry.path
