"""Other model servers, each in an environment of its own: how they are started, asked and ended."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from measure.environments import environment
from measure.servers import Server

PEERS = Path(__file__).resolve().parents[1] / "peers"
START_SECONDS_MAX = 120
Rows = list[list[float]]


def _tensor(rows: Rows) -> Any:  # noqa: ANN401 - JSON
    data = [value for row in rows for value in row]
    tensor = {"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": data}
    return {"inputs": [tensor], "outputs": [{"name": "predict_proba"}]}


def _inputs(rows: Rows) -> Any:  # noqa: ANN401
    return {"inputs": rows}


RIVALS: dict[str, tuple[str, Callable[[Rows], Any]]] = {
    "mlflow": ("/invocations", _inputs),
    "fastapi": ("/predict", _inputs),
    "bentoml": ("/predict", _inputs),
    "mlserver": ("/v2/models/flights/infer", _tensor),
    "litserve": ("/predict", _inputs),
    "ray": ("/predict", _inputs),
}
"""Path and form of a request, by name."""


def body_for(name: str, rows: Rows) -> bytes:
    """Return a request's body."""
    return json.dumps(RIVALS[name][1](rows)).encode()


@contextmanager
def rival(name: str, folder: Path, rows: Rows) -> Iterator[Server]:
    """Start a peer, wait until it answers a row, and end it and all that it started.

    Args:
        name: of `RIVALS`.
        folder: where its rows are, and its model will be.
        rows: asked to see whether it answers.

    Raises:
        RuntimeError: it did not answer in time.
        CalledProcessError: it could not be installed or made ready.
    """
    made = environment(f"serving-{name}")
    script = [str(made / "bin/python"), str(PEERS / f"{name}_serving.py")]
    environ = os.environ | {"PATH": f"{made / 'bin'}{os.pathsep}{os.environ['PATH']}", "RAY_DEDUP_LOGS": "0"}
    environ |= dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    quiet: dict[str, Any] = {"env": environ, "stdout": subprocess.DEVNULL, "cwd": folder, "stdin": subprocess.DEVNULL}
    with (folder / f"{name}.log").open("wb") as log:
        subprocess.run([*script, "prepare", str(folder)], check=True, stderr=log, **quiet)
        port = _free_port()
        began = monotonic()
        child = subprocess.Popen(
            [*script, "serve", str(folder), str(port)], stderr=log, start_new_session=True, **quiet
        )
        try:
            _wait(child, port, RIVALS[name][0], body_for(name, rows))
            yield Server(url=f"http://127.0.0.1:{port}", pid=child.pid, start_seconds=monotonic() - began)
        finally:
            _end(child)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def _wait(child: subprocess.Popen[bytes], port: int, path: str, body: bytes) -> None:
    end = monotonic() + START_SECONDS_MAX
    said = ""
    while monotonic() < end and child.poll() is None:
        asked = HTTPConnection("127.0.0.1", port, timeout=10)
        with suppress(OSError, HTTPException):
            asked.request("POST", path, body, {"content-type": "application/json"})
            found = asked.getresponse()
            said = f"{found.status} {found.read()[:200]!r}"
            if found.status == 200:
                return
        asked.close()
        sleep(0.05)
    raise RuntimeError(f"it did not answer: {said or child.poll()}")


def _end(child: subprocess.Popen[bytes]) -> None:
    """End the process, then what is left of what it started."""
    server = Server(url="", pid=child.pid, start_seconds=0)
    all_ = []
    with suppress(OSError):
        all_ = server.processes()
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        child.wait(10)
    for pid in all_:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.wait()
