"""Where files may be looked for: below the folders that somebody named, never where a record points by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ropewalk.exchange.records import Elsewhere, File

PROXIED = "mlflow-artifacts"


class Places:
    """The folders in which files are read.

    Args:
        home: the folder of the source; what is named relatively lies below it.
        artifacts: the folder that an MLflow server keeps its artifacts in; None when nobody named one.
    """

    def __init__(self, home: Path, artifacts: Path | None) -> None:
        self._home = home.resolve()
        self._artifacts = artifacts.resolve() if artifacts else None
        self._allowed = [one for one in (self._home, self._artifacts) if one]

    def folder(self, uri: str) -> Path:
        """Return the folder that a record names.

        Raises:
            Elsewhere: it is not below a folder that was named, or it is not a folder's address at all.
        """
        parts = urlsplit(uri)
        if parts.scheme == PROXIED:
            if self._artifacts is None:
                raise Elsewhere(f"{uri} lies where a server kept it: name that folder with --artifacts")
            found = self._artifacts / unquote(parts.path).lstrip("/")
        elif parts.scheme in ("", "file") and not parts.netloc:
            found = self._home / unquote(parts.path if parts.scheme else uri)
        else:
            raise Elsewhere(f"{uri} is not a folder of this machine")
        found = found.resolve()
        if not any(found.is_relative_to(one) for one in self._allowed):
            raise Elsewhere(f"{uri} is not below {' or '.join(str(one) for one in self._allowed)}")
        return found


def files_below(folder: Path) -> Iterator[File]:
    """Yield the files below a folder by name; links are not followed, for they may lead anywhere."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(one for one in folders if not (Path(here) / one).is_symlink())
        for name in sorted(names):
            path = Path(here) / name
            if path.is_file() and not path.is_symlink():
                yield File(path=path.relative_to(folder).as_posix(), open=partial(path.open, "rb"))
