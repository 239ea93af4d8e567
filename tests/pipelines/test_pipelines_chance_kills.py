"""kill -9 of a worker, of the scheduler, of both, by chance; and a scheduler that sleeps while another takes over."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

import pytest

from ropewalk import errors
from ropewalk.compute import family
from ropewalk.leases import take
from ropewalk.pipelines import outcomes
from ropewalk.runs import run as runs

# Runs that are killed: a few in the gate, two hundred in `make fault` (ROPEWALK_RUNS=200).
RUNS = int(os.environ.get("ROPEWALK_RUNS", "3"))
PIPELINE = """
import os
from ropewalk import pipeline, step

SALT = 0


def note(word):
    with open("notes.txt", "a") as file:
        file.write(f"{word} {os.getpid()}\\n")


@step
def first(n):
    note("first")
    return n + SALT


@step(retries=3, backoff=0.01)
def middle(value, k):
    note(f"middle-{k}")
    return value + k


@step(retries=3, backoff=0.01)
def item(value):
    note(f"item-{value}")
    return value * 2


@step(retries=3, backoff=0.01)
def last(values, items):
    note("last")
    return sum(values) + sum(items)


@pipeline
def train(n: int = 1):
    value = first(n)
    return last([middle(value, k) for k in range(4)], item.map(list(range(30))))
"""
COMMAND = [sys.executable, "-m", "ropewalk", "--project"]


def start(project) -> subprocess.Popen[str]:
    words = [*COMMAND, str(project.site.root), "run", "pipeline.py:train"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def lines_until(running: subprocess.Popen[str], count: int) -> int:
    """Read lines of progress until so many steps have ended, or the command has."""
    assert running.stdout is not None
    seen = 0
    while seen < count and (line := running.stdout.readline()):
        seen += line.startswith(("+", "="))
    return seen


def workers_of(pid: int) -> list[int]:
    return [worker for worker, mark in family.marked(f"{pid}.") if worker != pid]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def wait_gone(pid: int) -> None:
    with suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        assert select.select([handle], [], [], 10)[0], "a worker outlived its scheduler"
        os.close(handle)


def stopped_outside_a_write(running: subprocess.Popen[str], write: Callable[[], runs.Run]) -> runs.Run:
    """Stop the process and write: one that fell asleep with the store's lock in its hand is woken and stopped again."""
    for _ in range(20):
        os.kill(running.pid, signal.SIGSTOP)
        try:
            return write()
        except errors.Unavailable:
            os.kill(running.pid, signal.SIGCONT)
    raise AssertionError("the scheduler was inside a write each time it was stopped")


@pytest.mark.fault
def test_whatever_is_killed_every_run_ends_and_each_outcome_counts_once(project):
    chance = random.Random(7)
    ends: Counter[str] = Counter()

    for number in range(RUNS):
        project.write("pipeline.py", PIPELINE.replace("SALT = 0", f"SALT = {number}"))
        for _ in range(chance.randint(1, 2)):
            running = start(project)
            lines_until(running, chance.randint(0, 5))
            victim = chance.choice(["worker", "scheduler", "both"])
            workers = workers_of(running.pid)
            for pid in workers if victim != "scheduler" else ():
                kill(pid)
            if victim != "worker":
                kill(running.pid)
            running.communicate(timeout=60)
            ends[f"{victim} {'killed' if running.returncode == -9 else 'went on'}"] += 1
            for pid in workers:
                wait_gone(pid)
        finished = start(project)
        told, _ = finished.communicate(timeout=60)
        assert finished.returncode == 0, told

        with project.site.db.read() as reader:
            assert not [run for run in reader.all(runs.Run, "runs.of_state", state=runs.RUNNING) if not run.alive(0)]
            entries = reader.rows("ledger.of_kind", kind="step.done")
            stored = reader.all(outcomes.Outcome, "pipelines.outcomes")
        done = Counter((json.loads(str(row["body"]))["key"]) for row in entries)
        assert set(done.values()) == {1}, "an outcome was stored twice"
        assert len(stored) == len(done)

    assert ends.total() >= RUNS


def test_a_scheduler_that_slept_while_another_took_over_stores_nothing(project):
    project.write("pipeline.py", PIPELINE)
    running = start(project)
    lines_until(running, 1)

    def overtake(tx) -> runs.Run:
        (held,) = tx.all(runs.Run, "runs.of_state", state=runs.RUNNING)
        runs.move(tx, project.site, held.id, runs.INTERRUPTED, fence=held.fence)
        return runs.resume(tx, project.site, held.id, take(project.site.clock.now_us(), 1))

    taken = stopped_outside_a_write(running, lambda: project.site.db.write(overtake))
    workers = workers_of(running.pid)
    with project.site.db.read() as reader:
        before = len(reader.all(outcomes.Outcome, "pipelines.outcomes"))
    os.kill(running.pid, signal.SIGCONT)
    told, _ = running.communicate(timeout=60)

    with project.site.db.read() as reader:
        after = len(reader.all(outcomes.Outcome, "pipelines.outcomes"))
        now = runs.get(reader, taken.id)
    assert running.returncode != 0
    assert "run-lease-lost" in told
    assert after == before
    assert (now.state, now.fence) == (runs.RUNNING, taken.fence)
    for pid in workers:
        wait_gone(pid)
