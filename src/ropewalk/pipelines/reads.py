"""What steps declare with `reads=`: what files and variables hold now, looked at once while they stay as they are."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from ropewalk.errors import Invalid
from ropewalk.pipelines.variables import VARIABLE, digest_of_variable
from ropewalk.refs import digest_of_file
from ropewalk.site import HIDDEN

ABSENT = "absent"
FILES_MAX = 100_000
Stamp = tuple[int, int, int, int]


class DeclaredFiles:
    """Digests of files below a project's folder, for one run.

    Args:
        root: the project's folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._known: dict[Path, tuple[Stamp, str]] = {}

    def digests(self, patterns: Iterable[str]) -> dict[str, str]:
        """Return the digest of each file that the patterns mean, by its path relative to the project.

        Args:
            patterns: files, folders (everything below them) or patterns with `*`, `?`, `**`. A file that is not
                there is `absent`: when it appears, that is a change. `env:NAME` is an environment variable.

        Raises:
            Invalid: a pattern leaves the project or is too wide.
        """
        found: dict[str, str] = {}
        for pattern in patterns:
            if pattern.startswith(VARIABLE):
                found[pattern] = digest_of_variable(pattern.removeprefix(VARIABLE))
                continue
            if Path(pattern).is_absolute() or ".." in Path(pattern).parts:
                raise Invalid(
                    "reads-outside",
                    "A step may declare files of the project only.",
                    where=pattern,
                    why="only they can be found again when the project is moved",
                    fix="copy or link the file into the project",
                )
            files = self._files(pattern)
            if not files:
                found[pattern] = ABSENT
            for path in files:
                found[path.relative_to(self._root).as_posix()] = self._digest(path)
            if len(found) > FILES_MAX:
                raise Invalid("reads-too-wide", "A step reads too many files.", why=f"the limit is {FILES_MAX:,}")
        return dict(sorted(found.items()))

    def _files(self, pattern: str) -> list[Path]:
        path = self._root / pattern
        if path.is_dir():
            return sorted(_below(path))
        if path.is_file():
            return [path]
        if not any(letter in pattern for letter in "*?["):
            return []
        parts = PurePosixPath(pattern).parts
        if "**" in parts:
            fixed = next(place for place, part in enumerate(parts) if any(letter in part for letter in "*?["))
            found = _below(self._root.joinpath(*parts[:fixed]))
            return sorted(item for item in found if _fits(item.relative_to(self._root).parts, parts))
        return [item for item in sorted(self._root.glob(pattern)) if item.is_file() and HIDDEN not in item.parts]

    def _digest(self, path: Path) -> str:
        facts = path.stat()
        stamp = (facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size, facts.st_ino)
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = (stamp, digest_of_file(path))
            self._known[path] = known
        return known[1]


def _below(folder: Path) -> Iterator[Path]:
    """Yield each file below a folder, through links to folders too; what links lead to twice on one way is left out."""
    for here, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(here) + os.sep
        folders[:] = [
            name
            for name in folders
            if name != HIDDEN and not real.startswith(os.path.realpath(Path(here, name)) + os.sep)
        ]
        yield from (path for path in (Path(here, name) for name in files) if path.is_file())


def _fits(names: Sequence[str], parts: Sequence[str]) -> bool:
    """Say whether a path has the form of a pattern in which `**` is any number of folders; at its end, any file."""
    if not parts or not names:
        return not parts and not names
    if parts[0] == "**":
        return len(parts) == 1 or any(_fits(names[place:], parts[1:]) for place in range(len(names)))
    return fnmatchcase(names[0], parts[0]) and _fits(names[1:], parts[1:])
