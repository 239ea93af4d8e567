"""A thousand trials in one sweep: what the process that drives them holds does not grow with their number.

Minutes: ROPEWALK_TEST_SWEEP=1 turns it on, as the nightly run does.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ropewalk.house import open_house
from ropewalk.runs import search
from ropewalk.sweeps import sweep as sweeps

PIPELINE = """
from ropewalk import log_metric, pipeline, step

@step
def fit(depth: int):
    log_metric("loss", depth)

@pipeline
def train(depth: int = 1):
    fit(depth)
"""
TRIALS = int(os.environ.get("ROPEWALK_TEST_SWEEP_TRIALS", "1000"))
GROWTH_KIB_MAX = 16 << 10


def kib(pid: int) -> int:
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1])


@pytest.mark.fault
@pytest.mark.skipif(not os.environ.get("ROPEWALK_TEST_SWEEP"), reason="minutes: ROPEWALK_TEST_SWEEP=1")
@pytest.mark.timeout(1800)
def test_a_thousand_trials_hold_no_more_than_a_hundred(tmp_path):
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    words = ["sweep", f"depth=1..{TRIALS}", "--goal", "loss:min"]
    command = [sys.executable, "-m", "ropewalk", "--project", str(tmp_path), *words]
    held: dict[int, int] = {}

    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ended = 0
        for line in process.stdout:
            if line.startswith("+ "):
                ended += 1
                if ended in (TRIALS // 10, TRIALS - 10):
                    held[ended] = kib(process.pid)

    assert process.returncode == 0
    assert held[TRIALS - 10] - held[TRIALS // 10] < GROWTH_KIB_MAX, held
    with open_house(tmp_path) as house, house.site.db.read() as rows:
        (parent,) = search.search(rows, "attributes.run_name = 'train-sweep-1'").runs
        assert sweeps.counts(rows, parent.id)[sweeps.DONE] == TRIALS
