"""Fills a project with many runs as clients log them: `python tests/console/seeded_runs.py FOLDER COUNT`."""

from __future__ import annotations

import math
import random
import sys
from collections.abc import Iterator
from pathlib import Path

from ropewalk.house import open_house
from ropewalk.runs import experiments
from ropewalk.runs.states import Run
from ropewalk.site import Site
from ropewalk.store.database import Transaction

START_US = 1_760_000_000_000_000
EACH_US = 60_000_000
AT_ONCE = 5000
CURVED = 60
STEPS = 400
MODELS = ("forest", "boosted trees", "logistic", "mlp")
STATES = ("finished",) * 17 + ("failed", "cancelled", "interrupted")
METRICS = ("accuracy", "f1 score", "loss", "val/auc", "val/loss", "train/loss")
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


def write(tx: Transaction, number: int, home: experiments.Experiment, *, curved: bool) -> None:
    """Write one run with what it logged."""
    chance = random.Random(number)
    run = a_run(number, home, "running" if curved and number % 20 == 0 else STATES[number % len(STATES)])
    row = {field: getattr(run, field) for field in Run.__slots__ if field != "number"}
    own = {"run": tx.value("runs.insert", **row), "node": "", "experiment": home.id, "started_us": run.started_us}
    params = {
        "model": MODELS[number % 4],
        "depth": str(2 + number % 9),
        "lr": f"{10 ** -(1 + chance.random() * 3):.5f}",
        "seed": str(number),
    }
    tags = {"team": ("vision", "ops")[number % 2], "mlflow.user": run.user_name, "mlflow.source.name": "train.py"}
    tx.many("runs.param", [{**own, "key": key, "value": value} for key, value in params.items()])
    tx.many("runs.tag", [{**own, "key": key, "value": value} for key, value in tags.items()])
    newest = {"step": STEPS - 1, "at_ms": run.started_us // 1000 + STEPS * 100, "is_nan": 0}
    tx.many("runs.latest", [{**own, **newest, "key": key, "value": value} for key, value in values_of(number).items()])
    if curved:
        for key, value in values_of(number).items():
            series = tx.value("runs.series_insert", run=own["run"], key=key, node="")
            tx.many("runs.point", [{"series": series, **point} for point in curve(run, value, chance)])


def curve(run: Run, end: float, chance: random.Random) -> Iterator[dict[str, float]]:
    """Yield the points of a metric that comes near its end, noisily."""
    for step in range(STEPS):
        noise = (chance.random() - 0.5) * 0.1 * math.exp(-step / 150) if step < STEPS - 1 else 0
        value = end + (0.5 - end) * math.exp(-step / 60) + noise
        yield {"step": step, "at_ms": run.started_us // 1000 + step * 100, "value": value, "is_nan": 0}


def seed(site: Site, count: int) -> None:
    """Write so many runs into three experiments, the newest sixty with whole curves."""
    homes = site.db.write(lambda tx: [experiments.create(tx, site, name) for name in NAMES])
    for first in range(0, count, AT_ONCE):
        last = min(count, first + AT_ONCE)

        def work(tx: Transaction, first: int = first, last: int = last) -> None:
            for number in range(first, last):
                # Most runs stand in one experiment, as in life.
                write(tx, number, homes[0 if number % 10 < 8 else number % 3], curved=number >= count - CURVED)

        site.db.write(work)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    root.mkdir(parents=True, exist_ok=True)
    (root / "ropewalk.toml").write_text('name = "lab"\ngoal = "Find the model that says which flights are late."\n')
    with open_house(root) as house:
        seed(house.site, int(sys.argv[2]))
