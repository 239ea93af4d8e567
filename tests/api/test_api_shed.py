"""While more writes wait than can be done in time, another one is turned away before anything of it is looked at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.asked import Asked, bearer, person
from ropewalk.access.roles import Grant
from ropewalk.api.mlflow import room
from ropewalk.site import Site

WRITE = "/api/2.0/mlflow/runs/log-metric"
BY_NAME = ("x-mlflow-workspace", "default")


@pytest.fixture
def full(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """A server that asks who calls, and whose writer has more to do than it can."""
    server = Asked(site, enabled=True)
    monkeypatch.setattr(room, "WRITES_WAITING_MAX", 0)
    yield server
    server.close()


def test_a_write_is_turned_away_before_it_is_asked_whose_it_is(full: Asked) -> None:
    answer = full.ask("POST", WRITE, body=b"{}")

    assert answer.status == 429
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["error_code"] == "REQUEST_LIMIT_EXCEEDED"
    assert int(answer.headers["content-length"]) == len(answer.body)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/api/2.0/mlflow/runs/get"), ("GET", "/api/v1/runs"), ("PUT", WRITE), ("POST", "/v1/nothing")],
)
def test_everything_else_is_asked_as_ever(full: Asked, method: str, path: str) -> None:
    assert full.ask(method, path).status == 401


def test_a_workspace_has_room_of_its_own(full: Asked) -> None:
    assert full.ask("POST", WRITE, headers=[BY_NAME], body=b"{}").status == 401


def test_once_there_is_room_all_is_as_before(site: Site, full: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    token = person(site, "ann", Grant(role="developer", environment="dev"))
    refused = full.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": "a"}, authorization=bearer(token))

    monkeypatch.setattr(room, "WRITES_WAITING_MAX", 1024)
    taken = full.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": "a"}, authorization=bearer(token))

    assert (refused.status, taken.status) == (429, 200)
