"""What the champion did before a rollout, from its newest rows."""

from __future__ import annotations

import math

import polars as pl
import pytest

from observations.captured import ENDPOINT, capture, make_release, set_traffic
from ropewalk.models.manifest import Manifest, read_manifest
from ropewalk.observations import baseline, labels, reports
from ropewalk.observations.baseline import bin_of, said
from ropewalk.releases import release as releases
from ropewalk.releases.design import Baseline
from ropewalk.settings import Canary
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

PLAN = Canary(metric="revenue", latency_quantile=0.9, latency_ratio=2.0, latency_floor_ms=1.0)


@pytest.fixture
def champion(site: Site) -> str:
    name = make_release(site)
    set_traffic(site, name)
    return name


def test_a_champion_that_has_answered_nobody_says_nothing(site: Site, clock: SetClock, champion: str) -> None:
    assert baseline.read(site, ENDPOINT, champion, PLAN) == Baseline()

    clock.advance(1)
    capture(site, make_release(site), 50)

    assert baseline.read(site, ENDPOINT, champion, PLAN) == Baseline()


def test_rates_are_those_of_its_rows_and_of_nobody_else_s(site: Site, clock: SetClock, champion: str) -> None:
    status = ["ok"] * 90 + ["error"] * 4 + ["timeout"] + ["invalid_output"] * 5
    latency = [1000] * 80 + [4000] * 10 + [9000] * 10
    ids: list[str] = []
    for _ in range(3):
        ids += capture(site, champion, 100, status=status, latency_us=latency)
        clock.advance(50)
    clock.advance(1)
    capture(site, make_release(site), 100, status="error")
    capture(site, champion, 40, role="asked", status="error")

    found = baseline.read(site, ENDPOINT, champion, PLAN)

    assert (found.rows, found.per_second) == (300, 3.0)
    assert (found.errors, found.invalid) == (0.05, 0.05)
    # Nine in ten of the answered rows take up to 4 ms; twice that is slow.
    assert (found.slow_from_us, found.slow) == (8000.0, 0.0)
    assert (found.labelled, found.loss_deviation, found.reported, found.metric_deviation) == (0.0, 0.0, 0.0, 0.0)


def test_labels_and_reports_give_their_share_and_how_much_they_differ(
    site: Site, clock: SetClock, champion: str
) -> None:
    ids = capture(site, champion, 100, probability=0.5)
    told = [(one, True, clock.now_us()) for one in ids[:20]]
    money = [
        reports.Report(prediction=one, metric=metric, value=value, known_us=clock.now_us())
        for metric in ("revenue", "other")
        for one, value in zip(ids[:10], [1.0, 3.0] * 5, strict=True)
    ]
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, told))
    site.db.write(lambda tx: reports.add(tx, site, ENDPOINT, money))

    found = baseline.read(site, ENDPOINT, champion, PLAN)

    assert (found.labelled, found.loss_deviation) == (0.2, 0.0)
    assert (found.reported, found.metric_deviation) == (0.1, pytest.approx(math.sqrt(10 / 9)))
    assert baseline.read(site, ENDPOINT, champion, Canary()).reported == 0.0


@pytest.mark.parametrize("rows", [199, 400])
def test_outputs_are_laid_into_bins_where_there_are_enough(site: Site, champion: str, rows: int) -> None:
    capture(site, champion, rows, probability=[at % 10 / 10 for at in range(rows)])

    found = baseline.read(site, ENDPOINT, champion, PLAN)

    assert found.edges == (() if rows < 200 else pytest.approx([step / 10 for step in range(1, 10)]))
    assert found.outputs == (() if rows < 200 else pytest.approx([0.1] * 10))


def test_outputs_that_are_all_alike_have_no_bins(site: Site, champion: str) -> None:
    capture(site, champion, 300, probability=0.25)

    found = baseline.read(site, ENDPOINT, champion, PLAN)

    assert (found.edges, found.outputs) == ((), ())


def manifest_of(site: Site, task: str) -> Manifest:
    with site.db.read() as reader:
        return read_manifest(site.blobs, releases.get(reader, make_release(site, task=task)).manifest)


def test_what_a_model_says_is_a_number_whatever_its_task(site: Site, clock: SetClock) -> None:
    many = pl.DataFrame(
        {"out.probability.a": [0.1, 0.7], "out.probability.b": [0.6, 0.2], "out.probability.c": [0.3, 0.1]}
    )
    one = pl.DataFrame({"out.prediction": ["2.5", "x"]})

    def spoken(rows: pl.DataFrame, task: str) -> list[float | None]:
        clock.advance(1)
        return rows.select(said(rows.columns, manifest_of(site, task)).alias("said")).to_series().to_list()

    assert spoken(many, "multiclass") == [1.0, 0.0]
    assert spoken(one, "regression") == [2.5, None]
    assert spoken(pl.DataFrame({"other": [1]}), "binary") == [None]


def test_a_value_lies_in_the_bin_above_every_edge_that_it_reaches() -> None:
    assert bin_of(pl.Series([0.0, 0.2, 0.3, 0.8, 9.0]), (0.2, 0.8)).to_list() == [0, 1, 1, 2, 2]
