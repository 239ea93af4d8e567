"""The course of a canary's evidence stays small, ends with the newest look and has a point for each number of rows."""

from __future__ import annotations

import json
from itertools import pairwise

from ropewalk.releases.course import POINTS_MAX, extend
from ropewalk.releases.tally import Arm, Evidence, Stratum
from ropewalk.releases.verdict import verdict
from ropewalk.settings import Canary

PLAN = Canary(wait_labels=True)


def at(rows: int, errors: int = 0) -> Evidence:
    canary = Arm(rows=rows, errors=errors, error_units=errors)
    return Evidence(strata=(Stratum(share=0.1, champion=Arm(rows=9 * rows), canary=canary),))


def grown(looks: list[Evidence]) -> list[dict]:
    course: list[dict] = []
    for look in looks:
        course = extend(course, look, verdict(PLAN, look, step=0))
    return course


def test_each_look_at_more_rows_is_a_point_with_every_signal_that_says_something() -> None:
    course = grown([at(50), at(100, 3), at(100, 4)])

    assert [point["rows"] for point in course] == [50, 100]
    assert course[-1]["signals"].keys() == {"errors", "invalid", "latency"}
    errors = course[-1]["signals"]["errors"]
    assert errors["low"] < errors["reading"] == 0.04 < errors["high"]
    assert course[-1]["e_value"] > course[0]["e_value"]
    assert json.loads(json.dumps(course)) == course


def test_many_looks_are_thinned_from_first_to_last() -> None:
    course = grown([at(rows) for rows in range(1, 1001)])

    assert len(course) <= POINTS_MAX
    assert [course[0]["rows"], course[-1]["rows"]] == [1, 1000]
    assert max(b["rows"] - a["rows"] for a, b in pairwise(course)) <= 64
