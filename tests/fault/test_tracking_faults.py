"""A tracking server that is killed, flooded, starved or told nonsense loses nothing that it acknowledged."""

from __future__ import annotations

import asyncio
import http.client
import itertools
import json
import os
import random
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from fault.tracker import Tracker, said

# Rounds of kills: three in the ordinary suite, as many as the variable says in `make fault`.
ROUNDS = int(os.environ.get("ROPEWALK_KILLS", "3"))
CLIENTS, WRITERS = 4, 16
METRICS = 10
LOG_BATCH = "/api/2.0/mlflow/runs/log-batch"
BODY_BYTES = 1 << 30
BOMB_MIB = 1000 if "ROPEWALK_KILLS" in os.environ else 50  # a body above the cap packed is refused for that alone


def batch(run_id: str, number: int) -> dict[str, Any]:
    """Return a batch of ten metrics, a parameter and a tag that all carry one number."""
    return {
        "run_id": run_id,
        "metrics": [{"key": f"m{key}", "value": number, "timestamp": number, "step": number} for key in range(METRICS)],
        "params": [{"key": f"p{number}", "value": str(number)}],
        "tags": [{"key": f"t{number}", "value": str(number)}],
    }


def numbers_kept(tracker: Tracker, run_id: str) -> dict[int, int]:
    """Return how many of a batch's twelve parts are there, by the batch's number."""
    found: dict[int, int] = {}
    status, answer = tracker.ask("GET", f"/api/2.0/mlflow/runs/get?run_id={run_id}")
    assert status == 200, answer
    for kind in ("params", "tags"):
        for item in answer["run"]["data"].get(kind, []):
            if item["key"][0] in "pt" and item["key"][1:].isdigit():
                found[int(item["key"][1:])] = found.get(int(item["key"][1:]), 0) + 1
    for key in range(METRICS):
        token = ""
        while True:
            path = f"/api/2.0/mlflow/metrics/get-history?run_id={run_id}&metric_key=m{key}&max_results=10000"
            status, page = tracker.ask("GET", path + (f"&page_token={token}" if token else ""))
            assert status == 200, page
            for point in page.get("metrics", []):
                found[int(point.get("step", 0))] = found.get(int(point.get("step", 0)), 0) + 1
            token = page.get("next_page_token", "")
            if not token:
                break
    return found


def write_on(tracker: Tracker, run_id: str, first: int, acked: list[int], stop: threading.Event) -> None:
    """Log batches until told to stop or the server is gone; note each one that was acknowledged."""
    with suppress(OSError, http.client.HTTPException), closing(tracker.connect()) as connection:
        for number in range(first, first + 1_000_000):
            if stop.is_set():
                return
            status, answer = said(connection, "POST", LOG_BATCH, batch(run_id, number))
            assert status == 200, answer
            acked.append(number)


@pytest.mark.fault
@pytest.mark.timeout(600)
def test_nothing_acknowledged_is_lost_or_torn_at_kill_9(tmp_path: Path) -> None:
    tracker, draw = Tracker(tmp_path / "project"), random.Random(7)
    ready = [tracker.start()]
    runs = [tracker.new_run() for _ in range(CLIENTS)]
    acked: list[list[int]] = [[] for _ in runs]

    for _ in range(ROUNDS):
        stop = threading.Event()
        threads = [
            threading.Thread(target=write_on, args=(tracker, run, (taken[-1] + 2) if taken else 1, taken, stop))
            for run, taken in zip(runs, acked, strict=True)
        ]
        for thread in threads:
            thread.start()
        stop.wait(draw.uniform(0.1, 0.7))
        tracker.kill()
        stop.set()
        for thread in threads:
            thread.join(30)
        ready.append(tracker.start())

    kept = [numbers_kept(tracker, run) for run in runs]
    lost = sum(1 for taken, found in zip(acked, kept, strict=True) for number in taken if number not in found)
    torn = sum(1 for found in kept for parts in found.values() if parts != METRICS + 2)
    count = sum(map(len, acked))
    print(f"{ROUNDS} kills, {count} acknowledged, {lost} lost, {torn} torn, ready {max(ready):.1f} s")  # noqa: T201 - the figures
    assert (lost, torn) == (0, 0)
    assert all(acked)
    tracker.__exit__()
    checked = subprocess.run(
        [os.sys.executable, "-m", "ropewalk", "--project", str(tracker.root), "verify"],
        check=False,
        capture_output=True,
    )
    assert checked.returncode == 0, checked.stdout


