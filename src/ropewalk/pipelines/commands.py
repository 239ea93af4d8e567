"""`command_step`: a plain command as a step, answered from the cache by what it reads, its files put back."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from ropewalk.blobs.bucket import Bucket
from ropewalk.compute.pool import ended_how
from ropewalk.errors import Invalid
from ropewalk.pipelines.declare import step
from ropewalk.pipelines.opened import unheard
from ropewalk.pipelines.outputs import Files, clear, keep, put_back, require_inside
from ropewalk.runs.log import current

SHELL = "/bin/sh"
# A name is a file's, for the log, and a word of `ropewalk step`; `_files-10000.log` has to have room behind it.
NAME_BYTES_MAX = 200
_NAME = re.compile(r"\w[\w .+()-]*")
Stage = Callable[..., Files]


def command_step(
    command: str | Sequence[str],
    *,
    reads: str | Sequence[str] = (),
    writes: str | Sequence[str] = (),
    name: str = "",
    retries: int = 0,
    timeout: float | str | None = None,
    cache: bool = True,
) -> Stage:
    """Make a step of a command.

    `clean = command_step("make clean.csv", reads=["raw.csv", "Makefile"], writes=["clean.csv"])`

    Called in a pipeline it runs in the project's folder, where its outputs were removed before. When the command and
    what it reads are what they were, it does not run: its outputs are put back from the cache. It gives the digests of
    its outputs; handed on to another step, or to another command, they make that one come after it.

    Args:
        command: text for `/bin/sh -c`, or a list of words for no shell at all.
        reads: files, folders or patterns, relative to the project, whose content counts as an input: programs too.
        writes: files and folders, relative to the project, that it writes.
        name: how the run calls it; the command's first word when left out.
        retries: how often it is tried again after a failure.
        timeout: seconds, or text such as `15m`; it is killed then.
        cache: False lets it run in each new run.

    Returns:
        A function that takes the results of steps before it, and gives `{path: [digest, mode]}`.

    Raises:
        Invalid: a path leads out of the project, it cannot be called so, or an option cannot be read.
    """
    outputs = require_inside((writes,) if isinstance(writes, str) else writes)
    words = (SHELL, "-c", command) if isinstance(command, str) else tuple(command)
    called = name or _called(command)

    def run(words: tuple[str, ...], writes: tuple[str, ...], after: tuple[object, ...]) -> Files:  # noqa: ARG001
        return run_command(words, writes)

    declared = (reads,) if isinstance(reads, str) else tuple(reads)
    return staged(run, called, outputs, (words, outputs), reads=declared, retries=retries, timeout=timeout, cache=cache)


def staged(
    run: Callable[..., Files],
    name: str,
    outputs: tuple[str, ...],
    fixed: tuple[object, ...],
    *,
    reads: tuple[str, ...],
    retries: int,
    timeout: float | str | None,
    cache: bool,
) -> Stage:
    """Return two steps as one function: what runs, or is answered from the cache, and what then puts its files back.

    Raises:
        Invalid: it cannot be called so.
    """
    if not _NAME.fullmatch(name) or len(name.encode(errors="replace")) > NAME_BYTES_MAX:
        raise Invalid(
            "step-name",
            "A step cannot be called so.",
            why=f"wanted letters, digits and _ - . + ( ), {NAME_BYTES_MAX} bytes at most, found {name[:80]!r}",
            fix='name it, such as name="clean"',
        )

    def files(files: Files, writes: tuple[str, ...]) -> Files:
        with unheard():
            put_back(Path.cwd(), blobs(), files, writes)
        return files

    run.__name__, run.__qualname__ = name, f"stage.{name}"
    files.__name__, files.__qualname__ = f"{name}_files", f"stage.{name}_files"
    first = step(reads=reads, retries=retries, timeout=timeout, cache=cache)(run)
    second = step(cache=False)(files)

    def stage(*after: object) -> Files:
        made = first(*fixed, after)
        return second(made, outputs) if outputs else made

    stage.__name__ = stage.__qualname__ = name
    return stage


def run_command(words: Sequence[str], writes: Sequence[str]) -> Files:
    """Run a command in the project's folder and keep what it writes; what it says goes into the step's log.

    Raises:
        Invalid: it is not there, ended with another status than 0, or did not write what it declares.
    """
    root = Path.cwd()
    shown = words[-1] if words[:2] == (SHELL, "-c") else shlex.join(words)
    clear(root, writes)
    try:
        ended = subprocess.run(words, cwd=root, stdin=subprocess.DEVNULL, check=False)
    except OSError as error:
        raise Invalid(
            "command-failed",
            f"A command could not be run: {error.strerror}",
            where=shown[:200],
            why=str(error),
            fix="mend the command",
        ) from error
    if ended.returncode:
        raise Invalid(
            "command-failed",
            f"A command {ended_how(ended.returncode)}: {shown[:200]}",
            where=shown[:200],
            why="what it said is in the step's log",
            fix=shown[:200],
        )
    with unheard():
        return keep(root, blobs(), writes, shown[:200])


def blobs() -> Bucket | None:
    """Return where the bytes of the step that runs here go; None outside of a run."""
    collector = current()
    return None if collector is None else collector.blobs


def _called(command: str | Sequence[str]) -> str:
    words = command.split() if isinstance(command, str) else list(command)
    word = Path(words[0]).name if words else ""
    found = re.sub(r"\W+", "_", word).strip("_")
    return found if found and not found[0].isdigit() else "command"
