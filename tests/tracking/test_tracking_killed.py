"""kill -9 of a training that fills a journal, and of what sends it, at random places: nothing is lost or twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ropewalk.demo.server import Server, free_port
from ropewalk.tracking import wire
from ropewalk.tracking.journal import PROGRESS, journals

pytestmark = [pytest.mark.slow, pytest.mark.fault, pytest.mark.xdist_group("spool"), pytest.mark.timeout(300)]
KILLS = int(os.environ.get("ROPEWALK_KILLS", "2"))
METRICS = 400


def fill(url: str, spool: Path, chance: random.Random) -> int:
    """Log until a random metric and be killed; return how many were said to be safe."""
    words = [sys.executable, str(Path(__file__).parent / "logging_on.py"), url, str(spool), str(METRICS)]
    stop, safe = chance.randrange(METRICS // 2, METRICS), 0
    with subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in process.stdout:
            safe += 1
            if safe > stop:
                process.kill()
                break
        # What it had said before the signal came counts too.
        return safe + sum(1 for _ in process.stdout)


def send_and_be_killed(project: Path, lines: int) -> bool:
    """Send until so many more lines of progress stand, and be killed; return whether it ended before."""
    (journal,) = journals(project / ".ropewalk" / "spool")
    progress = journal.folder / PROGRESS
    wanted = journal.standing().done + lines
    process = subprocess.Popen([sys.executable, "-m", "ropewalk", "--project", str(project), "spool", "sync"])
    pause = threading.Event()
    while process.poll() is None:
        if progress.exists() and progress.read_bytes().count(b"\n") >= wanted:
            process.kill()
        pause.wait(0.005)
    return process.returncode == 0


def test_a_killed_training_and_killed_sendings_lose_nothing_and_double_nothing(tmp_path):
    chance = random.Random(11)
    lab, project = tmp_path / "lab", tmp_path / "job"
    lab.mkdir()
    project.mkdir()
    (lab / "ropewalk.toml").write_text('name = "lab"\n')
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    safe = fill(url, project / ".ropewalk" / "spool", chance)
    killed = 0
    with Server(lab, port) as server:
        for _ in range(KILLS):
            killed += not send_and_be_killed(project, chance.randrange(1, METRICS // (2 * KILLS)))
        assert killed == KILLS
        assert send_and_be_killed(project, METRICS * 2)

        asked = {"experiment_ids": ["0"], "max_results": 100}
        headers = {"Content-Type": "application/json"}
        said = wire.send(
            server.url, "POST", "/api/2.0/mlflow/runs/search", headers=headers, body=json.dumps(asked).encode()
        )
        (run,) = said.read()["runs"]
        history = wire.send(
            server.url,
            "GET",
            f"/api/2.0/mlflow/metrics/get-history?run_id={run['info']['run_id']}&metric_key=loss&max_results=25000",
        ).read()["metrics"]

    steps = [one["step"] for one in history]
    # The last one may have been written and not yet said.
    assert steps in (list(range(safe)), list(range(safe + 1)))
    assert [one["value"] for one in history] == [step / 7 for step in steps]
    assert journals(project / ".ropewalk" / "spool") == []
