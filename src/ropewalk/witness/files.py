"""Which files a process opens, by Python's audit events; what opens files behind Python's back is not seen."""

from __future__ import annotations

import os
import sys
import sysconfig
from contextlib import suppress
from typing import Any, cast

FILES_MAX = 10_000
NAMES_MAX = 50
_WRITES = "wax+"
_LIBRARIES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_FLAGS = os.O_WRONLY | os.O_RDWR


class Files:
    """Hears audit events; it must be quick, and may open nothing itself.

    Args:
        ignored: folders whose files are nobody's data: ours.
    """

    def __init__(self, *ignored: str) -> None:
        self.left_out = 0
        self._quiet = False
        self._events = {
            "open": self._open,
            "os.rename": self._renamed,
            "subprocess.Popen": self._program,
            "socket.connect": self._connected,
            "sqlite3.connect": self._database,
        }
        self._seen: dict[str, str] = {}
        self._read: dict[str, list[int]] = {}
        self._written: dict[str, None] = {}
        self._programs: dict[str, None] = {}
        self._hosts: dict[str, None] = {}
        home = os.path.expanduser("~")
        caches = (os.path.join(home, ".config"), os.path.join(home, ".cache", "matplotlib"))
        places = {*caches, sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values(), *ignored}
        found = {os.path.realpath(place) for place in places if place}
        self._ignored = (
            "/proc/",
            "/sys/",
            "/dev/",
            "/etc/",
            "/usr/share/zoneinfo/",
            *(f"{place}{os.sep}" for place in found if place != os.sep),
        )

    def hear(self, event: str, args: tuple[Any, ...]) -> None:
        """Take one audit event (the interpreter calls this)."""
        take = None if self._quiet else self._events.get(event)
        if take is not None:
            with suppress(Exception):  # an audit hook that raises would stop what the script does
                take(args)

    def hush(self) -> None:
        """Listen no more."""
        self._quiet = True

    def forget(self) -> None:
        """Begin anew in a forked child: what was seen before is its parent's to say."""
        self._read, self._written, self._programs, self._hosts = {}, {}, {}, {}
        self._seen, self.left_out = {}, 0

    def facts(self) -> dict[str, Any]:
        """Return what was seen."""
        return {
            "read": [[path, *facts] for path, facts in self._read.items()],
            "written": list(self._written),
            "programs": list(self._programs),
            "hosts": list(self._hosts),
            "left_out": self.left_out,
        }

    def wrote(self, path: object) -> None:
        """Note a file that a library writes without Python's `open`."""
        self._note(path, writes=True)

    def _open(self, args: tuple[Any, ...]) -> None:
        path, mode, flags = args
        writes = any(letter in mode for letter in _WRITES) if isinstance(mode, str) else bool((flags or 0) & _FLAGS)
        self._note(path, writes=writes)

    def _note(self, path: object, *, writes: bool) -> None:
        if not isinstance(path, str | bytes | os.PathLike):  # a file descriptor: its file was opened before
            return
        name = os.fsdecode(cast("str", path))
        key = ("w" if writes else "r") + name
        if key in self._seen:
            return
        if len(self._seen) >= FILES_MAX:
            self.left_out += 1
            return
        self._seen[key] = ""
        whole = os.path.realpath(name)
        if whole.startswith(self._ignored) or any(place in whole for place in _LIBRARIES):
            return
        if writes:
            if "__pycache__" not in whole:
                self._written.setdefault(whole)
        elif whole not in self._written and not whole.endswith((".py", ".pyc", ".so", ".pth", "pyvenv.cfg")):
            facts = os.stat(whole)
            if not os.path.isdir(whole):
                self._read.setdefault(whole, [facts.st_size, facts.st_mtime_ns])

    def _renamed(self, args: tuple[Any, ...]) -> None:
        source, target = (os.path.realpath(os.fsdecode(one)) for one in args[:2])
        if self._written.pop(source, "") is None:
            self._written.setdefault(target)

    def _program(self, args: tuple[Any, ...]) -> None:
        name = os.path.basename(os.fsdecode(args[0] or args[1][0]))
        if len(self._programs) < NAMES_MAX:
            self._programs.setdefault(name)

    def _connected(self, args: tuple[Any, ...]) -> None:
        address = args[1]
        if isinstance(address, tuple) and len(self._hosts) < NAMES_MAX:
            self._hosts.setdefault(f"{address[0]}:{address[1]}")

    def _database(self, args: tuple[Any, ...]) -> None:
        if os.path.exists(os.fsdecode(args[0])):
            self._note(args[0], writes=False)
