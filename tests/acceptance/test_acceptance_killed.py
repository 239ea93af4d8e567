"""kill -9 of a real training: whoever looks at its run within a minute sees that it is dead, and why."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from pathlib import Path
from time import monotonic
from typing import Any
from urllib.request import Request, urlopen

import pytest

from acceptance import stock
from ropewalk.demo.server import Server

SECONDS_MAX = 60
TRAINING = """
import sys
from ropewalk.tracking import spool
spool.enable()
import mlflow
mlflow.set_experiment("killed training")
with mlflow.start_run(run_name="training") as run:
    for step in range(1_000_000):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
        if step == 3:
            print(run.info.run_id, run.info.experiment_id, flush=True)
"""


def search(server: Server, experiment: str) -> dict[str, Any]:
    """Return the only run as a search of everybody's shows it: no call names it, for that could wake it."""
    body = json.dumps({"experiment_ids": [experiment]}).encode()
    asked = Request(f"{server.url}/api/2.0/mlflow/runs/search", data=body, headers={"Content-Type": "application/json"})
    with urlopen(asked, timeout=30) as answer:
        (run,) = json.load(answer)["runs"]
    return run


@pytest.mark.fault
@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.skipif("ROPEWALK_KILLS" not in os.environ, reason="make fault: it waits for most of a minute")
@pytest.mark.skipif(not stock.python("mlflow").exists(), reason="make stock makes .venv-mlflow")
def test_the_run_of_a_killed_training_is_marked_within_a_minute(tracked, tmp_path: Path):
    pause = threading.Event()
    words = [str(stock.python("mlflow")), "-c", TRAINING]
    with subprocess.Popen(
        words, cwd=tmp_path, env=stock.surroundings(tracked.url), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        run_id, experiment = process.stdout.readline().split()
        assert search(tracked, experiment)["info"]["status"] == "RUNNING"
        process.kill()
        killed = monotonic()

    while search(tracked, experiment)["info"]["status"] == "RUNNING" and monotonic() - killed < SECONDS_MAX:
        pause.wait(0.5)

    run = search(tracked, experiment)
    assert run["info"]["run_id"] == run_id
    assert run["info"]["status"] in ("KILLED", "FAILED")
    assert monotonic() - killed < SECONDS_MAX
    assert {tag["key"]: tag["value"] for tag in run["data"]["tags"]}["ropewalk.interrupted"].endswith("fell silent")
