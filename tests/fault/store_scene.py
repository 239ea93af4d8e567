"""Stores to be killed over, and the process that is killed."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from ropewalk.clock import SystemClock
from ropewalk.store.choose import open_store
from ropewalk.store.link import Store
from store.postgres_places import SILENT, new_place

HERE = Path(__file__).parent
MIB = 1 << 20
# Rounds of each loop: few in the gate, as many as the variable says in `make fault`.
ROUNDS = int(os.environ.get("ROPEWALK_KILLS", "2"))
ENGINES = ("sqlite", "postgres")


@contextmanager
def place_for(engine: str, folder: Path) -> Iterator[str]:
    """Give the name of a store that nobody has used: a file, or an address of PostgreSQL."""
    if engine == "sqlite":
        yield str(folder / "rows.db")
        return
    if SILENT:
        pytest.skip(f"no PostgreSQL answers: {SILENT}")
    with new_place() as url:
        yield url


def opened(where: str, *, climb: bool = True):
    """Open a store by its name; it closes itself on leaving."""
    url, path = (where, Path()) if "://" in where else ("", Path(where))
    return closing(open_store(url, path, SystemClock(), climb=climb))


def subjects(store: Store) -> list[str]:
    with store.read(seconds_max=None) as rows:
        return [str(row["subject"]) for row in rows.rows("events.after", seq=0, count=10_000_000)]


@contextmanager
def mounted(folder: Path, *words: str) -> Iterator[Path]:
    """Mount a file system for the time of a test; say plainly where that cannot be done."""
    folder.mkdir()
    done = subprocess.run(["mount", *words, str(folder)], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this machine mounts nothing for us: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        # What was killed a moment ago may still hold a file; a disk that is not let go in ten seconds is let go lazily.
        for _ in range(100):
            if not subprocess.run(["umount", str(folder)], capture_output=True, check=False).returncode:
                break
            time.sleep(0.1)
        else:
            subprocess.run(["umount", "-l", str(folder)], check=False)


class Victim:
    """A process that writes; its lines are read as they come."""

    def __init__(self, *words: str) -> None:
        command = [sys.executable, str(HERE / "store_victim.py"), *words]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ})
        self.lines: list[str] = []
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._came = threading.Condition()
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._came:
                if line.endswith("\n"):
                    self.lines.append(line.strip())
                self._came.notify_all()
        with self._came:
            self._ended = True
            self._came.notify_all()

    @property
    def done(self) -> list[str]:
        """What was acknowledged."""
        return [line.removeprefix("done ") for line in list(self.lines) if line.startswith("done ")]

    @property
    def refused(self) -> set[str]:
        """Codes of what was refused."""
        return {line.removeprefix("refused ") for line in list(self.lines) if line.startswith("refused ")}

    def wait_for(self, count: int) -> None:
        """Wait until so much was acknowledged."""
        with self._came:
            assert self._came.wait_for(lambda: len(self.done) >= count or self._ended, 60)
        assert len(self.done) >= count, self.lines[-5:]

    def kill(self) -> None:
        """Kill it as nobody can refuse, and read what it still said."""
        self.process.kill()
        self.end()

    def end(self) -> int:
        """Wait for its end; return its status."""
        status = self.process.wait(60)
        self._reader.join(60)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status


def in_child(work: Callable[..., None], *words: object) -> tuple[bool, object]:
    """Do a work in a process of its own, quickly made; return whether it lived to its end, and what it sent."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["fault.store_victim", "fault.request_scene", "ropewalk.store.postgres"])
    ours, theirs = context.Pipe(duplex=False)
    child = context.Process(target=work, args=(*words, theirs))
    with pytest.MonkeyPatch.context() as patch:  # Python 3.11 does not tell the fork server where our modules are
        patch.setenv("PYTHONPATH", str(HERE.parent))
        child.start()
    theirs.close()
    try:
        said = ours.recv() if ours.poll(60) else None
    except EOFError:
        said = None
    child.join(60)
    status = child.exitcode
    child.close()
    ours.close()
    assert status in (0, -signal.SIGKILL), f"the child ended with {status}"
    return status == 0, said


def torn(there: list[str]) -> list[str]:
    """Return the names of which one half alone is there."""
    names = {re.sub("[ab]$", "", one) for one in there}
    return [name for name in names if (f"{name}a" in there) != (f"{name}b" in there)]
