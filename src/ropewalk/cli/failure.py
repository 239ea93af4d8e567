"""How a command ends when it fails: four lines and a code, never a traceback, and a log for what nobody foresaw."""

from __future__ import annotations

import errno
import os
import shlex
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from ropewalk import __version__
from ropewalk.cli.output import Output
from ropewalk.clock import SystemClock, iso
from ropewalk.errors import RopewalkError, Unavailable
from ropewalk.refs import uuid7

# What one typed was wrong (2, as every Unix tool says it), or what one typed could not be done (1).
BY_HAND = 130
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EISDIR, errno.ENOTDIR)
_TYPED_WRONG = ("usage", "command-unknown", "project-not-found")


def show(error: Exception, words: Sequence[str], out: Output) -> int:
    """Print an error and return the exit status: 2 when the command line was wrong, 130 after Ctrl-C, else 1.

    An error that is not ours is written whole into a log file, and the reader gets its id and the file's path.
    """
    if isinstance(error, RopewalkError):
        out.fail(error.record())
        if error.code == "run-interrupted":
            return BY_HAND
        return 2 if error.code in _TYPED_WRONG else 1
    if isinstance(error, OSError) and error.errno in _REFUSED and error.filename is not None:
        out.fail(_refused(error).record())
        return 1
    out.fail(_internal(error, words, out.project).record())
    return 1


def show_interrupt(out: Output) -> None:
    """Say that Ctrl-C ended it."""
    out.fail(
        RopewalkError(
            "interrupted", "Interrupted.", why="Ctrl-C was pressed", fix="type the same command again; it resumes"
        ).record()
    )


def _refused(error: OSError) -> Unavailable:
    """Return what the system said about a file, with the look that tells more."""
    path = Path(os.fsdecode(error.filename))
    there = next((one for one in (path, *path.absolute().parents) if one.exists()), Path("/"))
    look = "df -h ." if error.errno in (errno.ENOSPC, errno.EDQUOT) else f"ls -ld {shlex.quote(str(there))}"
    return Unavailable(
        "file-refused", "The system refused a file.", where=str(path), why=os.strerror(error.errno or 0), fix=look
    )


def _internal(error: Exception, words: Sequence[str], project: Path | None) -> RopewalkError:
    now_us = SystemClock().now_us()
    number = uuid7(now_us)
    path = _log_folder(project) / f"{number}.log"
    lines = [
        f"id       {number}",
        f"at       {iso(now_us)}",
        f"version  {__version__}",
        f"command  ropewalk {shlex.join(words)}",
        "",
        *traceback.format_exception(error),
    ]
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("\n".join(lines))
    return RopewalkError(
        "internal",
        "Something that we did not foresee went wrong.",
        where=str(path),
        why=f"{type(error).__name__}; the whole of it is in that file, under the id {number}",
        fix=f"cat {shlex.quote(str(path))}",
    )


def _log_folder(project: Path | None) -> Path:
    """Return where logs go: into the project if there is one, else into a new folder that only this user can read."""
    hidden = (project or Path.cwd()) / ".ropewalk"
    if hidden.is_dir() and os.access(hidden, os.W_OK):
        folder = hidden / "log"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder
    return Path(tempfile.mkdtemp(prefix="ropewalk-log-"))