@pytest.fixture
def tracker(tmp_path: Path) -> Iterator[Tracker]:
    with Tracker(tmp_path / "project") as started:
        yield started


@pytest.mark.fault
def test_sixteen_writers_are_all_served(tracker: Tracker) -> None:
    runs = [tracker.new_run() for _ in range(WRITERS)]
    acked: list[list[int]] = [[] for _ in runs]
    stop = threading.Event()
    threads = [
        threading.Thread(target=write_on, args=(tracker, run, 1, taken, stop))
        for run, taken in zip(runs, acked, strict=True)
    ]

    for thread in threads:
        thread.start()
    stop.wait(2)
    stop.set()
    for thread in threads:
        thread.join(30)

    print(f"{WRITERS} writers: {sum(map(len, acked)) / 2:.0f} batches of ten metrics a second")  # noqa: T201 - the figures
    assert all(taken == list(range(1, len(taken) + 1)) and taken for taken in acked)
    for run, taken in zip(runs, acked, strict=True):
        assert set(taken) <= set(numbers_kept(tracker, run))


def flood(tracker: Tracker, path: str, *, announced: bool) -> int:
    """Send a gigabyte, or as much of it as is taken; return the status."""
    connection = tracker.connect()
    with closing(connection):
        connection.putrequest("POST", path)
        connection.putheader("Content-Type", "application/json")
        if announced:
            connection.putheader("Content-Length", str(BODY_BYTES))
        else:
            connection.putheader("Transfer-Encoding", "chunked")
        connection.endheaders()
        piece = b" " * (1 << 20)
        with suppress(OSError):
            for _ in range(0 if announced else BODY_BYTES >> 20):
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        return connection.getresponse().status


@pytest.mark.fault
@pytest.mark.parametrize("announced", [True, False])
def test_a_gigabyte_is_refused_before_it_is_read(tracker: Tracker, announced: bool) -> None:
    before = tracker.rss_mib()
    paths = [LOG_BATCH, "/api/2.0/mlflow/runs/create", "/api/2.0/mlflow/runs/search", "/endpoints/x/labels"]

    statuses = []
    for path in paths:
        try:
            statuses.append(flood(tracker, path, announced=announced))
        except (OSError, http.client.HTTPException):
            statuses.append(0)  # it closed the line while we were still sending

    grown = tracker.rss_mib() - before
    print(f"{len(paths)} x 1 GiB, announced {announced}: {statuses}, memory +{grown:.1f} MiB")  # noqa: T201 - the figures
    assert set(statuses) <= {413, 0}
    assert not announced or set(statuses) == {413}
    assert grown <= 16
    assert tracker.ask("GET", "/api/2.0/mlflow/experiments/get?experiment_id=0")[0] == 200


@pytest.mark.fault
def test_a_bomb_of_gzip_is_refused_after_its_cap(tracker: Tracker) -> None:
    packer = zlib.compressobj(9, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 20)) for _ in range(BOMB_MIB)) + packer.flush()
    before, statuses = tracker.rss_mib(), list[int]()

    for path in (LOG_BATCH, "/v1/traces", "/endpoints/x/labels"):
        with closing(tracker.connect()) as connection:
            headers = {"Content-Type": "application/json", "Content-Encoding": "gzip", "x-mlflow-experiment-id": "0"}
            connection.request("POST", path, bomb, headers)
            statuses.append(connection.getresponse().status)

    grown = tracker.rss_mib() - before
    print(f"{len(bomb) >> 10} KiB that unpack to {BOMB_MIB} MiB: {statuses}, memory +{grown:.1f} MiB")  # noqa: T201 - the figures
    assert set(statuses) <= {413, 415}
    assert 413 in statuses
    assert grown <= 16


