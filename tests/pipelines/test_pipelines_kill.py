"""kill -9 anywhere: the same command finishes the run, no outcome is stored twice, nothing says running that is not."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ropewalk.pipelines import outcomes
from ropewalk.runs import keep
from ropewalk.runs import run as runs

# Kills at each point: one in the ordinary suite, ten in `make fault`.
KILLS = int(os.environ.get("ROPEWALK_KILLS", "1"))
PIPELINE = """
import os
from pathlib import Path
from ropewalk import log_metric, pipeline, step


def note(word):
    with open("notes.txt", "a") as file:
        file.write(f"{word} {os.getpid()}\\n")
    log_metric(word, 1)


@step
def first(n):
    note("first")
    if Path("kill-in-step").exists():
        os.remove("kill-in-step")
        os.kill(os.getppid(), 9)
        import time
        time.sleep(60)
    return n


@step
def middle(value, k):
    note(f"middle{k}")
    return value + k


@step
def last(values):
    note("last")
    return sum(values)


@pipeline
def train(n: int = 1):
    value = first(n)
    return last([middle(value, k) for k in range(1, 7)])
"""
COMMAND = """
import os, sys
from pathlib import Path
from ropewalk.blobs.folder import FolderBucket
from ropewalk.clock import SystemClock
from ropewalk.ledger.sign import Signer
from ropewalk.pipelines.execute import run_pipeline
from ropewalk.site import Site
from ropewalk.store.sqlite import SqliteDatabase

root, kill_at = Path(sys.argv[1]), int(sys.argv[2])
hidden = root / ".ropewalk"
db = SqliteDatabase(hidden / "ropewalk.db", SystemClock())
site = Site(root=root, db=db, blobs=FolderBucket(hidden / "blobs"), clock=SystemClock(),
            signer=Signer(hidden / "keys" / "ledger.key"), actor="ann")
count = 0

def die_in_time(*_):
    global count
    if count == kill_at:
        os.kill(os.getpid(), 9)
    count += 1

