"""The local pool: warm workers, logs, kills, and processes that end with their parent."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from ropewalk.compute.channel import Frames
from ropewalk.compute.local import LocalPool
from ropewalk.compute.pool import Answer, Job, Lost

WORKER = """
import os, sys, time
from ropewalk.compute.serve import serve

def handle(job):
    if "exit" in job:
        os._exit(job["exit"])
    if "print" in job:
        print(job["print"])
    if "wait" in job:
        open(job["wait"]).read()
    return {"pid": os.getpid(), "said": job.get("say"), "stdin": sys.stdin.read(), "cwd": os.getcwd()}

if __name__ == "__main__":
    serve(handle)
"""


@pytest.fixture
def pool(tmp_path, monkeypatch):
    (tmp_path / "worker_module.py").write_text(dedent(WORKER))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with LocalPool("worker_module", cwd=tmp_path, log=tmp_path / "logs" / "pool.log", workers_max=2) as pool:
        yield pool


def answer_of(pool, **message) -> Answer:
    pool.submit(Job(id="one", message=message))
    (ending,) = pool.wait(20)
    assert isinstance(ending, Answer), ending
    return ending


def test_a_worker_takes_one_job_after_the_other_without_input_in_its_folder(pool, tmp_path):
    first, second = answer_of(pool, say="a"), answer_of(pool, say="b")

    assert (first.job, first.message["said"], second.message["said"]) == ("one", "a", "b")
    assert first.message["pid"] == second.message["pid"]
    assert (first.message["stdin"], first.message["cwd"]) == ("", str(tmp_path))


def test_two_jobs_run_in_two_workers_and_a_third_has_to_wait(pool, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    pool.submit(Job(id="a", message={"wait": str(gate)}))
    pool.submit(Job(id="b", message={"say": "b"}))
    assert pool.free() == 0

    (quick,) = pool.wait(20)
    assert (quick.job, pool.free()) == ("b", 1)
    with gate.open("w"):
        pass
    (slow,) = pool.wait(20)

    assert slow.job == "a"
    assert slow.message["pid"] != quick.message["pid"]


def test_what_a_job_prints_is_in_its_log(pool, tmp_path):
    pool.submit(Job(id="a", message={"print": "hello"}, log=tmp_path / "logs" / "deep" / "a.log"))
    pool.wait(20)

    assert (tmp_path / "logs" / "deep" / "a.log").read_text() == "hello\n"


def test_a_worker_that_ends_loses_its_job_and_the_next_job_has_a_new_worker(pool):
    pool.submit(Job(id="a", message={"exit": 7}))

    assert pool.wait(20) == [Lost(job="a", why="died", status=7)]
    assert answer_of(pool, say="again").message["said"] == "again"


def test_a_job_over_its_time_is_killed(pool, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    pool.submit(Job(id="a", message={"wait": str(gate)}, timeout_seconds=0.3))

    assert pool.wait(20) == [Lost(job="a", why="timeout", status=-signal.SIGKILL)]
    assert pool.free() == 2


def test_closing_leaves_no_process(tmp_path, monkeypatch):
    (tmp_path / "worker_module.py").write_text(dedent(WORKER))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with LocalPool("worker_module", cwd=tmp_path, log=tmp_path / "pool.log", workers_max=2) as pool:
        idle = answer_of(pool).message["pid"]
        pool.submit(Job(id="a", message={"wait": str(gate)}))
        pool.submit(Job(id="b", message={"wait": str(gate)}))
        started = {worker.process.pid for worker in pool._workers}

    assert idle in started
    assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []


def test_a_worker_dies_with_the_process_that_started_it_even_while_it_works(tmp_path):
    (tmp_path / "worker_module.py").write_text(dedent(WORKER))
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    script = f"""
    from pathlib import Path
    from ropewalk.compute.local import LocalPool
    from ropewalk.compute.pool import Job
    pool = LocalPool("worker_module", cwd=Path("."), log=Path("pool.log"), workers_max=1)
    pool.submit(Job(id="a", message={{}}))
    print(pool.wait(20)[0].message["pid"], flush=True)
    pool.submit(Job(id="b", message={{"wait": {str(gate)!r}}}))
    print("busy", flush=True)
    pool.wait(None)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", dedent(script)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.stdout.readline()
    handle = os.pidfd_open(worker)

    parent.kill()
    parent.wait()
    parent.stdout.close()

    assert select.select([handle], [], [], 10)[0], "the worker outlived its parent"
    os.close(handle)


def test_frames_are_whole_however_they_are_cut():
    import json
    import struct

    messages = [{"a": "ä" * 100}, {}, {"b": [1, 2]}]
    data = b"".join(struct.pack(">I", len(text)) + text for text in (json.dumps(item).encode() for item in messages))
    for size in (1, 3, 7, 1000):
        frames = Frames()

        found = [item for at in range(0, len(data), size) for item in frames.feed(data[at : at + size])]

        assert found == messages
    with pytest.raises(ValueError, match="bytes"):
        Frames().feed(b"\xff\xff\xff\xff")
