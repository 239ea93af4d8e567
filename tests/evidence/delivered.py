"""A small project that really ran, was shipped and answered: everything that `verify` looks at, made once a session."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from endpoints.live import serving
from ropewalk import house
from ropewalk.endpoints.runtime import COMMAND
from ropewalk.house import House, open_house
from ropewalk.models import registered, versions
from ropewalk.observations import alert, labels, reports

TOML = """
name = "flights"
goal = "say which flights land late"
owner = "ann@example.org"
pipeline = "pipeline.py:train"

[qa]
load_seconds = 0.2
p50_ms = 10000
p99_ms = 20000

[tests]
golden_rows = 20
"""
PIPELINE = '''
"""Fit a line through two numbers."""

import polars as pl
from sklearn.linear_model import LogisticRegression

from ropewalk import log_metric, log_model, pipeline, step


@step
def load(count: int) -> pl.DataFrame:
    """Return rows whose target follows both numbers."""
    hours = [float(place * 7 % 24) for place in range(count)]
    winds = [float(place * 11 % 40) for place in range(count)]
    late = [int(hour + wind * 0.4 + place % 5 > 20) for place, (hour, wind) in enumerate(zip(hours, winds))]
    return pl.DataFrame({"hour": hours, "wind": winds, "late": late})


@step
def fit(rows: pl.DataFrame) -> float:
    """Fit, score and log the model."""
    train, holdout = rows.head(300), rows.tail(100)
    model = LogisticRegression().fit(train.drop("late").to_numpy(), train["late"].to_numpy())
    share = float(model.score(holdout.drop("late").to_numpy(), holdout["late"].to_numpy()))
    log_metric("accuracy", share)
    log_model(model, "flights", train=train, holdout=holdout, target="late")
    return share


@pipeline
def train(count: int = 400) -> float:
    """Load and fit."""
    return fit(load(count))
'''
TEST = '''
"""The pipeline stands."""


def test_the_pipeline_is_there():
    import pipeline

    assert pipeline.train
'''


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What was made.

    Attributes:
        root: the project's folder; copy it before changing it.
        predictions: ids of all answered predictions, in the order they were asked.
        labelled: the one of them that has a label.
        run: name of the run.
        sha: its commit.
    """

    root: Path
    predictions: tuple[str, ...]
    labelled: str
    run: str
    sha: str


_MADE: list[Delivered] = []


def _git(root: Path, *words: str) -> str:
    name = ("-c", "user.name=ann", "-c", "user.email=ann@example.org")
    return subprocess.run(["git", *name, *words], cwd=root, check=True, capture_output=True, text=True).stdout.strip()


def _commit(root: Path) -> str:
    (root / "tests").mkdir(parents=True)
    for path, text in (("ropewalk.toml", TOML), ("pipeline.py", PIPELINE), ("tests/test_pipeline.py", TEST)):
        (root / path).write_text(text.lstrip())
    (root / ".gitignore").write_text(".ropewalk/\n")
    _git(root, "init", "-q", "-b", "main")
    _git(root, "add", "-A")
    _git(root, "commit", "-qm", "first")
    return _git(root, "rev-parse", "HEAD")


def delivered_once(tmp_path_factory: pytest.TempPathFactory) -> Delivered:
    """Return the session's project; the tests of the commands use the same one."""
    if not _MADE:
        _MADE.append(_deliver(tmp_path_factory.mktemp("delivered") / "project"))
    return _MADE[0]


def _deliver(root: Path) -> Delivered:
    """Run, ship, answer 1,100 predictions in pieces, tell what happened to one, alarm, name the model."""
    sha = _commit(root)
    with open_house(root) as open_:
        ran = house.run(open_, on_progress=lambda _: None).run
        released = house.ship(open_, on_progress=lambda _: None)
        assert released.state == "live"
        site = open_.site
        with serving(site, command=COMMAND) as caller:
            ids: list[str] = []
            for size, count in ((1, 10), (90, 1), (500, 2)):
                for _ in range(count):
                    rows = [{"hour": at * 0.37 % 24, "wind": at * 1.13 % 40} for at in range(len(ids), len(ids) + size)]
                    status, answer = caller.predict(*rows)
                    assert status == 200, answer
                    ids += [one["id"] for one in answer["predictions"]]
        now = site.clock.now_us()
        site.db.write(lambda tx: labels.add(tx, site, "flights", [(ids[3], 1, now)]))
        told = reports.Report(prediction=ids[3], metric="revenue", value=2.5, known_us=now)
        site.db.write(lambda tx: reports.add(tx, site, "flights", [told]))
        site.db.write(lambda tx: versions.set_alias(tx, site, "flights", "best", 1))
        site.db.write(lambda tx: registered.set_tag(tx, site, "flights", "team", "ops"))
        site.db.write(lambda tx: versions.set_tag(tx, site, "flights", 1, key="checked", value="by ann"))
        _alarm(open_)
    return Delivered(root=root, predictions=tuple(ids), labelled=ids[3], run=ran.name, sha=sha)


def _alarm(open_: House) -> None:
    site = open_.site
    evidence = site.blobs.put(b'{"looked":"at"}')
    for monitor in ("inputs", "losses"):
        opened = site.db.write(
            lambda tx, monitor=monitor: alert.open_alert(
                tx,
                site,
                endpoint="flights",
                monitor=monitor,
                kind="input",
                release="flights/1",
                retrain=True,
                window_us=5,
                reading=0.25,
                threshold=0.1,
                reason="hour has moved",
                evidence=evidence,
            )
        )
        assert opened is not None
        site.db.write(lambda tx, opened=opened: alert.note_run(tx, site, opened, "starting x"))
    site.db.write(lambda tx: alert.close(tx, site, opened.id, why="seen", evidence=evidence))


@contextmanager
def opened(root: Path) -> Iterator[House]:
    """Open a project for reading."""
    with open_house(root, create=False) as open_:
        yield open_
