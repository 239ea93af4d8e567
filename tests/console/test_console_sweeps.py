"""A sweep's page: before the first trial, while they run, when they have ended, and what is drawn of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest
from starlette.applications import Starlette

from ropewalk import leases
from ropewalk.console.app import Console
from ropewalk.house import House
from ropewalk.runs.run import Run
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.sweeps import sweep as sweeps
from ropewalk.sweeps.drive import run_sweep
from ropewalk.sweeps.plan import Wanted, planned

PIPELINE = """
from ropewalk import log_metric, pipeline, step

@step
def fit(depth: int, kind: str):
    if depth == 5:
        raise ValueError("<b>five</b>")
    log_metric("loss", depth + len(kind))

@pipeline
def train(depth: int = 1, kind: str = "a"):
    fit(depth, kind)
"""


def page(site: Site, path: str) -> str:
    app = Starlette(routes=Console(House(site=site, settings=Settings(name="churn"))).routes())
    ask = httpx.ASGITransport(app=app)

    async def look() -> httpx.Response:
        async with httpx.AsyncClient(transport=ask, base_url="http://127.0.0.1") as client:
            return await client.get(path)

    answer = asyncio.run(look())
    assert answer.status_code == 200, answer.text
    return answer.text


@pytest.fixture
def asked(site: Site) -> Wanted:
    (site.root / "pipeline.py").write_text(PIPELINE)
    return Wanted(target="pipeline.py:train", words={"depth": "4,5,6", "kind": "a,<i>"}, goal="loss:min")


def begun(site: Site, asked: Wanted) -> Run:
    found = planned(site, asked)
    own = {"code": found.code, "environment": "", "lease": leases.take(site.clock.now_us(), 1), "args": found.trials}
    return site.db.write(lambda tx: sweeps.begin(tx, site, found.sweep, **own))[1]


def test_before_its_first_trial_has_ended_a_sweep_says_so(site, asked):
    run = begun(site, asked)
    with site.db.read() as rows:
        first = sweeps.trial(rows, run.id, 1)
    site.db.write(lambda tx: sweeps.move(tx, site, first, sweeps.RUNNING, run=run.id))

    shown = page(site, f"/runs/{run.id}")

    assert "grid, 6 trials: 5 waiting, 1 running" in shown
    assert "drawn here once" in shown
    assert f'data-live="/live/runs/{run.id}/trials" data-period="2000"' in shown
    assert '<svg class="parallel"' not in shown


def test_trials_are_drawn_listed_and_linked_to_their_runs_and_back(site, asked):
    sweep, run = run_sweep(site, planned(site, asked), on_begin=lambda *_: None, on_trial=lambda _: None)
    with site.db.read() as rows:
        trials = sweeps.page(rows, sweep.run_id)

    shown, live = page(site, f"/runs/{run.id}"), page(site, f"/live/runs/{run.id}/trials")

    for text in (shown, live):
        assert "grid, 6 trials: 4 done, 2 failed" in text
        assert text.count('class="strand"') == 4
        assert f'best: <a href="/runs/{trials[0].run}">trial 1</a>, loss 5' in text
        assert all(f'href="/runs/{one.run}">trial {one.number}<' in text for one in trials)
        assert "<b>five" not in text
        assert "<i>" not in text
    assert f'href="/runs/{run.id}">train-sweep-1' in page(site, f"/runs/{trials[3].run}")


def test_a_sweep_without_a_goal_lists_its_trials_and_other_runs_show_none(site, asked):
    without = replace(asked, goal="", words={"depth": "4"})
    sweep, run = run_sweep(site, planned(site, without), on_begin=lambda *_: None, on_trial=lambda _: None)
    with site.db.read() as rows:
        (only,) = sweeps.page(rows, sweep.run_id)

    assert "--goal METRIC:max" in page(site, f"/runs/{run.id}")
    assert 'id="trials"' not in page(site, f"/runs/{only.run}")
