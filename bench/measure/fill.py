"""Puts runs into a tracking store from behind, since no peer takes 10,000 of them over HTTP in a sensible time.

Every run has five metrics (`m0` to `m4`) and three parameters (`p0` to `p2`), the same in every store.
"""

from __future__ import annotations

import random
import sqlite3  # noqa: TID251 - the peer's file, not ours
from collections.abc import Iterator
from pathlib import Path

METRICS, PARAMS = 5, 3
CHUNK = 5_000
Made = tuple[str, int, list[float], list[str]]


def made(first: int, count: int) -> Iterator[Made]:
    """Yield id, start (ms), metrics and parameters of runs; the same numbers give the same runs."""
    for number in range(first, first + count):
        draw = random.Random(number)
        yield (
            f"{number:032x}",
            1_700_000_000_000 + number * 1000,
            [draw.random() for _ in range(METRICS)],
            [str(draw.randrange(10)) for _ in range(PARAMS)],
        )


def fill_peer(folder: Path, first: int, count: int) -> None:
    """Insert runs into the SQLite file of an MLflow server, below experiment 0."""
    with sqlite3.connect(folder / "mlflow.db", timeout=60) as db:
        for run_id, start, metrics, params in made(first, count):
            row = (
                run_id,
                f"run-{start}",
                "LOCAL",
                "",
                "",
                "bench",
                "FINISHED",
                start,
                start,
                "",
                "active",
                "",
                0,
                None,
            )
            db.execute(f"insert into runs values ({','.join('?' * len(row))})", row)
            for key, value in enumerate(metrics):
                db.execute("insert into metrics values (?, ?, ?, ?, 0, 0)", (f"m{key}", value, start, run_id))
                db.execute("insert into latest_metrics values (?, ?, ?, 0, 0, ?)", (f"m{key}", value, start, run_id))
            db.executemany(
                "insert into params values (?, ?, ?)", [(f"p{key}", value, run_id) for key, value in enumerate(params)]
            )
    db.close()
