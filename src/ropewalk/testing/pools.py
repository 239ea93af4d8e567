"""Conformance of a pool: run these on every adapter of `ropewalk.compute.pool.Pool`."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ropewalk.compute.pool import ONE, Answer, Ending, Job, Lost, Needs, Pool
from ropewalk.errors import Invalid

OpenPool = Callable[[Needs], Pool]
"""Opens a pool of two workers, of which all have so much room, that run `ropewalk.testing.pooled`."""
WAIT_SECONDS = 30.0
CANARY = "canary-of-the-pool-5521"


@contextmanager
def _opened(open_pool: OpenPool, room: Needs | None = None) -> Generator[Pool]:
    pool = open_pool(room or Needs(cpu=2.0, memory_bytes=1 << 30, gpu=2))
    try:
        yield pool
    finally:
        pool.close()


def _wait(pool: Pool, count: int) -> dict[str, Ending]:
    """Return so many endings by their jobs."""
    found: dict[str, Ending] = {}
    while len(found) < count:
        ended = pool.wait(WAIT_SECONDS)
        assert ended, "nothing ended in time"
        found |= {ending.job: ending for ending in ended}
    return found


def _said(ending: Ending) -> dict[str, Any]:
    assert isinstance(ending, Answer), ending
    return dict(ending.message)


def answers_with_what_the_worker_said(open_pool: OpenPool, folder: Path) -> None:
    """A message goes there and back whole, whatever JSON it is."""
    message: dict[str, Any] = {"say": {"text": "ä\n", "list": [1, 2.5, None, True], "deep": {"a": [{}]}}}
    with _opened(open_pool) as pool:
        pool.submit(Job(id="one", message=message))
        assert _said(_wait(pool, 1)["one"])["said"] == message["say"]
    assert folder.is_dir()


def runs_as_many_beside_each_other_as_it_says(open_pool: OpenPool, folder: Path) -> None:
    """Two jobs that wait for each other both end; no third is taken meanwhile."""
    one, other = folder / "one", folder / "other"
    os.mkfifo(one)
    os.mkfifo(other)
    with _opened(open_pool) as pool:
        assert pool.free() == 2  # noqa: PLR2004 - the pool was opened so
        pool.submit(Job(id="a", message={"write": str(one), "read": str(other), "first": "write"}))
        pool.submit(Job(id="b", message={"write": str(other), "read": str(one), "first": "read"}))
        assert pool.free() == 0
        assert set(_wait(pool, 2)) == {"a", "b"}
        assert pool.free() == 2  # noqa: PLR2004 - as above


def keeps_room_for_what_a_job_needs(open_pool: OpenPool, folder: Path) -> None:
    """Processors, memory and cards are counted; what has no room even alone is refused."""
    gate = folder / "gate"
    os.mkfifo(gate)
    with _opened(open_pool) as pool:
        assert pool.free(Needs(cpu=64.0)) == 1, "who wants more processors than there are gets all of them"
        assert pool.free(Needs(gpu=2)) == 1
        assert pool.free(Needs(memory_bytes=600 << 20)) == 1
        pool.submit(Job(id="a", message={"read": str(gate)}, needs=Needs(cpu=1.0, memory_bytes=600 << 20, gpu=1)))
        assert pool.free(Needs(cpu=2.0)) == 0
        assert pool.free(Needs(memory_bytes=600 << 20)) == 0
        assert pool.free(Needs(gpu=2)) == 0
        assert pool.free(Needs(gpu=1)) == 1
        gate.write_text("go")
        _wait(pool, 1)
        assert pool.free(Needs(cpu=2.0, memory_bytes=600 << 20, gpu=2)) == 1
        try:
            pool.free(Needs(gpu=3))
        except Invalid as error:
            assert error.code == "step-needs-too-much"  # noqa: PT017 - authors of adapters need no pytest
        else:
            raise AssertionError("three cards of two were promised")


def gives_each_job_cards_of_its_own(open_pool: OpenPool, folder: Path) -> None:
    """Two jobs with a card each see different ones."""
    gates = [folder / "first", folder / "second"]
    with _opened(open_pool) as pool:
        for gate in gates:
            os.mkfifo(gate)
            message = {"read": str(gate), "environ": ["CUDA_VISIBLE_DEVICES"]}
            pool.submit(Job(id=gate.name, message=message, needs=Needs(gpu=1)))
        for gate in gates:
            gate.write_text("go")
        seen = [_said(ending)["environ"]["CUDA_VISIBLE_DEVICES"] for ending in _wait(pool, 2).values()]
    assert len(set(seen)) == 2, seen  # noqa: PLR2004 - two jobs


def says_when_a_worker_died_and_goes_on(open_pool: OpenPool, folder: Path) -> None:
    """The job is lost with the status of its process; the next one runs."""
    with _opened(open_pool) as pool:
        pool.submit(Job(id="a", message={"exit": 7}))
        assert _wait(pool, 1)["a"] == Lost(job="a", why="died", status=7)
        pool.submit(Job(id="b", message={"say": 1}))
        assert _said(_wait(pool, 1)["b"])["said"] == 1
    assert folder.is_dir()


def ends_a_job_over_its_time(open_pool: OpenPool, folder: Path) -> None:
    """It is lost, and its room is free again."""
    gate = folder / "gate"
    os.mkfifo(gate)
    with _opened(open_pool) as pool:
        pool.submit(Job(id="a", message={"read": str(gate)}, timeout_seconds=0.3))
        ending = _wait(pool, 1)["a"]
        assert isinstance(ending, Lost)
        assert ending.why == "timeout"
        assert pool.free(ONE) == 2  # noqa: PLR2004 - two workers


def keeps_what_a_job_prints_in_its_log_and_hides_its_secrets(open_pool: OpenPool, folder: Path) -> None:
    """A secret is in the environment of its job alone, and stars in what that job prints and says."""
    log = folder / "logs" / "a.log"
    with _opened(open_pool) as pool:
        message = {"print": f"begin {CANARY} end", "environ": ["POOL_SECRET"]}
        pool.submit(Job(id="a", message=message, log=log, secrets={"POOL_SECRET": CANARY}))
        said = _said(_wait(pool, 1)["a"])
        pool.submit(Job(id="b", message={"environ": ["POOL_SECRET"]}))
        other = _said(_wait(pool, 1)["b"])
    assert log.read_text() == "begin ***** end\n"
    assert said["environ"] == {"POOL_SECRET": "*****"}
    assert other["environ"] == {"POOL_SECRET": None}


def ends_what_runs_when_it_is_closed(open_pool: OpenPool, folder: Path) -> None:
    """Closing is cancelling: no process that a job started is left, wherever it went."""
    told = folder / "told"
    os.mkfifo(told)
    with _opened(open_pool) as pool:
        pool.submit(Job(id="a", message={"daemon": str(told)}))
        pids = [int(pid) for pid in told.read_text().split()]
    left = [pid for pid in pids if not _ends(pid)]
    assert not left, left


def _ends(pid: int) -> bool:
    """Say whether a process is gone or goes: one that was killed may take a moment to notice."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([watched], [], [], WAIT_SECONDS)[0])
    finally:
        os.close(watched)


CHECKS: tuple[Callable[[OpenPool, Path], None], ...] = (
    answers_with_what_the_worker_said,
    runs_as_many_beside_each_other_as_it_says,
    keeps_room_for_what_a_job_needs,
    gives_each_job_cards_of_its_own,
    says_when_a_worker_died_and_goes_on,
    ends_a_job_over_its_time,
    keeps_what_a_job_prints_in_its_log_and_hides_its_secrets,
    ends_what_runs_when_it_is_closed,
)
