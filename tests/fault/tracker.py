"""A tracking server that is killed, cut off and flooded on purpose, and what its clients say to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Self

from ropewalk.demo.server import free_port

READY_SECONDS_MAX = 30.0


class Tracker:
    """`ropewalk up` in a folder, on one port, however often it is started.

    Args:
        root: the project's folder; made when it is not there.
        environment: variables that the server gets besides our own.
    """

    def __init__(self, root: Path, environment: Mapping[str, str] | None = None) -> None:
        self.root = root
        self._environment = {**os.environ, **(environment or {})}
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        root.mkdir(parents=True, exist_ok=True)
        (root / "ropewalk.toml").write_text('name = "fault"\n')

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(40) == 0, self.log()
            self._process = None

    def start(self) -> float:
        """Start it; return the seconds until it answers."""
        begun = time.perf_counter()
        with (self.root / "up.log").open("ab") as log:
            words = [sys.executable, "-m", "ropewalk", "--project", str(self.root), "up", "--port", str(self.port)]
            self._process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self._environment
            )
        while time.perf_counter() - begun < READY_SECONDS_MAX:
            with suppress(OSError, http.client.HTTPException):
                if self.ask("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")[0] == 200:
                    return time.perf_counter() - begun
            assert self._process.poll() is None, self.log()
        raise AssertionError(f"it does not answer: {self.log()}")

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._process = None

    def log(self) -> str:
        """Return the end of what it said."""
        return (self.root / "up.log").read_text(errors="replace")[-2000:]

    def rss_mib(self) -> float:
        """Return its resident memory."""
        assert self._process is not None
        pages = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def connect(self, seconds: float = 30.0) -> http.client.HTTPConnection:
        """Return a connection that stays open."""
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Ask once on a connection of its own; return status and JSON."""
        with closing(self.connect()) as connection:
            return said(connection, method, path, body)

    def new_run(self) -> str:
        """Make a run; return its id."""
        status, made = self.ask("POST", "/api/2.0/mlflow/runs/create", {"experiment_id": "0", "start_time": 1})
        assert status == 200, made
        return str(made["run"]["info"]["run_id"])


def said(connection: http.client.HTTPConnection, method: str, path: str, body: object = None) -> tuple[int, Any]:
    """Ask on a connection; return status and JSON."""
    data = None if body is None else json.dumps(body).encode()
    connection.request(method, path, data, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    return answer.status, json.loads(text) if text else {}
