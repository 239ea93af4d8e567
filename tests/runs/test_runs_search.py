"""Runs are found by what they logged and what they are, newest first, page by page."""

import math

import pytest

from ropewalk.errors import Invalid
from ropewalk.runs import run as runs
from ropewalk.runs.search import search, summarize


def metric(key, value, step=0):
    return {"kind": "metric", "key": key, "value": value, "step": step}


def param(key, value):
    return {"kind": "param", "key": key, "value": value}


@pytest.fixture
def three(site, begin, log):
    low, high, strange = begin(name="low"), begin(name="high", pipeline="other.py:fit"), begin(name="strange")
    log(low, metric("auc", 0.5), param("depth", "6"), {"kind": "tag", "key": "team", "value": "ops"})
    log(high, metric("auc", 0.9), metric("auc", 0.7, step=1), param("depth", "8"), metric("val/loss", 2))
    log(strange, metric("auc", math.nan), param("depth", "it's 8"), param("a b", "x"))
    site.db.write(lambda tx: runs.move(tx, site, high.id, runs.FINISHED, fence=1))
    return low, high, strange


def names(site, text, **more):
    with site.db.read() as rows:
        return [run.name for run in search(rows, text, **more).runs]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["strange", "high", "low"]),
        ("  ", ["strange", "high", "low"]),
        ("metrics.auc > 0.5", ["high"]),
        ("metrics.auc >= 0.5", ["high", "low"]),
        ("metrics.auc = 0.7", ["high"]),
        ("metrics.auc == .7", ["high"]),
        ("metrics.auc < 0.7", ["low"]),
        ("metrics.auc <= 7e-1", ["high", "low"]),
        ("metrics.auc != 0.7", ["strange", "low"]),
        ("metrics.auc > -1 and metrics.auc < 1", ["high", "low"]),
        ("metrics.none > 0", []),
        ("metrics.none != 0", []),
        ("metrics.`val/loss` = 2", ["high"]),
        ("metrics.val/loss = 2", ["high"]),
        ("params.depth = '8'", ["high"]),
        ("params.depth IS NULL", []),
        ("tags.team IS NOT NULL", ["low"]),
        ("params.depth != '8'", ["strange", "low"]),
        ("params.depth like '%8'", ["strange", "high"]),
        ('params.depth = "it\'s 8"', ["strange"]),
        ("params.depth = 'it\\'s 8'", ["strange"]),
        ('params."a b" = "x"', ["strange"]),
        ("tags.team = 'ops'", ["low"]),
        ("state = 'finished'", ["high"]),
        ("state != 'finished'", ["strange", "low"]),
        ("run.pipeline LIKE 'other%'", ["high"]),
        ("name = 'low' AND metrics.auc = 0.5", ["low"]),
        ("name = 'low' and metrics.auc = 0.7", []),
        ("attributes.commit = ''", ["strange", "high", "low"]),
        ("attributes.status = 'RUNNING'", ["strange", "low"]),
        ("status != 'RUNNING'", ["high"]),
        ("attributes.`Run name` ILIKE 'HI%'", ["high"]),
        ("run_id IN ('x', 'y')", []),
        ("start_time > 0 and end_time > 0", ["high"]),
        ("experiment = 'Default'", ["strange", "high", "low"]),
        ("experiment = 'other'", []),
    ],
)
def test_a_filter_finds_the_runs_that_it_says(site, three, text, expected):
    assert names(site, text) == expected


@pytest.mark.parametrize("text", ["speed > 3", "params.depth = 8", "lease = 'x'", "what.auc > 3"])
def test_a_filter_that_is_not_understood_is_refused(site, text):
    with pytest.raises(Invalid) as caught:
        names(site, text)

    assert caught.value.code == "filter-invalid"
    assert "metrics.auc" in caught.value.fix


def test_pages_give_every_run_once_even_while_new_ones_start(site, begin, log):
    made = [begin() for _ in range(7)]
    for place, run in enumerate(made):
        log(run, metric("n", place))

    for text in ("", "metrics.n >= 0", "state = 'running'"):
        found, token = [], ""
        while True:
            with site.db.read() as rows:
                page = search(rows, text, count=3, token=token)
            found += [run.id for run in page.runs]
            token = page.token
            begin()
            if not token:
                break
        assert found[-7:] == [run.id for run in reversed(made)]
        assert len(set(found)) == len(found)


def test_the_last_full_page_has_no_token(site, begin):
    for _ in range(4):
        begin()

    with site.db.read() as rows:
        first = search(rows, count=2)
        last = search(rows, count=2, token=first.token)

    assert first.token
    assert not last.token
    assert len(last.runs) == 2


@pytest.mark.parametrize("token", ["x", "bm9uZQ==", "W10=", "\x00", "é"])
def test_a_foreign_token_is_refused(site, token):
    with site.db.read() as rows, pytest.raises(Invalid) as caught:
        search(rows, token=token)

    assert caught.value.code == "token-invalid"


def test_a_token_belongs_to_its_filter(site, begin):
    begin(), begin()
    with site.db.read() as rows:
        token = search(rows, count=1).token

        with pytest.raises(Invalid, match="token"):
            search(rows, "state = 'running'", token=token)


def test_a_summary_names_the_step_where_several_use_a_name(site, begin, log):
    run = begin()
    log(run, param("depth", "6"), param("lr", "0.1"), node="a")
    log(run, param("depth", "8"), metric("auc", 1), {"kind": "tag", "key": "t", "value": "v"}, node="b")

    with site.db.read() as rows:
        found = summarize(rows, run)

    assert found.params == {"depth [a]": "6", "depth [b]": "8", "lr": "0.1"}
    assert found.tags == {"t": "v"}
    assert [point.key for point in found.metrics] == ["auc"]
