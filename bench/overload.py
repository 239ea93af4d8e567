"""Prints what becomes of a tracking server that is asked for ten times what it can do: an open loop for 30 s.

Run: `.venv/bin/python bench/overload.py [--quick]`. Capacity is what 64 connections get that each wait for their
answer; then requests are due at ten times that rate, whether or not earlier ones were answered. The goals are R8 of the
design's reliability page. Caller and server share the machine; what is due while no connection is free never leaves.
"""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

from measure import openloop, writers
from measure.figures import Cell, Sheet, is_quick
from measure.trackers import OURS, ask, new_run, tracking

PATH = "/api/2.0/mlflow/runs/log-metric"
TIMES = 10
WRITERS, STRANGERS, RUNS = 64, 3000, 32
NORMAL_MS = 50.0


def main() -> None:
    seconds = 2.0 if is_quick() else 30.0
    sheet = Sheet("overload")
    with TemporaryDirectory() as made, tracking(OURS, Path(made) / "project") as server:
        runs = [new_run(server) for _ in range(RUNS)]
        bodies: list[object] = [
            {"run_id": runs[number % RUNS], "key": "loss", "value": 0.5, "timestamp": 1, "step": writers.MARK}
            for number in range(STRANGERS)
        ]
        url = f"{server.url}{PATH}"
        capacity = writers.drive(url, bodies[:WRITERS], seconds / 5, Path(made))
        before = sum(server.memory_mib()[:-1])
        child = openloop.flood(url, bodies, TIMES * capacity.per_second, seconds, Path(made))
        most = before
        while True:
            try:
                child.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                most = max(most, sum(server.memory_mib()[:-1]))
        found = openloop.said(child)
        normal = _normal(server)
        after = writers.drive(url, bodies[:WRITERS], seconds / 5, Path(made))

    rows: list[tuple[Cell, ...]] = [
        ("capacity, 64 connections, requests/s", capacity.per_second, None),
        ("due, requests/s", found.due / seconds, None),
        ("left the caller, requests/s", found.carried / seconds, None),
        ("answered 200, requests/s", found.good / seconds, None),
        ("of capacity", found.good / seconds / capacity.per_second, ">= 0.8"),
        ("their p99, ms", found.good_p99_ms, "<= 1,000"),
        ("their slowest, ms", found.good_most_ms, None),
        ("refused with Retry-After, requests/s", found.refused / seconds, None),
        ("their p99, ms", found.refused_p99_ms, "<= 50"),
        ("share of them within 50 ms", found.refused_within_50_ms, None),
        ("anything else", found.others, "0"),
        ("without an answer", found.unanswered, "0"),
        ("memory, MiB more at most", most - before, "<= 100"),
        ("seconds until an answer within 50 ms", normal, "<= 1"),
        ("afterwards, of capacity", after.per_second / capacity.per_second, None),
    ]
    sheet.table("log-metric at ten times capacity", ("", "figure", "goal"), rows)
    sheet.keep()


def _normal(server: object) -> float:
    """Return the seconds until a question is answered as quickly as on a quiet server."""
    began = perf_counter()
    while True:
        asked = perf_counter()
        ask(server, "GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")  # type: ignore[arg-type]
        if (perf_counter() - asked) * 1e3 <= NORMAL_MS:
            return perf_counter() - began


if __name__ == "__main__":
    main()
