"""`ropewalk run` and `ropewalk ship` as processes, killed -9 at random points and typed again until they finish."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ropewalk.house import open_house
from ropewalk.pipelines import outcomes
from ropewalk.releases import outcome, release
from ropewalk.runs import keep, search

pytestmark = pytest.mark.fault
PIPELINE = """
from ropewalk import log_metric, pipeline, step

@step
def grow(n: int, number: int) -> int:
    log_metric("grown", n, step=number)
    return n + sum(range(200_000)) * 0 + 1

@pipeline
def train(n: int = 0) -> int:
    for number in range(8):
        n = grow(n, number)
    return n
"""


def begin(root: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ropewalk", "--project", str(root), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def kill_after(process: subprocess.Popen[str], lines: int) -> bool:
    """Kill a process and all that it started once it has printed so many lines; say whether it had to be killed."""
    assert process.stdout is not None
    for _ in range(lines):
        if not process.stdout.readline():
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    return process.wait(30) == -signal.SIGKILL


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_that_is_killed_again_and_again_finishes_and_no_step_counts_twice(seed, tmp_path):
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    chance = random.Random(seed)

    killed = [kill_after(begin(tmp_path, "run"), chance.randint(1, 7)) for _ in range(3)]
    last = begin(tmp_path, "run")
    said, _ = last.communicate(timeout=60)

    assert any(killed)
    assert last.returncode == 0, said
    with open_house(tmp_path) as house, house.site.db.read() as rows:
        found = search.search(rows).runs
        finished = [run for run in found if run.state == "finished"]
        steps = outcomes.steps_of(rows, finished[0].id, running=False)
        points = keep.history(rows, finished[0].id, "grown")
    assert Counter(run.state for run in found)["running"] == 0
    assert len(finished) in (1, 2)  # one that was killed between its last step and its last word had finished
    assert len(steps) == len({step.node for step in steps}) == 8
    assert [point.value for point in points] == list(range(8))


def test_a_delivery_that_is_killed_between_and_within_stages_goes_live_and_no_outcome_is_stored_twice(project):
    chance = random.Random(7)
    settings = project / "ropewalk.toml"
    settings.write_text(settings.read_text().replace("at_least = 0.9", "at_least = 0.91"))
    trained = begin(project, "run", "strength=0.7")
    assert trained.communicate(timeout=60)
    assert trained.returncode == 0

    killed = [kill_after(begin(project, "ship", "--no-wait"), chance.randint(2, 5)) for _ in range(3)]
    last = begin(project, "ship", "--no-wait", "--json")
    said, _ = last.communicate(timeout=100)

    assert any(killed)
    assert last.returncode == 0, said
    assert json.loads(said)["result"]["state"] == "canary"
    with open_house(project) as house, house.site.db.read() as rows:
        found = release.listed(rows)
        stored = outcome.outcomes(rows, "churn/2")
    assert {one.id: one.state for one in found} == {"churn/1": "live", "churn/2": "canary"}
    assert set(Counter(one.stage for one in stored).values()) == {1}
    assert [one.stage for one in stored] == list(outcome.STAGES[:8])
