"""All that a process has started: found by a mark in their environment, wherever they have gone, and ended."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import suppress

MARK = "ROPEWALK_WORKER"


def mark_of(parent: int, born: int, number: int) -> str:
    """Return the mark of a worker: who started it, and its number."""
    return f"{parent}.{born}.{number}"


def marked(prefix: str) -> Iterator[tuple[int, str]]:
    """Yield every process of this user whose mark begins so, with its mark; none where /proc is not (not Linux)."""
    wanted = f"{MARK}={prefix}".encode()
    try:
        names = os.listdir("/proc")  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return
    for name in names:
        if not name.isdigit():
            continue
        with suppress(OSError), open(f"/proc/{name}/environ", "rb") as file:  # noqa: PTH123 - pathlib is slow
            for line in file.read().split(b"\0"):
                if line.startswith(wanted):
                    yield int(name), line.partition(b"=")[2].decode(errors="replace")


def end(prefix: str) -> int:
    """Kill every process with such a mark but this one; return how many there were."""
    ended: set[int] = set()
    # One may start another while it is looked for: look again until there is no new one.
    while found := {pid for pid, _ in marked(prefix)} - ended - {os.getpid()}:
        for pid in found:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        ended |= found
    return len(ended)


def end_orphans() -> int:
    """Kill what workers started whose parents are gone: a process that was killed could not do it itself."""
    from ropewalk.leases import process_start

    count = 0
    for pid, mark in list(marked("")):
        parent, _, rest = mark.partition(".")
        born = rest.partition(".")[0]
        if parent.isdigit() and born.isdigit() and process_start(int(parent)) != int(born):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
                count += 1
    return count
