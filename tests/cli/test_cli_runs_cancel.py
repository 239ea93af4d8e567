"""`ropewalk runs cancel` and `ropewalk runs logs -f` from another terminal, and Ctrl-C in the same one."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

PIPELINE = """
import os, signal, subprocess, sys
from ropewalk import pipeline, step


@step
def quick(n):
    return n


@step
def endless(n):
    code = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
    child = subprocess.Popen(
        [sys.executable, "-c", code], start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    print("pids", os.getpid(), child.stdout.readline().strip(), flush=True)
    signal.pause()


@pipeline
def train(n: int = 1):
    endless(quick(n))
"""


@pytest.fixture
def started(tmp_path):
    """A run of which one step is finished and one never ends, with a child in a session of its own."""
    (tmp_path / "pipeline.py").write_text(PIPELINE)
    (tmp_path / "ropewalk.toml").write_text('name = "endless"\n')
    running = subprocess.Popen(
        command(tmp_path, "run", "pipeline.py:train"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert running.stdout is not None
    for line in running.stdout:
        if "quick" in line:
            break
    follower = subprocess.Popen(
        command(tmp_path, "runs", "logs", "train-1", "endless", "-f"), stdout=subprocess.PIPE, text=True
    )
    assert follower.stdout is not None
    pids = [int(pid) for pid in follower.stdout.readline().split()[1:]]
    yield tmp_path, running, follower, pids
    for process in (running, follower):
        process.kill()
        process.stdout.close()
        process.wait()


def command(folder: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "ropewalk", "--project", str(folder), *words]


def is_gone(pid: int) -> bool:
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], 10)[0])
    finally:
        os.close(handle)


def state_of(folder: Path) -> str:
    told = subprocess.run(command(folder, "--json", "runs", "train-1"), capture_output=True, text=True, check=True)
    return json.loads(told.stdout)["result"]["state"]


def test_a_run_is_cancelled_from_another_terminal_with_all_that_it_started(started):
    folder, running, follower, pids = started
    assert len(pids) == 2

    told = subprocess.run(command(folder, "runs", "cancel", "train-1"), capture_output=True, text=True, check=False)

    assert told.returncode == 0, told.stderr
    assert "train-1 cancelled" in told.stdout
    assert all(is_gone(pid) for pid in pids)
    assert is_gone(running.pid)
    assert "was cancelled" in running.stdout.read()
    assert follower.wait(20) == 0, "who follows a run is told when it ends"
    assert state_of(folder) == "cancelled"
    again = subprocess.run(command(folder, "runs", "cancel", "train-1"), capture_output=True, text=True, check=False)
    assert (again.returncode != 0, "run-not-cancellable" in again.stderr) == (True, True)


def test_ctrl_c_ends_all_that_a_run_started(started):
    folder, running, _, pids = started

    running.send_signal(signal.SIGINT)

    assert all(is_gone(pid) for pid in pids)
    running.wait(20)
    assert state_of(folder) == "interrupted"


def test_a_killed_run_says_interrupted_at_once_and_whoever_looks_ends_what_it_left(started):
    folder, running, _, pids = started

    running.kill()
    running.wait()

    assert state_of(folder) == "interrupted"
    assert is_gone(pids[0]), "the worker ends with its parent"
    assert is_gone(pids[1]), "whoever looks ends what the worker had started"


def test_cancelling_reaches_the_steps_of_a_scheduler_that_is_stopped(started):
    folder, running, _, pids = started
    running.send_signal(signal.SIGSTOP)

    told = subprocess.run(
        command(folder, "--json", "runs", "cancel", "train-1"), capture_output=True, text=True, check=True
    )

    assert json.loads(told.stdout)["result"]["ended"] >= len(pids)
    assert all(is_gone(pid) for pid in pids)
    running.send_signal(signal.SIGCONT)
    assert "run-cancelled" in running.stdout.read()
