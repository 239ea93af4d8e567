"""Puts runs into a tracking store from behind, since no peer takes 10,000 of them over HTTP in a sensible time.

Every run has five metrics (`m0` to `m4`) and three parameters (`p0` to `p2`), the same in every store.
"""

from __future__ import annotations

import os
import random
import sqlite3  # noqa: TID251 - the peer's file, not ours
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from ropewalk.house import open_house
from ropewalk.runs.points import Owner
from ropewalk.runs.points import write as write_points
from ropewalk.runs.states import Run
from ropewalk.store.database import Transaction

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


def fill_ours(folder: Path, first: int, count: int, url: str = "") -> None:
    """Write runs into a store of ours, below experiment 0.

    Args:
        folder: the project's.
        first: number of the first run.
        count: how many.
        url: of the store, where it is not the folder's own file.
    """
    if url:
        os.environ["ROPEWALK_STORE_URL"] = url
    try:
        with open_house(folder) as house:
            for start in range(first, first + count, CHUNK):
                house.site.db.write(partial(_write, first=start, count=min(CHUNK, first + count - start)))
    finally:
        os.environ.pop("ROPEWALK_STORE_URL", None)


def _write(tx: Transaction, *, first: int, count: int) -> None:
    for run_id, start, metrics, params in made(first, count):
        run = Run(
            number=0, id=run_id, experiment=0, name=f"run-{start}", kind="remote", state="finished", pipeline="",
            args="{}", code="", commit_sha="", branch="", author="", dirty=0, environment="", started_us=start * 1000,
            ended_us=start * 1000, error="", parent="", host="", boot="", pid=0, born=0, expires_us=0, fence=1,
            user_name="bench", source_name="", source_type="LOCAL", location="", heartbeat_seconds=0, deleted_us=None,
            reopened_us=None,
        )  # fmt: skip
        row = {field: getattr(run, field) for field in Run.__slots__ if field != "number"}
        number = int(str(tx.value("runs.insert", **row)))
        owner = Owner(number=number, experiment=0, started_us=start * 1000)
        write_points(tx, owner, "", [(f"m{key}", value, start, 0) for key, value in enumerate(metrics)])
        own = {"run": number, "node": "", "experiment": 0, "started_us": start * 1000}
        tx.many("runs.param", [{**own, "key": f"p{key}", "value": value} for key, value in enumerate(params)])
