"""Fills a project with many runs as clients log them: `python tests/console/seeded_runs.py FOLDER COUNT`."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import cast

from ropewalk.house import open_house
from ropewalk.runs import experiments
from ropewalk.runs.states import Run
from ropewalk.site import Site
from ropewalk.store.database import Value
from ropewalk.store.link import Link, Store

START_US = 1_760_000_000_000_000
EACH_US = 60_000_000
AT_ONCE = 5000
CURVED = 60
STEPS = 400
MODELS = ("forest", "boosted trees", "logistic", "mlp")
STATES = ("finished",) * 17 + ("failed", "cancelled", "interrupted")
METRICS = ("accuracy", "f1 score", "loss", "val/auc", "val/loss", "train/loss")
COLUMNS: dict[str, tuple[str, ...]] = {
    "runs": tuple(Run.__slots__),
    "series": ("id", "run", "key", "node"),
    "points": ("series", "at_ms", "step", "value", "is_nan"),
    "latest": ("run", "key", "node", "experiment", "started_us", "step", "at_ms", "value", "is_nan"),
    "run_params": ("run", "key", "node", "value", "experiment", "started_us"),
    "run_tags": ("run", "key", "node", "value", "experiment", "started_us"),
}
NAMES = ("flights late", "churn", "fraud nightly")


def a_run(number: int, home: experiments.Experiment, state: str) -> Run:
    """Return a run as a client's looks that has ended, or still goes on."""
    started_us = START_US + number * EACH_US
    run_id = f"{number + 0x0199000000000000000000000000:032x}"
    return Run(
        number=0, id=run_id, experiment=home.id, name=f"{MODELS[number % 4].split()[0]}-{number}", kind="remote",
        state=state, pipeline="", args="{}", code="", commit_sha=f"{number * 7919:040x}", branch="main", author="",
        dirty=int(number % 5 == 0), environment="", started_us=started_us,
        ended_us=None if state == "running" else started_us + 45_300_000 + number % 977 * 10_000, error="",
        parent="", host="", boot="", pid=0, born=0, expires_us=0, fence=1, user_name=("ann", "bo", "chris")[number % 3],
        source_name="train.py", source_type="LOCAL", location=f"{home.location}/{run_id}/artifacts",
        heartbeat_seconds=0, deleted_us=started_us if number % 500 == 3 else None, reopened_us=None,
    )  # fmt: skip


def values_of(number: int) -> dict[str, float]:
    """Return a run's newest metrics; the older a run, the worse."""
    chance = random.Random(number)
    good = 0.95 - 0.4 * math.exp(-number / 3000) * chance.random()
    worth = (good, good - 0.03, 1 - good, good - 0.01, 1.1 - good, 1.02 - good)
    return {key: value for key, value in zip(METRICS, worth, strict=True) if number % 40 or key != "f1 score"}


def seed(site: Site, count: int) -> None:
    """Write so many runs into three experiments, the newest sixty with whole curves.

    Row by row into the tables, as a copy of a store is written: what clients log one by one takes minutes.
    """
    homes = site.db.write(lambda tx: [experiments.create(tx, site, name) for name in NAMES])
    link = cast("Store", site.db).link()
    try:
        for first in range(0, count, AT_ONCE):
            link.begin()
            write(link, range(first, min(count, first + AT_ONCE)), homes, curved_from=count - CURVED)
            link.commit()
    finally:
        link.close()


def write(link: Link, numbers: range, homes: list[experiments.Experiment], *, curved_from: int) -> None:
    """Write runs with what they logged; of those with curves every twentieth still goes on."""
    ((runs, series),) = link.raw("select (select max(number) from runs), (select max(id) from series)")
    serial = int(str(series or 0))
    rows: dict[str, list[tuple[Value, ...]]] = {table: [] for table in COLUMNS}
    for row, number in enumerate(numbers, int(str(runs or 0)) + 1):
        chance = random.Random(number)
        # Most runs stand in one experiment, as in life.
        home = homes[0 if number % 10 < 8 else number % 3]
        curved = number >= curved_from
        state = "running" if curved and number % 20 == 0 else STATES[number % len(STATES)]
        run = replace(a_run(number, home, state), number=row)
        params = {
            "model": MODELS[number % 4],
            "depth": str(2 + number % 9),
            "lr": f"{10 ** -(1 + chance.random() * 3):.5f}",
            "seed": str(number),
        }
        tags = {"team": ("vision", "ops")[number % 2], "mlflow.user": run.user_name, "mlflow.source.name": "train.py"}
        rows["runs"].append(tuple(getattr(run, field) for field in Run.__slots__))
        for table, texts in (("run_params", params), ("run_tags", tags)):
            rows[table] += [(row, key, "", value, home.id, run.started_us) for key, value in texts.items()]
        at_ms = run.started_us // 1000 + STEPS * 100
        for key, value in values_of(number).items():
            rows["latest"].append((row, key, "", home.id, run.started_us, STEPS - 1, at_ms, value, 0))
            if curved:
                serial += 1
                rows["series"].append((serial, row, key, ""))
                rows["points"] += [(serial, *point, 0) for point in curve(run, value, chance)]
    for table, several in rows.items():
        link.insert(table, COLUMNS[table], several)
    link.go_on_above("runs", "number")
    link.go_on_above("series", "id")


def curve(run: Run, end: float, chance: random.Random) -> Iterator[tuple[int, int, float]]:
    """Yield time, step and value of a metric that comes near its end, noisily."""
    for step in range(STEPS):
        noise = (chance.random() - 0.5) * 0.1 * math.exp(-step / 150) if step < STEPS - 1 else 0
        value = end + (0.5 - end) * math.exp(-step / 60) + noise
        yield run.started_us // 1000 + step * 100, step, value


if __name__ == "__main__":
    root = Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True)
    (root / "ropewalk.toml").write_text('name = "lab"\ngoal = "Find the model that says which flights are late."\n')
    with open_house(root) as house:
        seed(house.site, int(sys.argv[2]))
