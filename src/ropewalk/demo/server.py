"""`ropewalk up` as a process beside the play, waited for and stopped."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

from ropewalk.clock import SystemClock
from ropewalk.errors import Unavailable
from ropewalk.site import HIDDEN

START_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 40.0
LOOK_SECONDS = 0.05


class Server:
    """The server of one project on a port of this machine.

    Args:
        root: the project.
        port: 0 takes a free one.
    """

    def __init__(self, root: Path, port: int) -> None:
        self.port = port or free_port()
        self._root = root
        self._log = root / HIDDEN / "log" / "up.log"
        self._log.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            words = [sys.executable, "-m", "ropewalk", "--project", str(self._root), "up", "--port", str(self.port)]
            self._process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._wait()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def stay(self) -> None:
        """Wait until it ends or somebody types Ctrl-C."""
        assert self._process is not None
        with suppress(KeyboardInterrupt):
            self._process.wait()

    def _wait(self) -> None:
        assert self._process is not None
        clock, pause = SystemClock(), threading.Event()
        end = clock.monotonic() + START_SECONDS_MAX
        while clock.monotonic() < end and self._process.poll() is None:
            with (
                suppress(OSError, http.client.HTTPException),
                closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)) as asked,
            ):
                asked.request("GET", "/v2/health/live")
                with asked.getresponse() as answer:
                    if answer.status == http.client.OK:
                        return
            pause.wait(LOOK_SECONDS)
        self.__exit__()
        raise Unavailable(
            "demo-server-silent",
            "The demo's server did not come up.",
            where=f"port {self.port}",
            why=self._log.read_text(errors="replace")[-500:],
            fix=f"ropewalk --project {self._root.name} up",
        )


def free_port(wanted: int = 0) -> int:
    """Return the wanted port if nobody listens on it now, else one that is free."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def on_terminal() -> bool:
    """Whether a person looks on and can type Ctrl-C."""
    return sys.stdin.isatty() and sys.stdout.isatty() and "CI" not in os.environ
