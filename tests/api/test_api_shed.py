"""While more writes wait than can be done in time, another one is turned away before anything of it is looked at.

What is turned away by its first bytes: test_endpoints_admission.py and test_endpoints_rush.py in tests/endpoints.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.asked import Asked, bearer, person
from ropewalk.access.roles import Grant
from ropewalk.api import shed
from ropewalk.api.addressed import HEADER
from ropewalk.endpoints import admission
from ropewalk.endpoints.admission import PASSED
from ropewalk.site import Site

WRITE = "/api/2.0/mlflow/runs/log-metric"
BY_NAME = ("x-mlflow-workspace", "default")


@pytest.fixture
def full(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """A server that asks who calls, and whose writer has more to do than it can."""
    server = Asked(site, enabled=True)
    monkeypatch.setattr(admission, "INSIDE_MIN", 0)
    monkeypatch.setattr(admission, "INSIDE_MAX", 0)
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

    monkeypatch.setattr(admission, "INSIDE_MIN", 128)
    monkeypatch.setattr(admission, "INSIDE_MAX", 1024)
    taken = full.ask("POST", "/api/2.0/mlflow/experiments/create", {"name": "a"}, authorization=bearer(token))

    assert (refused.status, taken.status) == (429, 200)


@pytest.mark.parametrize("seconds", [1, shed.RETRY_SECONDS_MAX])
def test_the_answer_that_is_written_beforehand_says_what_the_other_says(full: Asked, seconds: int) -> None:
    whole = shed.refusal(seconds)
    said = full.ask("POST", WRITE, body=b"{}")

    head, _, body = whole.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    assert lines[0] == "HTTP/1.1 429 Too Many Requests"
    assert headers == {**said.headers, "retry-after": str(seconds), "content-length": str(len(body))}
    assert body == said.body.replace(b"after 1 s", b"after %d s" % seconds)


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("POST /api/2.0/mlflow/runs/log-metric", True),
        ("POST /ajax-api/2.0/mlflow/runs/log-batch", True),
        ("PATCH /api/2.0/mlflow/registered-models/update", True),
        ("POST /api/2.0/mlflow/runs/search", False),
        ("GET /health", False),
        ("POST /login", False),
    ],
)
def test_writes_of_the_servers_own_project_are_known_by_their_first_line(site: Site, line: str, known: bool) -> None:
    server = Asked(site)
    found = server.app.admission
    request = f"{line} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n".encode()

    assert (found.owed(request + b"\r\n") != PASSED) is known
    assert found.owed(request + HEADER + b": lab\r\n\r\n") == PASSED
    server.close()