STRANGERS, RUSH_SECONDS = 600, 3.0
LOG_METRIC = "/api/2.0/mlflow/runs/log-metric"


async def rush(port: int, run: str) -> tuple[list[int], list[tuple[int, bytes]], list[float]]:
    """Let six hundred ask again as soon as they are answered, whatever the answer is.

    Returns the steps that were acknowledged, the status and head of every other answer, and the seconds of what was
    acknowledged.
    """
    acked, others, took = list[int](), list[tuple[int, bytes]](), list[float]()
    steps, end = itertools.count(1), time.perf_counter() + RUSH_SECONDS

    async def ask_on() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with closing(writer):
            while time.perf_counter() < end:
                step, asked = next(steps), time.perf_counter()
                body = json.dumps({"run_id": run, "key": "loss", "value": 1, "timestamp": 1, "step": step}).encode()
                head = f"POST {LOG_METRIC} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
                writer.write(head.encode() + b"Content-Length: %d\r\n\r\n" % len(body) + body)
                answer = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]))
                if answer.startswith(b"HTTP/1.1 200 "):
                    acked.append(step)
                    took.append(time.perf_counter() - asked)
                else:
                    others.append((int(answer[9:12]), answer))

    async with asyncio.timeout(60):
        await asyncio.gather(*(ask_on() for _ in range(STRANGERS)))
    return acked, others, took


def steps_kept(tracker: Tracker, run: str) -> list[int]:
    """Return the steps of a run's metric."""
    found, token = list[int](), ""
    while True:
        path = f"/api/2.0/mlflow/metrics/get-history?run_id={run}&metric_key=loss&max_results=20000&page_token={token}"
        status, page = tracker.ask("GET", path)
        assert status == 200, page
        found += [int(point["step"]) for point in page.get("metrics", [])]
        token = page.get("next_page_token", "")
        if not token:
            return found


@pytest.mark.fault
def test_overload_is_answered_or_turned_away_and_then_all_is_as_before(tracker: Tracker) -> None:
    run, before, stop = tracker.new_run(), tracker.rss_mib(), threading.Event()
    read = f"/api/2.0/mlflow/runs/get?run_id={run}"
    reads: list[int] = []

    def look_on() -> None:
        while not stop.wait(0.2):
            reads.append(tracker.ask("GET", read)[0])  # a newcomer each time

    looking = threading.Thread(target=look_on)
    looking.start()
    acked, others, took = asyncio.run(rush(tracker.port, run))
    grown = tracker.rss_mib() - before
    begun = time.perf_counter()
    status, _ = tracker.ask("GET", read)
    after = time.perf_counter() - begun
    stop.set()
    looking.join(30)

    slowest = sorted(took)[len(took) * 99 // 100]
    print(  # noqa: T201 - the figures
        f"{STRANGERS} strangers: {len(acked)} acknowledged, p99 {slowest * 1e3:.0f} ms, {len(others)} turned away, "
        f"{len(reads)} reads, +{grown:.0f} MiB, an answer after {after * 1e3:.0f} ms"
    )
    assert len(acked) > 100
    assert {status for status, _ in others} == {429}
    assert all(b"\r\nretry-after: " in head for _, head in others)
    assert sorted(steps_kept(tracker, run)) == sorted(acked)  # nothing lost, and nothing done of what was turned away
    assert reads
    assert set(reads) == {200}
    assert status == 200
    assert after < 5
    assert grown <= 100
