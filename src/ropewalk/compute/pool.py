"""The port: a pool runs one job at a time in each of its workers and says how it ended."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Protocol

from ropewalk.records import frozen, made


@frozen
class Needs:
    """What a job takes of a machine while it runs, or what a pool has to give.

    Attributes:
        cpu: processors; a job that wants more than there are gets all of them.
        memory_bytes: memory that is set aside for it; nothing measures what it really takes.
        gpu: graphics cards, whole ones; the job sees these alone.
    """

    cpu: float = 1.0
    memory_bytes: int = 0
    gpu: int = 0


ONE = Needs()


@frozen
class Job:
    """Something for a worker to do.

    Attributes:
        id: how the caller calls it; comes back with the ending.
        message: JSON-able, given to the worker as it is.
        log: file that what the job prints is appended to; None keeps the last one.
        timeout_seconds: after so long the worker is killed; None for never.
        needs: what it takes while it runs.
        secrets: environment variables for this job alone; their values are hidden in what it prints.
    """

    id: str
    message: Mapping[str, object]
    log: Path | None = None
    timeout_seconds: float | None = None
    needs: Needs = ONE
    secrets: Mapping[str, str] = made(default_factory=dict[str, str], repr=False)


@frozen
class Answer:
    """The job ended and the worker said something.

    Attributes:
        job: the job's id.
        message: what it said.
    """

    job: str
    message: Mapping[str, Any]


@frozen
class Lost:
    """The worker is gone before it answered.

    Attributes:
        job: the job's id.
        why: `timeout` when the pool killed it, `died` otherwise.
        status: exit status, negative for a signal.
    """

    job: str
    why: Literal["died", "timeout"]
    status: int


Ending = Answer | Lost


def ended_how(status: int) -> str:
    """Return how a process ended, in words that follow `it`; the status is negative for a signal."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:  # a real-time one
        name = f"signal {-status}"
    return f"was killed by {name}" + (" (out of memory?)" if -status == signal.SIGKILL else "")


class Pool(Protocol):
    """Where jobs run: five verbs, and `close` is how what runs is cancelled, whatever it has started included."""

    def warm(self, count: int) -> None:
        """Have so many workers started, as far as the pool allows, without waiting for them."""
        ...

    def free(self, needs: Needs = ONE) -> int:
        """Return how many jobs of such needs can be taken now.

        Raises:
            Invalid: no machine of the pool has so much.
        """
        ...

    def submit(self, job: Job) -> None:
        """Start a job; `free` must have said that there is room."""
        ...

    def wait(self, seconds: float | None) -> list[Ending]:
        """Wait until some job ended, or so long; return what ended."""
        ...

    def close(self) -> None:
        """Kill what still works, end what is idle; returns when every process is gone."""
        ...
