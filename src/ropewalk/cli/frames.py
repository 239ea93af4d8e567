"""Rows from and to files that people name on a command line: Parquet, CSV and newline-delimited JSON."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.errors import Invalid, NotFound

if TYPE_CHECKING:
    import polars as pl

READERS = {
    ".parquet": "read_parquet",
    ".csv": "read_csv",
    ".ndjson": "read_ndjson",
    ".json": "read_json",
    ".arrow": "read_ipc",
}
WRITERS = {
    ".parquet": "write_parquet",
    ".csv": "write_csv",
    ".ndjson": "write_ndjson",
    ".json": "write_json",
    ".arrow": "write_ipc",
}


def read_frame(path: Path) -> pl.DataFrame:
    """Return a file's rows; its ending says the format.

    Raises:
        NotFound: there is no such file.
        Invalid: the ending is unknown, or the bytes are another format.
    """
    import polars as pl

    require_readable(path)
    _known(path)
    try:
        return getattr(pl, READERS[path.suffix])(path)
    except pl.exceptions.PolarsError as error:
        raise Invalid(
            "data-file-broken",
            "The file could not be read.",
            where=path.name,
            why=str(error).splitlines()[0],
            fix=f"head -c 200 {shlex.quote(str(path))}",
        ) from error


def write_frame(frame: pl.DataFrame, path: Path) -> None:
    """Write rows whole or not at all; the file's ending says the format.

    Raises:
        Invalid: the ending is unknown.
    """
    _known(path)
    incoming = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        getattr(frame, WRITERS[path.suffix])(incoming)
        incoming.replace(path)
    finally:
        incoming.unlink(missing_ok=True)


def require_readable(path: Path) -> None:
    """Pass only where there is such a file.

    Raises:
        NotFound: there is none.
    """
    if not path.is_file():
        raise NotFound(
            "data-file-not-found",
            "There is no such file.",
            where=str(path),
            why="rows are a file, or a snapshot's digest as `ropewalk data` prints it",
            fix=f"ls {shlex.quote(str(_nearest(path)))}",
        )


def require_writable(path: Path) -> None:
    """Pass only when a file of this name can be written; asked before the work that it is to hold.

    Raises:
        Invalid: the ending is unknown.
        NotFound: its folder is not there.
    """
    _known(path)
    if not path.parent.is_dir():
        raise NotFound(
            "data-file-not-found",
            "The folder to write into is not there.",
            where=str(path),
            why=f"{path.parent} is no folder",
            fix=f"mkdir -p {shlex.quote(str(path.parent))}",
        )


def _nearest(path: Path) -> Path:
    """Return the nearest folder above a file that is there."""
    return next(folder for folder in path.parents if folder.is_dir())


def _known(path: Path) -> None:
    if path.suffix not in READERS:
        raise Invalid(
            "data-file-unknown",
            "This kind of file is not read or written.",
            where=path.name,
            why=f"{path.suffix or 'no ending'}; known: {', '.join(READERS)}",
            fix="name a .parquet, .csv, .ndjson or .json file",
        )
