"""Prints what tracking costs over HTTP: ours on both stores, MLflow's server as it starts and with one worker.

Run: `.venv/bin/python bench/tracking.py [--quick]`. Needs `.venv-mlflow` (`make test` makes it) for the peer and for
the stock client. Goals are those of the design's performance page, "Tracking". Every kind of server does the same work
in the same run, one after the other; beside them stands an ASGI echo, which is what HTTP alone costs here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from measure import writers
from measure.figures import OUT, Cell, Sheet, is_quick
from measure.fill import fill_ours, fill_peer
from measure.servers import Server, serving
from measure.trackers import (
    OURS,
    OURS_POSTGRES,
    PEER,
    PEER_DEFAULT,
    PEER_ONE,
    ask,
    database,
    is_ours,
    new_run,
    store_url,
    tracking,
)

KINDS = (OURS, OURS_POSTGRES, PEER_ONE, PEER_DEFAULT)
WRITERS, CLIENTS = 16, 8
READS = 4  # times that the stock client reads a history
SEARCH = {
    "experiment_ids": ["0"],
    "filter": "metrics.m0 > 0.5 and metrics.m1 < 0.5 and params.p0 = '4'",
    "order_by": ["metrics.m2 DESC"],
    "max_results": 100,
}
HERE = Path(__file__).resolve().parent
Found = dict[str, float]


def stock(work: str, server: Server, amount: float) -> subprocess.Popen[str]:
    """Start MLflow's own client on one of its works."""
    words = [str(PEER), str(HERE / "measure" / "stock.py"), work, server.url, str(amount)]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def said(child: subprocess.Popen[str]) -> dict[str, float]:
    """Return what a client found."""
    text = child.communicate(timeout=600)[0]
    if child.returncode:
        raise SystemExit(f"the stock client ended with {child.returncode}: {text}")
    return json.loads(text.splitlines()[-1])


def one_metric(server: Server, folder: Path, seconds: float) -> Found:
    """Sixteen connections, each logs one metric after the other to its run."""
    bodies = [
        {"run_id": new_run(server), "key": "loss", "value": 0.5, "timestamp": writers.MARK, "step": writers.MARK}
        for _ in range(WRITERS)
    ]
    load = writers.drive(f"{server.url}/api/2.0/mlflow/runs/log-metric", bodies, seconds, folder)
    return {"rps": load.per_second, "p50": load.p50_ms, "p99": load.p99_ms, "others": load.others}


def small_batch(server: Server, folder: Path, seconds: float, count: int = WRITERS) -> Found:
    """So many connections, each logs batches of ten metrics to its run."""
    bodies = [
        {
            "run_id": new_run(server),
            "metrics": [
                {"key": f"m{key}", "value": 0.5, "timestamp": writers.MARK, "step": writers.MARK} for key in range(10)
            ],
        }
        for _ in range(count)
    ]
    load = writers.drive(f"{server.url}/api/2.0/mlflow/runs/log-batch", bodies, seconds, folder)
    return {"rps": load.per_second, "p50": load.p50_ms, "p99": load.p99_ms, "others": load.others}


def large_batches(server: Server, seconds: float) -> Found:
    """Eight stock clients log batches of a thousand metrics."""
    before = server.cpu_seconds()
    found = [said(child) for child in [stock("batches", server, seconds) for _ in range(CLIENTS)]]
    metrics = sum(one["metrics"] for one in found)
    return {
        "per_second": sum(one["metrics"] / one["seconds"] for one in found),
        "server_us": (server.cpu_seconds() - before) / metrics * 1e6,
        "client_us": median(one["cpu_us_per_metric"] for one in found),
    }


def search(server: Server, times: int) -> float:
    """Return seconds of a search of 100 runs by two metrics and a parameter, ordered by a third metric."""
    took: list[float] = []
    for _ in range(times):
        start = perf_counter()
        found = ask(server, "POST", "/api/2.0/mlflow/runs/search", SEARCH)
        took.append(perf_counter() - start)
        assert found["runs"], found
    return median(took)


