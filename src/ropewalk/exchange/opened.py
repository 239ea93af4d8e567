"""What was typed as a source, opened: an `mlruns` folder, a SQLite file or the address of a server."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from ropewalk.errors import Invalid, NotFound
from ropewalk.exchange.database import DatabaseSource
from ropewalk.exchange.folder import META, TRASH, FolderSource
from ropewalk.exchange.records import Whole
from ropewalk.exchange.server import ServerSource

SQLITE = b"SQLite format 3\x00"


def open_source(text: str, artifacts: Path | None = None) -> Whole:
    """Return the source that somebody typed.

    Args:
        text: a folder, a file, `sqlite:///FILE`, or `http(s)://HOST`.
        artifacts: the folder that a server kept its artifacts in, or None.

    Raises:
        NotFound: there is no such file or folder.
        Invalid: it is something else.
        Unavailable: the server does not answer.
    """
    scheme = urlsplit(text).scheme
    if scheme in ("http", "https"):
        return ServerSource(text)
    path = path_of(text)
    if artifacts is not None and not artifacts.is_dir():
        raise NotFound("exchange-source-missing", "There is no such folder of artifacts.", where=str(artifacts))
    if path.is_dir():
        if any((one / META).is_file() for one in path.iterdir() if one.is_dir()) or (path / TRASH).is_dir():
            return FolderSource(path, artifacts)
        raise _unknown(text, f"{path.name} is a folder, and holds no experiment")
    if not path.is_file():
        raise NotFound(
            "exchange-source-missing",
            "There is nothing at this place.",
            where=text,
            fix="name an mlruns folder, a SQLite file of MLflow or the address of a server",
        )
    with path.open("rb") as file:
        if file.read(len(SQLITE)) == SQLITE:
            return DatabaseSource(path, artifacts)
    raise _unknown(text, f"{path.name} is a file, and no SQLite database")


def path_of(text: str) -> Path:
    """Return the path that somebody typed, as MLflow's own addresses name it or plainly."""
    parts = urlsplit(text)
    if parts.scheme == "sqlite":
        # Three slashes name a file from here, four one from the root.
        return Path(unquote(parts.path.removeprefix("/")))
    if parts.scheme == "file":
        return Path(unquote(parts.path))
    if len(parts.scheme) > 1:
        raise _unknown(text, f"{parts.scheme} is not a kind of source")
    return Path(text)


def _unknown(text: str, why: str) -> Invalid:
    return Invalid(
        "exchange-source-unknown",
        "This is nothing that MLflow keeps runs in.",
        where=text,
        why=why,
        fix="name an mlruns folder, a SQLite file of MLflow or the address of a server",
    )
