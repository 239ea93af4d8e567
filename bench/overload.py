"""Prints what becomes of a tracking server that is asked for ten times what it can do: an open loop for 30 s.

Run: `.venv/bin/python bench/overload.py [--quick]`; it needs a C compiler. Capacity is what 64 connections get that
each wait for their answer; then requests are due at ten times that rate, whether or not earlier ones were answered,
and afterwards for shorter at fewer times. Meanwhile somebody comes anew four times a second and reads something
small. The goals are R8 of the design's reliability page. Caller and server share the machine; what is due while no
connection is free never leaves. What a request costs either of them is printed too, and how many times capacity these
costs allow.
"""

from __future__ import annotations

import os
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Self

from measure.figures import Cell, Sheet, is_quick
from measure.openloop import Caller, said
from measure.servers import Server
from measure.trackers import OURS, ask, new_run, tracking
from measure.writers import MARK

PATH = "/api/2.0/mlflow/runs/log-metric"
TIMES = (10, 5, 3, 2)
WRITERS, STRANGERS, RUNS = 64, 2000, 32
NORMAL_MS = 50.0
NEWCOMER_SECONDS = 0.25
READ = "/api/2.0/mlflow/experiments/get?experiment_id=0"
GOAL = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Able:
    """What the server can do when nobody asks for more.

    Attributes:
        per_second: requests.
        cpu_seconds: of the server, for one of them.
    """

    per_second: float
    cpu_seconds: float


class Newcomers:
    """Somebody who comes anew again and again, and reads something small, until he is told to stop.

    Args:
        server: whom he asks.
    """

    def __init__(self, server: Server) -> None:
        self._server = server
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._come)
        self.took: list[float] = []
        self.failed = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _come(self) -> None:
        while not self._stop.wait(NEWCOMER_SECONDS):
            began = perf_counter()
            try:
                ask(self._server, "GET", READ)
            except OSError:
                self.failed += 1
            self.took.append((perf_counter() - began) * 1e3)


def main() -> None:
    longest = 2.0 if is_quick() else 30.0
    sheet = Sheet("overload")
    with TemporaryDirectory() as made, tracking(OURS, Path(made) / "project") as server:
        bodies: list[object] = [
            {"run_id": new_run(server), "key": "loss", "value": 0.5, "timestamp": 1, "step": MARK} for _ in range(RUNS)
        ]
        caller = Caller(Path(made), f"{server.url}{PATH}", bodies)
        said(caller.begin(0, longest / 15, WRITERS))  # warm
        child = caller.begin(0, longest / 5, WRITERS)
        used = server.cpu_seconds()
        calm = said(child)
        able = Able(per_second=calm.good / calm.seconds, cpu_seconds=(server.cpu_seconds() - used) / calm.good)
        columns = [
            _flooded(server, caller, able, times, longest if times == TIMES[0] else longest / 4) for times in TIMES
        ]
        after = said(caller.begin(0, longest / 15, WRITERS))

    print(
        f"capacity {able.per_second:,.0f} requests/s, p99 {calm.good_p99_ms:.1f} ms; {able.cpu_seconds * 1e6:.0f} us of"
    )
    print(f"the server's processor time a request; afterwards {after.good / after.seconds / able.per_second:.2f} of it")
    head = ("", "goal", *(f"{times}x" for times in TIMES))
    rows = [(name, goal, *cells) for (name, goal), *cells in zip(NAMES, *columns, strict=True)]
    sheet.table("log-metric at so many times capacity", head, rows)
    sheet.keep()


NAMES = (
    ("for, s", None),
    ("due, requests/s", None),
    ("left the caller, requests/s", None),
    ("answered 200, requests/s", None),
    ("of capacity", ">= 0.8"),
    ("their p50, ms", None),
    ("their p99, ms", "<= 1,000"),
    ("their slowest, ms", None),
    ("refused with Retry-After, requests/s", None),
    ("their p50, ms", None),
    ("their p99, ms", "<= 50"),
    ("share of them within 50 ms", None),
    ("anything else", "0"),
    ("without an answer", "0"),
    ("a newcomer's read, slowest, ms", None),
    ("newcomers without an answer", "0"),
    ("memory, MiB more at most", "<= 100"),
    ("seconds until an answer within 50 ms", "<= 1"),
    ("server's cores in use", None),
    ("us of the server a refusal", None),
    ("caller's cores in use", None),
    ("us of the caller a request", None),
    ("times capacity that one interpreter bears", None),
    ("times capacity that all cores bear", None),
)


def _flooded(server: Server, caller: Caller, able: Able, times: float, seconds: float) -> list[Cell]:
    """Ask so many times what the server can do; return a column of figures."""
    before = most = sum(server.memory_mib()[:-1])
    with Newcomers(server) as newcomers:
        child = caller.begin(times * able.per_second, seconds, STRANGERS)
        used = server.cpu_seconds()
        while True:
            try:
                child.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                most = max(most, sum(server.memory_mib()[:-1]))
        used = server.cpu_seconds() - used
        normal = _normal(server)
    found = said(child)
    seconds = found.seconds
    refusal = max(used - found.good * able.cpu_seconds, 0) / found.refused if found.refused else float("nan")
    asking = found.cpu_seconds / found.carried
    return [
        seconds,
        found.due / seconds,
        found.carried / seconds,
        found.good / seconds,
        (found.good - found.good_late) / seconds / able.per_second,
        found.good_p50_ms,
        found.good_p99_ms,
        found.good_most_ms,
        found.refused / seconds,
        found.refused_p50_ms,
        found.refused_p99_ms,
        found.refused_within_50_ms,
        found.others,
        found.unanswered,
        max(newcomers.took),
        newcomers.failed,
        most - before,
        normal,
        used / seconds,
        refusal * 1e6,
        found.cpu_seconds / seconds,
        asking * 1e6,
        *_borne(able, refusal, asking),
    ]


def _borne(able: Able, refusal: float, asking: float) -> tuple[float, float]:
    """Return up to how many times capacity four fifths of it can be served: by one interpreter, by all cores.

    Args:
        able: what the server can do when nobody asks for more.
        refusal: seconds of the server for one that is refused.
        asking: seconds of the caller, who shares the cores, for one that is served or refused.
    """
    served = GOAL * able.per_second * able.cpu_seconds
    cores = (os.cpu_count() or 1) - served
    return (
        GOAL + max(1 - served, 0) / (able.per_second * refusal),
        (cores + GOAL * able.per_second * refusal) / (able.per_second * (refusal + asking)),
    )


def _normal(server: Server) -> float:
    """Return the seconds until a question is answered as quickly as on a quiet server."""
    began = perf_counter()
    while True:
        asked = perf_counter()
        ask(server, "GET", READ)
        if (perf_counter() - asked) * 1e3 <= NORMAL_MS:
            return perf_counter() - began


if __name__ == "__main__":
    main()
