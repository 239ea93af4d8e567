"""Puts runs into a tracking store from behind, since no peer takes 10,000 of them over HTTP in a sensible time.

Every run has five metrics (`m0` to `m4`) and three parameters (`p0` to `p2`), the same in every store.
"""

from __future__ import annotations

import os
import random
import sqlite3  # noqa: TID251 - the peer's file, not ours
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from ropewalk.house import open_house
from ropewalk.runs.states import Run
from ropewalk.store.database import Value
from ropewalk.store.link import Link, Store

METRICS, PARAMS = 5, 3
CHUNK = 5_000
COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": tuple(Run.__slots__),
    "series": ("id", "run", "key", "node"),
    "points": ("series", "at_ms", "step", "value", "is_nan"),
    "latest": ("run", "key", "node", "experiment", "started_us", "step", "at_ms", "value", "is_nan"),
    "run_params": ("run", "key", "node", "value", "experiment", "started_us"),
}
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
    """Write runs into a store of ours, below experiment 0, as a copy of a store is written: row by row into the tables.

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
            link = cast("Store", house.site.db).link(patient=True)
            try:
                for start in range(first, first + count, CHUNK):
                    link.begin()
                    _write(link, made(start, min(CHUNK, first + count - start)))
                    link.commit()
            finally:
                link.close()
            house.site.db.tend()
    finally:
        os.environ.pop("ROPEWALK_STORE_URL", None)


def _write(link: Link, told: Iterator[Made]) -> None:
    ((runs, series),) = link.raw("select (select max(number) from runs), (select max(id) from series)")
    number, serial = int(str(runs or 0)), int(str(series or 0))
    rows: dict[str, list[tuple[Value, ...]]] = {
        name: [] for name in ("runs", "series", "points", "latest", "run_params")
    }
    for run_id, start, metrics, params in told:
        number += 1
        started_us = start * 1000
        run = Run(
            number=number, id=run_id, experiment=0, name=f"run-{start}", kind="remote", state="finished", pipeline="",
            args="{}", code="", commit_sha="", branch="", author="", dirty=0, environment="", started_us=started_us,
            ended_us=started_us, error="", parent="", host="", boot="", pid=0, born=0, expires_us=0, fence=1,
            user_name="bench", source_name="", source_type="LOCAL", location="", heartbeat_seconds=0, deleted_us=None,
            reopened_us=None,
        )  # fmt: skip
        rows["runs"].append(tuple(getattr(run, field) for field in Run.__slots__))
        for key, value in enumerate(metrics):
            serial += 1
            rows["series"].append((serial, number, f"m{key}", ""))
            rows["points"].append((serial, start, 0, value, 0))
            rows["latest"].append((number, f"m{key}", "", 0, started_us, 0, start, value, 0))
        rows["run_params"] += [(number, f"p{key}", "", value, 0, started_us) for key, value in enumerate(params)]
    for table, several in rows.items():
        link.insert(table, COLUMNS[table], several)
    link.go_on_above("runs", "number")
    link.go_on_above("series", "id")
