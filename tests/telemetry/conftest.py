"""One server that says everything of itself: JSON lines, metrics, and spans that it sends to its own `/v1/traces`."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from ropewalk.demo.server import free_port
from ropewalk.house import open_house

ENVIRONMENT = {
    "OTEL_EXPORTER_OTLP_HEADERS": "x-mlflow-experiment-id=0",
    "OTEL_BSP_SCHEDULE_DELAY": "100",
    "OTEL_SERVICE_NAME": "churn-server",
}
LAGGING = {"name": "orders", "position": "", "lag": 3, "seen_us": 1, "problem": ""}


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """A server that runs.

    Attributes:
        root: its project.
        port: where.
        log: the file that its standard error goes to.
    """

    root: Path
    port: int
    log: Path

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send one request; return status, headers by name in small letters, and body."""
        data = None if body is None else json.dumps(body).encode()
        named = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, named, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()

    def predict(self, **headers: str) -> tuple[dict[str, str], dict[str, Any]]:
        """Ask for one prediction; return headers and what it says."""
        status, found, body = self.ask("POST", "/endpoints/churn/predict", {"records": [self.row()]}, **headers)
        assert status == 200, body
        return found, json.loads(body)["predictions"][0]

    def row(self) -> dict[str, Any]:
        """Return a row that the endpoint takes."""
        document = json.loads(self.ask("GET", "/openapi.json")[2])
        body = document["paths"]["/endpoints/churn/predict"]["post"]["requestBody"]["content"]["application/json"]
        return body["example"]["records"][0]

    def environment(self) -> dict[str, str]:
        """Return the variables with which a process tells its spans to this server."""
        return {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}", **ENVIRONMENT}

    def lines(self) -> list[dict[str, Any]]:
        """Return the log's lines, read."""
        return [json.loads(line) for line in self.log.read_text().splitlines()]


@pytest.fixture(scope="session")
def watched(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    root = Path(shutil.copytree(shipped, tmp_path_factory.mktemp("watched") / "churn"))
    with open_house(root) as house:
        house.site.db.write(lambda tx: tx.run("streams.seen", **LAGGING))
    port, log = free_port(), root.parent / "log.jsonl"
    made = Watched(root=root, port=port, log=log)
    words = ["--project", str(root), "up", "--port", str(port), "--log", "json", "--log-requests"]
    with (
        log.open("w") as file,
        subprocess.Popen(
            [sys.executable, "-u", "-m", "ropewalk", *words],
            env=made.environment(),
            stdout=subprocess.PIPE,
            stderr=file,
            text=True,
        ) as process,
    ):
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                break
        else:
            raise AssertionError(log.read_text())
        try:
            yield made
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
    assert process.returncode == 0, log.read_text()
