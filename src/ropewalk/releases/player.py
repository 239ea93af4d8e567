"""Plays requests to an endpoint at their times: in their order, from a few connections, never waiting for an answer."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

from ropewalk.releases.caller import Caller, Reply

CONNECTIONS = 8
OK = 200
SAID_LETTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One request.

    Attributes:
        at_seconds: when to send it, from the beginning.
        first: number of its first record among all.
        records: the records.
    """

    at_seconds: float
    first: int
    records: list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A request that was sent.

    Attributes:
        question: which.
        status: HTTP status; 0 for no answer.
        answers: one prediction a record; none where the status is not 200.
        seconds: from the first byte sent to the last one read.
        late_seconds: how much later than at its time it was sent.
        said: what was wrong, for people; empty when nothing was.
    """

    question: Question
    status: int
    answers: list[dict[str, Any]]
    seconds: float
    late_seconds: float
    said: str


class _Stage:
    """What the connections share: the next request, and what has come back."""

    def __init__(self, questions: Sequence[Question]) -> None:
        self._next: Iterator[Question] = iter(questions)
        self._lock = threading.Lock()
        self._pause = threading.Event()
        self._begun = time.perf_counter()
        self.played: list[Played] = []

    def serve(self, url: str, path: str) -> None:
        """Send requests until there are no more."""
        with Caller(url) as caller:
            while (question := self._take()) is not None:
                wait = self._begun + question.at_seconds - time.perf_counter()
                if wait > 0:
                    self._pause.wait(wait)
                late = time.perf_counter() - self._begun - question.at_seconds
                reply = caller.ask("POST", path, {"records": question.records})
                self.played.append(_played(question, reply, max(0.0, late)))

    def _take(self) -> Question | None:
        with self._lock:
            return next(self._next, None)


def play(url: str, path: str, questions: Sequence[Question], connections: int = CONNECTIONS) -> list[Played]:
    """Send requests at their times and return what came back, in their order.

    Args:
        url: the endpoint, on loopback.
        path: where to post to.
        questions: in the order of their times.
        connections: how many may wait for an answer at once; with all of them waiting, the next one is sent late.
    """
    stage = _Stage(questions)
    threads = [
        threading.Thread(target=stage.serve, args=(url, path)) for _ in range(min(connections, max(1, len(questions))))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(stage.played, key=lambda one: one.question.first)


def _played(question: Question, reply: Reply, late: float) -> Played:
    answers: list[dict[str, Any]] = []
    if reply.status == OK:
        whole = reply.value()
        found: Any = cast("dict[str, Any]", whole).get("predictions") if isinstance(whole, dict) else None
        answers = [one for one in cast("list[Any]", found) if isinstance(one, dict)] if isinstance(found, list) else []
    failed = next((str(one["error"]) for one in answers if "error" in one), "")
    said = failed if reply.status == OK else f"status {reply.status}: {reply.body.decode('utf-8', 'replace')}"
    return Played(
        question=question,
        status=reply.status,
        answers=answers[: len(question.records)],
        seconds=reply.seconds,
        late_seconds=late,
        said=said[:SAID_LETTERS],
    )
