"""A business metric over HTTP: kept once for each prediction, revised by what is known later, refused in words."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ropewalk.refs import uuid7

if TYPE_CHECKING:
    from ropewalk.demo.server import Server

PLACE = "/endpoints/churn/reports"
MADE_US = 1_893_450_000_000_000
EARLY, LATE = "2030-01-01T00:00:00Z", "2030-01-02T00:00:00Z"


@pytest.fixture
def web(served: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=20) as client:
        yield client


def told(**more: object) -> dict[str, Any]:
    return {"id": uuid7(MADE_US), "metric": "revenue", "value": 12.5, "time": EARLY, **more}


def counts(answer: httpx.Response) -> tuple[int, int, int]:
    assert answer.status_code == 200, answer.text
    found = answer.json()
    return found["new"], found["revised"], found["repeated"]


def test_a_report_is_kept_once_and_what_is_known_later_wins(web: httpx.Client) -> None:
    first = told()

    assert counts(web.post(PLACE, json={"reports": [first]})) == (1, 0, 0)
    assert counts(web.post(PLACE, json={"reports": [first]})) == (0, 0, 1)
    assert counts(web.post(PLACE, json={"reports": [{**first, "value": 9.0, "time": LATE}]})) == (0, 1, 0)
    assert counts(web.post(PLACE, json={"reports": [{**first, "value": 3.0}]})) == (0, 0, 1)
    assert counts(web.post(PLACE, json={"reports": [{**first, "metric": "clicks"}]})) == (1, 0, 0)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"id": "x"}, "report-malformed"),
        ({"metric": "of course"}, "report-malformed"),
        ({"time": "noon"}, "report-malformed"),
        ({"value": "much"}, "request-malformed"),
        ({"colour": "red"}, "request-malformed"),
    ],
)
def test_one_wrong_report_keeps_the_whole_batch_out(web: httpx.Client, more: dict[str, object], code: str) -> None:
    good = told()

    refused = web.post(PLACE, json={"reports": [good, told(**more)]})

    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert counts(web.post(PLACE, json={"reports": [good]})) == (1, 0, 0)


def test_nobody_has_no_reports_and_a_first_release_no_canary(web: httpx.Client) -> None:
    nobody = web.post("/endpoints/nobody/reports", json={"reports": [told()]})
    canary = web.get("/api/v1/releases/churn/1/canary")

    assert (nobody.status_code, nobody.json()["code"]) == (404, "endpoint-not-found")
    assert (canary.status_code, canary.json()["code"]) == (404, "canary-not-found")