result = run_pipeline(site, target="pipeline.py:train", args={}, on_progress=die_in_time, on_finish=die_in_time)
print(result.run.id, result.resumed)
db.close()
"""


@pytest.fixture
def killable(project):
    project.write("pipeline.py", PIPELINE)
    return project


def command(project, kill_at: int) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", COMMAND, str(project.site.root), str(kill_at)]
    return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)


def wait_until_gone(pids: set[int]) -> None:
    """Wait on each process through a pidfd; one that is gone already is fine."""
    for pid in pids:
        try:
            handle = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        gone = select.select([handle], [], [], 10)[0]
        os.close(handle)
        assert gone, "a worker outlived the process that started it"


def noted(project) -> list[list[str]]:
    path = Path(project.site.root / "notes.txt")
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def look(project) -> None:
    """Check what anybody sees between two kills: nothing runs."""
    project.site.db.write(lambda tx: runs.interrupt_dead(tx, project.site))
    with project.site.db.read() as reader:
        for run in reader.all(runs.Run, "runs.of_state", state=runs.RUNNING):
            pytest.fail(f"{run.name} says it is running")
        for run in reader.all(runs.Run, "runs.of_state", state=runs.INTERRUPTED):
            assert all(step.state != "running" for step in outcomes.steps_of(reader, run.id, running=False))


@pytest.mark.fault
def test_ten_kills_at_ten_points_and_then_the_same_command_finishes_the_same_run(killable):
    # However much is kept already, eight nodes are told of before the end.
    kill_points = [0, 0, 1, 1, 2, 3, 4, 5, 7, 8]

    for point in kill_points:
        killed = command(killable, point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        wait_until_gone({int(pid) for _, pid in noted(killable)})
        look(killable)
    finished = command(killable, -1)

    run_id, resumed = finished.stdout.split()
    assert resumed == "True"
    with killable.site.db.read() as reader:
        run = runs.get(reader, run_id)
        steps = outcomes.steps_of(reader, run_id, running=False)
        done = [json.loads(str(row["body"]))["node"] for row in reader.rows("ledger.of_kind", kind="step.done")]
        metrics = keep.metrics(reader, run_id)
        stored = reader.all(outcomes.Outcome, "pipelines.outcomes")
    assert run.state == runs.FINISHED
    assert {step.state for step in steps} <= {"done", "cached"}
    assert Counter(done) == Counter(step.node for step in steps)
    assert len(steps) == 8
    assert Counter(outcome.node for outcome in stored) == Counter(done)
    assert sorted(point.key for point in metrics) == ["first", "last", *(f"middle{k}" for k in range(1, 7))]


# The run begins (0, 1), each of the eight nodes begins and ends, the last transaction is about to be committed (16).
@pytest.mark.fault
@pytest.mark.parametrize("point", range(17))
def test_a_run_killed_at_a_stage_is_finished_by_the_same_command(killable, point):
    for turn in range(KILLS):
        killable.write("pipeline.py", f"{PIPELINE}\n# Another run: {turn}.\n".replace("n: int = 1", f"n: int = {turn}"))
        killed = command(killable, point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        wait_until_gone({int(pid) for _, pid in noted(killable)})
        look(killable)

        finished = command(killable, -1)

        run_id, resumed = finished.stdout.split()
        assert resumed == "True"
        with killable.site.db.read() as reader:
            assert runs.get(reader, run_id).state == runs.FINISHED
            steps = outcomes.steps_of(reader, run_id, running=False)
            rows = [row for row in reader.rows("ledger.of_kind", kind="step.done") if row["subject"] == f"run:{run_id}"]
        assert Counter(json.loads(str(row["body"]))["node"] for row in rows) == Counter(step.node for step in steps)
        assert len(steps) == 8


@pytest.mark.fault
def test_a_kill_from_inside_a_step_takes_the_worker_along_and_the_step_runs_again(killable):
    killable.write("kill-in-step", "")

    killed = command(killable, -1)
    assert killed.returncode == -signal.SIGKILL
    wait_until_gone({int(pid) for _, pid in noted(killable)})
    look(killable)
    finished = command(killable, -1)

    assert finished.returncode == 0, finished.stderr
    assert [word for word, _ in noted(killable)].count("first") == 2


@pytest.mark.fault
def test_a_kill_in_the_transaction_that_finishes_leaves_the_run_to_be_finished(killable):
    # Each of the eight nodes begins and ends: the seventeenth call is on_finish's, inside the last transaction.
    killed = command(killable, 16)
    assert killed.returncode == -signal.SIGKILL

    finished = command(killable, -1)

    assert finished.stdout.split()[1] == "True"
    assert [word for word, _ in noted(killable)].count("last") == 1


def test_a_run_of_other_arguments_or_code_does_not_take_the_interrupted_one_up(killable):
    assert command(killable, 2).returncode == -signal.SIGKILL
    killable.edit("pipeline.py", "return sum(values)", "return sum(values) + 1")

    finished = command(killable, -1)

    assert finished.stdout.split()[1] == "False"
    with killable.site.db.read() as reader:
        (left,) = reader.all(runs.Run, "runs.of_state", state=runs.INTERRUPTED)
    assert left.id != finished.stdout.split()[0]


def test_a_holder_that_was_overtaken_stores_nothing_more(killable):
    from ropewalk.errors import Interrupted
    from ropewalk.leases import take

    def overtake(progress):
        killable.told.append(progress)
        if len(killable.told) == 1:
            killable.site.db.write(steal)

    def steal(tx):
        held = runs.get(tx, killable.told[0].run_id)
        runs.move(tx, killable.site, held.id, runs.INTERRUPTED, fence=held.fence)
        runs.resume(tx, killable.site, held.id, take(0, 1))

    from ropewalk.pipelines.execute import run_pipeline

    with pytest.raises(Interrupted) as caught:
        run_pipeline(killable.site, target="pipeline.py:train", args={}, on_progress=overtake)

    assert caught.value.code == "run-lease-lost"
    with killable.site.db.read() as reader:
        assert reader.all(outcomes.Outcome, "pipelines.outcomes") == []
