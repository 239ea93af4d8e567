"""Who runs a thing and whether he still lives: host, boot, process and its start, with an expiry for other hosts."""

from __future__ import annotations

import os
import select
import signal
import threading
from contextlib import suppress
from functools import cache
from pathlib import Path

from ropewalk.records import frozen

LEASE_SECONDS = 30
# Environment variable with the process id of a server that starts a command and without which it has no sense.
PARENT = "ROPEWALK_PARENT"
# Environment variable by which a run learns which start of a schedule it is: `ID:FENCE`.
FIRE = "ROPEWALK_FIRE"


@frozen
class Lease:
    """The holder of a running thing.

    Attributes:
        host: host name of the holder.
        boot: kernel's boot id, so that a reboot ends every lease at once.
        pid: process id of the holder.
        born: start time of that process in clock ticks since boot, so that a reused pid is not the holder.
        expires_us: microseconds since the epoch; counts only where the process cannot be looked at.
        fence: number that grows with each holder; results are accepted only with the current one.
    """

    host: str
    boot: str
    pid: int
    born: int
    expires_us: int
    fence: int


def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    import socket  # 5 ms, where the system's own call does not tell

    return socket.gethostname()


@cache
def boot_id() -> str:
    """Return the kernel's boot id, or an empty string where there is none (not Linux)."""
    path = Path("/proc/sys/kernel/random/boot_id")
    return path.read_text().strip() if path.exists() else ""


def process_start(pid: int) -> int | None:
    """Return the start of a process in clock ticks since boot, or None when it is gone or a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else int(fields[19])


def take(now_us: int, fence: int, seconds: float = LEASE_SECONDS) -> Lease:
    """Return a lease of this process from now on."""
    pid = os.getpid()
    return Lease(
        host=_host(),
        boot=boot_id(),
        pid=pid,
        born=process_start(pid) or 0,
        expires_us=now_us + int(seconds * 1_000_000),
        fence=fence,
    )


def is_alive(lease: Lease, now_us: int) -> bool:
    """Say whether the holder still lives: looked up on this host at once, elsewhere by the expiry."""
    if lease.host != _host():
        return now_us < lease.expires_us
    if lease.boot != boot_id():
        return False
    if not lease.boot:
        return now_us < lease.expires_us
    return process_start(lease.pid) == lease.born


def end_with(pid: int) -> None:
    """Ask this process to end, as by SIGTERM, once another one is gone: nobody waits for what it does.

    A thread waits for that; where processes cannot be waited for (not Linux), nothing happens.
    """

    def wait() -> None:
        with suppress(ProcessLookupError):
            handle = os.pidfd_open(pid)
            select.select([handle], [], [])
            os.close(handle)
        os.kill(os.getpid(), signal.SIGTERM)

    if hasattr(os, "pidfd_open"):
        threading.Thread(target=wait, name="ropewalk-parent", daemon=True).start()
