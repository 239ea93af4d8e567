"""The pool's end of the process that speaks with a Ray cluster, which the next pool may use after it."""

from __future__ import annotations

import itertools
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ropewalk.compute.channel import PIECE_BYTES, Frames, send
from ropewalk.errors import Interrupted, Unavailable

LINK = "ropewalk.compute.ray"
LOCAL = "local"
CONNECT_SECONDS = 30.0  # where something listens; where nothing does, that is known at once
START_SECONDS = 60.0  # a cluster of our own is started first, and a client's server starts a process for each
CLOSE_SECONDS = 15.0
# No telemetry, and no advertisement in a log.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_DISABLE_IMPORT_WARNING": "1", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}


class Connection:
    """A process with a connection to a cluster; one pool has it at a time.

    Args:
        address: `auto`, `HOST:PORT`, `ray://HOST:PORT`, or `local` for a cluster that lives as long as this.
        cpus: processors of a local cluster; None for the machine's.
        log: file for what Ray prints.
    """

    def __init__(self, address: str, cpus: int | None, log: Path) -> None:
        self.key = (address, cpus)
        self.nodes: dict[str, Any] = {}
        self.numbers = itertools.count(1)  # of workers: those of an earlier pool may still be told of
        self._address = address
        self._log = log
        self._frames = Frames()
        ours, theirs = socket.socketpair()
        with theirs, log.open("ab") as out:
            # A group of its own: Ctrl-C belongs to us, and it ends in order when our end of the socket closes.
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-u", "-m", LINK, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, **QUIET},
                pass_fds=[theirs.fileno()],
                process_group=0,
            )
        self._channel = ours
        self._until = time.monotonic() + self._patience
        self.order("connect", address=address, cpus=cpus)

    @property
    def _patience(self) -> float:
        slow = self._address == LOCAL or self._address.startswith("ray://")
        return START_SECONDS if slow else CONNECT_SECONDS

    def order(self, op: str, worker: int = 0, **facts: object) -> None:
        """Have something done; a process that has gone is seen by `read`, as the end of its socket."""
        with suppress(BrokenPipeError, ConnectionResetError):
            send(self._channel, {"op": op, "worker": worker, **facts})

    def connect(self) -> None:
        """Wait until the cluster has answered; once it has, return at once.

        Raises:
            Unavailable: none does.
        """
        while not self.nodes:
            left = self._until - time.monotonic()
            if left <= 0 or not select.select([self._channel], [], [], left)[0]:
                raise self._unreachable(f"it did not answer within {self._patience:.0f} s")
            for told in self.read(0.0):
                if told["tell"] == "refused":
                    raise self._unreachable(told["why"])

    def read(self, seconds: float) -> list[dict[str, Any]]:
        """Return what is told within so long; `nodes` are noted too.

        Raises:
            Interrupted: the process is gone, and with it all that ran.
            Unavailable: it went before the cluster had answered.
        """
        if not select.select([self._channel], [], [], seconds)[0]:
            return []
        try:
            data = self._channel.recv(PIECE_BYTES)
        except ConnectionResetError:
            data = b""
        if not data:
            raise self._broken_off()
        found = self._frames.feed(data)
        for told in found:
            if told["tell"] == "nodes":
                self.nodes = told["nodes"]
        return found

    def look_again(self) -> None:
        """Ask which nodes there are now; `connect` waits for the answer."""
        with suppress(Interrupted):
            while self.read(0.0):
                pass
        self.nodes = {}
        self._until = time.monotonic() + self._patience
        self.order("look")

    def clear(self) -> bool:
        """End all workers with all that they started; say whether this can serve another pool."""
        if not self.nodes:
            return False
        self.order("clear")
        until = time.monotonic() + CLOSE_SECONDS
        with suppress(Interrupted):
            while time.monotonic() < until:
                if any(told["tell"] == "cleared" for told in self.read(max(0.0, until - time.monotonic()))):
                    return True
        return False

    def close(self) -> None:
        """End everything; returns when the process is gone."""
        self._channel.close()
        try:
            self.process.wait(CLOSE_SECONDS if self.nodes else 0)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def _unreachable(self, why: str) -> Unavailable:
        if self._address == LOCAL:
            fix = f"look at {self._log.name} in .ropewalk/logs, then run the same command again"
            return Unavailable("ray-unreachable", "A Ray cluster of our own could not be started.", why=why, fix=fix)
        fix = "ray start --head, or name where it runs: --address HOST:PORT (or local, for one as long as the run)"
        return Unavailable(
            "ray-unreachable", f"No Ray cluster answers at {self._address!r}.", where=self._address, why=why, fix=fix
        )

    def _broken_off(self) -> Unavailable | Interrupted:
        if not self.nodes:
            return self._unreachable("the process that speaks with it ended")
        return Interrupted(
            "ray-lost",
            "The connection to the Ray cluster is lost.",
            where=self._address,
            why="its head, or the process that speaks with it, has ended; every finished step is kept",
            fix="see that the cluster runs (ray status), then run the same command again",
        )


_lock = threading.Lock()
_shelf: list[Connection] = []
_keepers = 0


@contextmanager
def kept() -> Generator[None]:
    """Let pools that open within the block use the connections of those that have closed, such as a sweep's trials."""
    global _keepers  # noqa: PLW0603 - connections outlive the pools that could hold them
    with _lock:
        _keepers += 1
    try:
        yield
    finally:
        with _lock:
            _keepers -= 1
            left = [] if _keepers else list(_shelf)
            _shelf[:] = [one for one in _shelf if one not in left]
        for one in left:
            one.close()


def take(address: str, cpus: int | None, log: Path) -> Connection:
    """Return a connection, a kept one where there is one; `give_back` it."""
    with _lock:
        found = next((one for one in _shelf if one.key == (address, cpus)), None)
        if found is not None:
            _shelf.remove(found)
            found.look_again()
            return found
    return Connection(address, cpus, log)


def give_back(connection: Connection) -> None:
    """End all that runs on a connection, and the connection unless it is to be kept; returns when all of it is gone."""
    if _keepers and connection.clear():
        with _lock:
            if _keepers:
                _shelf.append(connection)
                return
    connection.close()
