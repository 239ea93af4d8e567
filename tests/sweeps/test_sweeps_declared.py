"""`@pipeline(sweep=...)`: read from the source, tried without options, and whatever is typed goes before it."""

from __future__ import annotations

import json

import pytest

from ropewalk.cli import main

PIPELINE = """
from ropewalk import log_metric, pipeline, step

RATES = "rate=0.1,0.2"


@step
def fit(depth: int, rate: float):
    log_metric("loss", depth * rate)


@pipeline(MARK)
def train(depth: int = 1, rate: float = 0.5):
    fit(depth, rate)
"""


@pytest.fixture
def planned(tmp_path, capsys):
    """Plan what a mark and typed words come to; return the status and the answer."""

    def plan(mark: str, *typed: str) -> dict:
        (tmp_path / "pipeline.py").write_text(PIPELINE.replace("MARK", mark))
        status = main(["--project", str(tmp_path), "--json", "sweep", *typed, "--dry-run"])
        answer = json.loads(capsys.readouterr().out)
        assert answer["ok"] is (status == 0)
        return answer

    return plan


@pytest.mark.parametrize(
    ("mark", "typed", "method", "trials"),
    [
        ('sweep="depth=1,2 rate=0.1"', (), "grid", [{"depth": "1", "rate": "0.1"}, {"depth": "2", "rate": "0.1"}]),
        ('sweep=["depth=1,2", RATES, "--random", "1"]', (), "random", 1),
        ('sweep="depth=1..9 --random 4 --seed 2"', ("--random", "2"), "random", 2),
        ('sweep="depth=1..9 --random 4"', ("--grid",), "grid", 9),
        ('sweep="depth=1,2 rate=0.1"', ("depth=7",), "grid", [{"depth": "7", "rate": "0.1"}]),
        ('sweep="depth=1,2"', ("pipeline.py:train", "rate=0.3"), "grid", 2),
    ],
)
def test_what_is_declared_is_tried_and_what_is_typed_goes_before_it(planned, mark, typed, method, trials):
    result = planned(mark, *typed)["result"]

    assert result["method"] == method
    assert result["count"] == (trials if isinstance(trials, int) else len(trials))
    assert isinstance(trials, int) or result["trials"] == trials


@pytest.mark.parametrize(
    ("mark", "code"),
    [
        ("sweep=RATES + ''", "sweep-unreadable"),
        ("sweep=3", "sweep-unreadable"),
        ('sweep="depth=\'1"', "sweep-unreadable"),
        ('sweep="depth=1 --nonsense"', "usage"),
        ('sweep="other.py:train depth=1"', "usage"),
        ('sweep="deep=1"', "argument-unknown"),
        ('schedule="every 1h"', "usage"),
    ],
)
def test_what_cannot_be_read_is_said(planned, mark, code):
    answer = planned(mark)

    assert answer["error"]["code"] == code, answer
