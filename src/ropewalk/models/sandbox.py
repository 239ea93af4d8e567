"""Confines a process before it loads a model: Landlock, seccomp and limits, and a report of what is really active."""

from __future__ import annotations

import os
import platform
import resource
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ropewalk.models import landlock, seccomp

_SYSTEM = (
    "/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib", "/usr/share/zoneinfo", "/etc/ld.so.cache",
    "/etc/localtime", "/sys/devices", "/sys/bus/pci", "/proc/self", "/proc/cpuinfo", "/proc/meminfo",
    "/dev/null", "/dev/urandom",
)  # fmt: skip
MEMORY_BYTES = 8 << 30
OPEN_FILES = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """What holds a process.

    Attributes:
        landlock: version of Landlock that is active, 0 for none.
        seccomp: whether the filter of system calls is active.
        read_only: whether no file at all can be opened for writing.
        limits: resource limits that are active, by name; bytes or counts.
        missing: sentences about what this machine does not give.
    """

    landlock: int
    seccomp: bool
    read_only: bool
    limits: dict[str, int]
    missing: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Whether every wall stands."""
        return not self.missing

    def record(self) -> dict[str, object]:
        """Return plain values, ready for JSON."""
        return {
            "landlock": self.landlock,
            "seccomp": self.seccomp,
            "read_only": self.read_only,
            "limits": dict(self.limits),
            "missing": list(self.missing),
        }


def confine(
    read: Iterable[Path],
    write: Iterable[Path] = (),
    *,
    memory_bytes: int = MEMORY_BYTES,
    open_files: int = OPEN_FILES,
) -> Confinement:
    """Take from this process, for ever, all that a model does not need; file descriptors that are open stay usable.

    Afterwards it cannot start programs or processes, open sockets, signal others, read files outside `read` (Python
    itself and the system's libraries are always readable) or write outside `write`. Threads are allowed. Call it from
    the only thread: Landlock binds the caller and what it starts. On a kernel without Landlock reading stays free and
    the report says so; without both walls only the limits hold.

    Args:
        read: files and folders that may be read.
        write: folders in which files may be written; with none, no file can be opened for writing at all.
        memory_bytes: how much more address space the process may take.
        open_files: how many files and sockets it may have at once.
    """
    places = tuple(write)
    missing: list[str] = []
    limits = _limit(memory_bytes, open_files)
    threads = len(list(Path("/proc/self/task").iterdir()))
    why = landlock.restrict([*_python(), *map(Path, _SYSTEM), *read], places)
    active = 0 if why else landlock.version()
    if why:
        missing.append(f"files can be read anywhere: {why}")
    if threads > 1 and not why:
        missing.append(f"{threads - 1} threads were running before and keep their right to read files")
    why = seccomp.install(platform.machine(), read_only=not places)
    if why:
        missing.append(f"system calls are not filtered: {why}")
    return Confinement(
        landlock=active,
        seccomp=not why,
        read_only=not places and not why,
        limits=limits,
        missing=tuple(missing),
    )


def _python() -> list[Path]:
    """Return where Python finds its own modules."""
    paths = {sys.prefix, sys.base_prefix, sys.exec_prefix}
    paths |= {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    paths.update(path for path in sys.path if path)
    # A prefix such as /usr would open more than libraries; its lib folders are in the system's list.
    return [Path(path) for path in sorted(paths) if path not in ("/", "/usr", "/usr/local")]


def _limit(memory_bytes: int, open_files: int) -> dict[str, int]:
    """Lower the limits of memory, open files and core dumps."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    wanted = {"memory_bytes": now + memory_bytes, "open_files": open_files, "core_bytes": 0}
    kinds = {
        "memory_bytes": resource.RLIMIT_AS,
        "open_files": resource.RLIMIT_NOFILE,
        "core_bytes": resource.RLIMIT_CORE,
    }
    for name, value in wanted.items():
        hard = resource.getrlimit(kinds[name])[1]
        bounded = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kinds[name], (bounded, bounded))
        wanted[name] = bounded
    return wanted


def available() -> dict[str, object]:
    """Return what this machine could give, without confining anything: for `doctor`."""
    machine = platform.machine()
    return {
        "landlock": landlock.version(),
        "seccomp": machine in ("x86_64", "aarch64") and sys.platform == "linux",
        "machine": machine,
    }