class Bench:
    """All works on all kinds, and what each came to."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.found: dict[str, Found] = {}
        quick = is_quick()
        self.seconds = 1.0 if quick else 6.0
        self.points = 2_000 if quick else 100_000
        self.sizes = (100, 300) if quick else (1_000, 10_000, 100_000)

    def measure(self, kind: str) -> None:
        """Do every work on one kind of server."""
        found = self.found[kind] = {}
        place = self.folder / kind.replace(", ", "-").replace(" ", "-")
        with database(kind), tracking(kind, place) as server:
            memory = server.memory_mib()
            found |= {"start": server.start_seconds, "rss": sum(memory[:-1]), "processes": len(memory) - 1}
            found |= {f"metric {name}": value for name, value in one_metric(server, place, self.seconds).items()}
            four = small_batch(server, place, self.seconds, 4)
            found["batch rps at 4"] = four["rps"]
            found |= {f"batch {name}": value for name, value in small_batch(server, place, self.seconds).items()}
            found |= {f"large {name}": value for name, value in large_batches(server, self.seconds).items()}
            found["sequence"] = said(stock("sequence", server, self.seconds))["per_second"]
            found |= self._history(server, place)
            self._searches(kind, server, place)

    def _history(self, server: Server, place: Path) -> Found:
        """Read a long history; and the same answers from a server that has them in its memory, which none can beat."""
        found = {"history": said(stock("history", server, self.points))["seconds"]}
        before = server.cpu_seconds()
        found["history client"] = said(stock("reads", server, self.points))["client_cpu"]
        found["history server"] = (server.cpu_seconds() - before) / READS
        (place / "origin").write_text(server.url)
        with serving(["-m", "measure.servers", "memory", str(place)]) as limit:
            found["history limit"] = said(stock("reads", limit, self.points))["seconds"]
        return found

    def _searches(self, kind: str, server: Server, place: Path) -> None:
        filled = 0
        for size in self.sizes:
            if not is_ours(kind) and size > 10_000:
                break
            if is_ours(kind):
                fill_ours(place, filled + 1, size - filled, store_url(kind))
            else:
                fill_peer(place, filled + 1, size - filled)
            filled = size
            self.found[kind][f"search {size}"] = search(server, 5 if is_ours(kind) else 2)

    def ratio(self, name: str, kind: str, peer: str, *, less: bool = False) -> float | None:
        """Return how many times better ours is."""
        ours, theirs = self.found[kind].get(name), self.found[peer].get(name)
        if not ours or not theirs:
            return None
        return theirs / ours if less else ours / theirs


ROWS: tuple[tuple[str, str, bool, str], ...] = (
    ("POST log-metric, 16 connections, requests/s", "metric rps", False, ">= 30x default"),
    ("  its p99, ms", "metric p99", True, ""),
    ("log-batch of 10, 16 writers, requests/s", "batch rps", False, ">= 25x default"),
    ("  its p99, ms", "batch p99", True, "< 100 ms"),
    ("log-batch of 10, 4 writers, requests/s", "batch rps at 4", False, "more writers never slower"),
    ("log-batch of 1,000, 8 stock clients, metrics/s", "large per_second", False, ">= 7x"),
    ("  server CPU us a metric", "large server_us", True, ">= 20x less"),
    ("  client CPU us a metric", "large client_us", True, ""),
    ("log_metric, one stock client, calls/s", "sequence", False, ">= 12x default, 4x one worker"),
    ("history of 100,000 points, stock client, s", "history", True, ">= 10x"),
    ("  limit: the same answers from memory, s", "history limit", True, ""),
    ("  server CPU, s", "history server", True, ""),
    ("  client CPU, s", "history client", True, ""),
    ("search 100 of 1,000 runs, s", "search 1000", True, ""),
    ("search 100 of 10,000 runs, s", "search 10000", True, ""),
    ("search 100 of 100,000 runs, s", "search 100000", True, "< 0.05 s"),
    ("start to the first answer, s", "start", True, "< 1.5 s"),
    ("memory after start, MiB", "rss", True, "< 120 MiB"),
)


def tell(sheet: Sheet, bench: Bench, limit: float) -> None:
    """Print the table of figures and the ratios."""
    kinds = [kind for kind in KINDS if kind in bench.found]
    rows: list[tuple[Cell, ...]] = [
        (title, *(bench.found[kind].get(name) for kind in kinds)) for title, name, _, _ in ROWS
    ]
    rows.append(("(ASGI echo of the same POST, 16 connections, requests/s)", limit, *(None for _ in kinds[1:])))
    sheet.table("tracking over HTTP", ("", *kinds), rows)
    rows = [
        (title, *(bench.ratio(name, OURS, peer, less=less) for peer in (PEER_ONE, PEER_DEFAULT)), goal)
        for title, name, less, goal in ROWS
    ]
    sheet.table("times better, ropewalk on SQLite", ("", "one worker", "default", "goal"), rows)


def main() -> None:
    sheet = Sheet("tracking")
    OUT.mkdir(exist_ok=True)
    with TemporaryDirectory(dir=OUT) as folder:
        bench = Bench(Path(folder))
        body: dict[str, Any] = {"run_id": "0" * 32, "key": "loss", "value": 0.5, "timestamp": writers.MARK, "step": 1}
        with serving(["-m", "measure.servers", "echo", "."]) as echo:
            limit = writers.drive(f"{echo.url}/", [body] * WRITERS, bench.seconds, Path(folder)).per_second
        for kind in [kind for kind in KINDS if not is_quick() or is_ours(kind)]:
            print(f"... {kind}", file=sys.stderr, flush=True)
            bench.measure(kind)
        if is_quick():
            bench.found |= {PEER_ONE: {}, PEER_DEFAULT: {}}
        tell(sheet, bench, limit)
    sheet.keep()


if __name__ == "__main__":
    main()
