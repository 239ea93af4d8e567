"""A run that a server has started ends with it, and the same command resumes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ropewalk.cli import main
from ropewalk.leases import PARENT

PIPELINE = """
import os
from pathlib import Path
from ropewalk import pipeline, step

@step
def slow():
    if not Path("begun").exists():
        os.mkfifo("begun")
        with open("begun", "w"):
            pass
        import time
        time.sleep(60)
    return 1

@pipeline
def train():
    return slow()
"""


def test_a_run_ends_with_the_server_that_started_it_and_is_resumed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ropewalk.toml").write_text('name = "parent"\n')
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    words = [sys.executable, "-m", "ropewalk", "--project", str(tmp_path), "--json", "run"]
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as server:
        run = subprocess.Popen(words, env={**os.environ, PARENT: str(server.pid)}, stdout=subprocess.PIPE, text=True)
        pause = threading.Event()
        for _ in range(600):
            if (tmp_path / "begun").exists():
                break
            pause.wait(0.05)
        (tmp_path / "begun").open().close()
        server.kill()

    run.communicate(timeout=30)

    assert run.returncode == -signal.SIGTERM
    assert main(["--project", str(tmp_path), "--json", "run"]) == 0
    assert json.loads(capsys.readouterr().out)["result"]["resumed"] is True
