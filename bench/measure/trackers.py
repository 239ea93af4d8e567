"""Tracking servers that are measured side by side: ours on both stores, MLflow's as it starts and with one worker."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from time import perf_counter, sleep
from typing import Any
from urllib.parse import urlsplit

from measure.servers import Server

ROOT = Path(__file__).resolve().parent.parent.parent
PEER = ROOT / ".venv-mlflow" / "bin" / "python"
OURS, OURS_POSTGRES = "ropewalk", "ropewalk, PostgreSQL"
PEER_ONE, PEER_DEFAULT = "mlflow, 1 worker", "mlflow, default"
START_SECONDS_MAX = 240.0
POSTGRES = os.environ.get("ROPEWALK_TEST_POSTGRES", "postgresql://127.0.0.1:5432/test")
DATABASE = "ropewalk_bench"


def is_ours(kind: str) -> bool:
    """Say whether a kind is one of ours."""
    return kind.startswith("ropewalk")


def store_url(kind: str) -> str:
    """Return where a kind of ours keeps its rows; nothing for a file in its folder."""
    return f"{POSTGRES.rpartition('/')[0]}/{DATABASE}" if kind == OURS_POSTGRES else ""


@contextmanager
def database(kind: str) -> Iterator[None]:
    """Make an empty database for the kind that wants one, and drop it afterwards."""
    if kind != OURS_POSTGRES:
        yield
        return
    import psycopg

    with psycopg.connect(POSTGRES, autocommit=True) as admin:
        admin.execute(f"drop database if exists {DATABASE}")
        admin.execute(f"create database {DATABASE}")
        yield
        admin.execute(f"drop database if exists {DATABASE} with (force)")


def _free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _command(kind: str, folder: Path, port: int) -> tuple[list[str], dict[str, str]]:
    if is_ours(kind):
        (folder / "ropewalk.toml").write_text('name = "bench"\n')
        words = [sys.executable, "-m", "ropewalk", "--project", str(folder), "up", "--port", str(port)]
        return words, {"ROPEWALK_STORE_URL": store_url(kind)} if kind == OURS_POSTGRES else {}
    words = [str(PEER), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    words += ["--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--default-artifact-root", f"{folder}/artifacts"]
    return words + (["--workers", "1"] if kind == PEER_ONE else []), {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "true"}


@contextmanager
def tracking(kind: str, folder: Path) -> Iterator[Server]:
    """Start a tracking server in a folder, wait for its first whole answer, and end it with all below it afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    words, more = _command(kind, folder, port)
    start = perf_counter()
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            words, stdout=log, stderr=log, cwd=folder, env={**os.environ, **more}, start_new_session=True
        )
    server = Server(url=f"http://127.0.0.1:{port}", pid=process.pid, start_seconds=0)
    try:
        while perf_counter() - start < START_SECONDS_MAX:
            try:
                ask(server, "GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit(f"{kind} ended: {(folder / 'server.log').read_text()[-2000:]}") from None
                sleep(0.02)
        yield Server(url=server.url, pid=process.pid, start_seconds=perf_counter() - start)
    finally:
        below = server.processes()
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in below[1:]:
            subprocess.run(["kill", "-9", str(pid)], stderr=subprocess.DEVNULL, check=False)


def ask(server: Server, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON of any shape
    """Ask once on a connection of its own; return the answer's JSON."""
    address = urlsplit(server.url)
    with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=120)) as connection:
        data = None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        said = answer.read()
    if answer.status != 200:
        raise OSError(f"{method} {path} was answered {answer.status}: {said[:300]!r}")
    return json.loads(said) if said else {}


def new_run(server: Server, experiment: str = "0") -> str:
    """Make a run; return its id."""
    made = ask(server, "POST", "/api/2.0/mlflow/runs/create", {"experiment_id": experiment, "start_time": 1})
    return str(made["run"]["info"]["run_id"])
