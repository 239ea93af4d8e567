"""The whole year, as a newcomer types it: `ropewalk demo` ends by itself, in order, with nothing left running."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.demo.project import git

STAGES = ("commit", "build", "test", "scan", "staging", "migrate", "qa", "canary", "live")


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_year_is_played_to_its_end_and_leaves_a_folder_to_explore_and_no_process(tmp_path):
    command = [sys.executable, "-m", "ropewalk", "demo", "year"]
    # As a newcomer has it: nobody counts the lines, which would take as long again.
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}

    played = subprocess.run(
        command,
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )

    said = played.stdout
    assert played.returncode == 0, played.stderr
    assert all(f" {number} {stage}" in said for number, stage in enumerate(STAGES, 1))
    assert "schedule monthly (0 0 1 * * America/New_York), backfilled over 2013-01 to 2013-03:" in said
    assert "done, 3 runs; late were 2" in said
    assert "sweep train-sweep-1 finished: 2 trials; best by log_loss: leaves=" in said
    assert "fell back by itself" in said
    assert "alarm" in said
    assert "the same bits" in said
    assert "everything holds" in said
    assert " 0 lost" in said
    assert "curl -s http://127.0.0.1:" in said
    assert "ropewalk --project year up" in said
    assert _using(tmp_path / "year") == []
    assert int(git(tmp_path / "year", "rev-list", "--count", "HEAD")) >= 3
    shown = subprocess.run(
        [sys.executable, "-m", "ropewalk", "--project", "year", "--json", "status"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    answer = json.loads(shown.stdout)["result"]
    assert [one["name"] for one in answer["endpoints"]] == ["flights"]
    assert "fallen" in {one["state"] for one in answer["releases"]}


def _using(folder: Path) -> list[str]:
    """Return the command lines of the processes that name a folder or work in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            at = (process / "cwd").readlink()
        except OSError:
            continue
        if str(folder) in words or at.is_relative_to(folder):
            found.append(words)
    return found
