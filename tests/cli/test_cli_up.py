"""`ropewalk up` serves any folder: one that has no records yet begins them, and says so."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from ropewalk.cli.project import is_project


@pytest.mark.timeout(60)
def test_an_empty_folder_is_served_and_says_that_its_records_begin(tmp_path: Path) -> None:
    words = [sys.executable, "-u", "-m", "ropewalk", "--project", str(tmp_path), "up", "--port", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        said = [next(server.stdout) for _ in range(5)]
        url = said[0].split()[-1].rstrip("/")
        found = urllib.request.urlopen(f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0").read()
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=40)

    assert server.returncode == 0
    assert b'"Default"' in found
    assert f"export MLFLOW_TRACKING_URI={url}\n" in said[3]
    assert said[4].startswith("records    this folder had none yet")
    assert is_project(tmp_path)
