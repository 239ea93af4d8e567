"""What stands on a node of a cluster: it keeps one warm worker there and tells what becomes of its jobs."""

from __future__ import annotations

import os
import platform
import queue
import shutil
import signal
import socket
import tempfile
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ropewalk import __version__
from ropewalk.compute import family
from ropewalk.compute.local import LocalPool
from ropewalk.compute.machine import CARDS
from ropewalk.compute.pool import Answer, Job, Needs
from ropewalk.leases import process_start

PIECE_SECONDS = 0.2
PIECE_BYTES = 1 << 20
STOP_SECONDS = 5.0


class Guardian:
    """One worker on this node; its methods are called from threads of the cluster's own.

    Args:
        facts: `module`, `cwd`, `log`, `gpu` of the worker; `environ`, variables that are set, or unset where None;
            `token`, a file of the project's folder and the text in it, by which a node knows that it sees the folder.
    """

    def __init__(self, facts: Mapping[str, Any]) -> None:
        family.end_orphans()  # what an earlier guardian's jobs have left here when it was killed
        path, text = facts["token"]
        self._shared = _text(Path(path)) == text
        self._place = Path(str(facts["cwd"])) if self._shared else _own_place()
        log = Path(str(facts["log"])) if self._shared else self._place / "workers.log"
        environ: dict[str, str | None] = dict(facts["environ"])
        for name in [name for name, value in environ.items() if value is None]:
            os.environ.pop(name, None)
        self._gpu = int(facts["gpu"])
        self._pool = LocalPool(
            str(facts["module"]),
            cwd=self._place,
            log=log,
            workers_max=1,
            environ={name: value for name, value in environ.items() if value is not None}
            | ({} if self._gpu else {CARDS: ""}),
            room=Needs(gpu=self._gpu),
        )
        self._orders: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._stopping = False
        self._stopped = threading.Event()
        # A worker ends with the thread that started it: this one lives as long as the process.
        threading.Thread(target=self._keep, name="guardian", daemon=True).start()

    def ready(self) -> dict[str, Any]:
        """Return where this is and what it runs on."""
        return {
            "host": socket.gethostname(),
            "shared": self._shared,
            "ropewalk": __version__,
            "python": platform.python_version(),
        }

    def do(self, order: dict[str, Any]) -> list[dict[str, Any]]:
        """Take a job; return the first that is to be told of it."""
        self._orders.put(order)
        return self.more()

    def more(self) -> list[dict[str, Any]]:
        """Wait; return what was `printed` since, and how the job `ended` if it has.

        Raises:
            RuntimeError: this node lets no job run any more, such as one without room on its disk.
        """
        found = [self._events.get()]
        with suppress(queue.Empty):
            while True:
                found.append(self._events.get_nowait())
        if "broken" in found[-1]:
            self._events.put(found[-1])  # whoever asks next is told too
            raise RuntimeError(found[-1]["broken"])
        return found

    def stop(self) -> bool:
        """End the worker and all that it has started; say whether all of it is gone."""
        self._stopping = True
        self._orders.put(None)
        for _ in range(int(STOP_SECONDS / PIECE_SECONDS)):
            for pid in self._pool.pids():
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
            if self._stopped.wait(PIECE_SECONDS):
                break
        if not self._shared:
            shutil.rmtree(self._place, ignore_errors=True)
        return self._stopped.is_set()

    def _keep(self) -> None:
        """Do one job after the other until there is to be no more."""
        try:
            with self._pool as pool:
                pool.warm(1)
                while (order := self._orders.get()) is not None and not self._stopping:
                    self._run(order)
        except Exception as error:  # noqa: BLE001 - else whoever waits for the job would wait for ever
            self._events.put({"broken": f"{type(error).__name__}: {error}"})
        self._stopped.set()

    def _run(self, order: dict[str, Any]) -> None:
        log = Path(order["log"]) if order["log"] else None
        message: dict[str, Any] = order["message"]
        at = 0
        if not self._shared:
            message = message | {"elsewhere": str(self._place)}
            if log is not None:
                # As long as the file that it is told into, so that places in one are places in the other.
                log, at = self._place / "job.log", int(order["printed"])
                log.unlink(missing_ok=True)
                log.touch(mode=0o600)
                os.truncate(log, at)
        self._pool.submit(
            Job(
                id=order["id"],
                message=message,
                log=log,
                timeout_seconds=order["timeout"],
                needs=Needs(gpu=self._gpu),
                secrets=order["secrets"],
            )
        )
        told = None if self._shared else log
        while True:
            endings = self._pool.wait(None if told is None else PIECE_SECONDS)
            if told is not None:
                at = self._tell_printed(told, at)
            if endings:
                break
        ending = endings[0]
        plain = (
            {"answer": ending.message} if isinstance(ending, Answer) else {"why": ending.why, "status": ending.status}
        )
        self._events.put({"ended": plain})

    def _tell_printed(self, log: Path, at: int) -> int:
        """Tell what a log has got since a place in it; return where it ends now."""
        with log.open("rb") as file:
            file.seek(at)
            while piece := file.read(PIECE_BYTES):
                self._events.put({"printed": piece})
                at += len(piece)
        return at


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None


def _own_place() -> Path:
    """Return a new folder for this process alone, and remove those of processes that are gone.

    Raises:
        PermissionError: somebody else has made the folder that they lie in.
    """
    base = Path(tempfile.gettempdir(), f"ropewalk-{os.getuid()}")
    base.mkdir(mode=0o700, exist_ok=True)
    facts = base.lstat()
    if facts.st_uid != os.getuid() or facts.st_mode & 0o077 or base.is_symlink():
        raise PermissionError(f"{base} is open to others; remove it, or set TMPDIR for the cluster")
    for old in base.glob("node-*"):
        pid, _, born = old.name.removeprefix("node-").partition("-")
        if process_start(int(pid)) != int(born):
            shutil.rmtree(old, ignore_errors=True)
    own = base / f"node-{os.getpid()}-{process_start(os.getpid()) or 0}"
    own.mkdir(mode=0o700, exist_ok=True)
    return own
