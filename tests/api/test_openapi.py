"""The document holds every route, and nothing that it allows or forbids makes the server fail."""

from __future__ import annotations

import json
import math
import os
import re
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

from api.asked import Asked
from ropewalk.api.mlflow.server import NOT_OFFERED
from ropewalk.api.mlflow.table import ROUTES
from ropewalk.api.native import DOORS
from ropewalk.endpoints.server import address_of, listen, make
from ropewalk.site import Site

CASES = int(os.environ.get("ROPEWALK_CASES", "2"))
OFFERED = [route for route in ROUTES if not route.path.startswith(tuple(f"/mlflow/{name}" for name in NOT_OFFERED))]
HUGE = "[" * 100_000
BAD = {
    "deep": HUGE.encode(),
    "deep object": b'{"a":' * 100_000,
    "not UTF-8": b"\xff",
    "cut off": b'{"name": "x',
    "not a struct": b"[1]",
    "nothing at all": b"null",
    "a number": b"1e999999",
    "NaN": b'{"name": NaN}',
    "a NUL": b'{"name": "a\\u0000b", "run_id": "a\\u0000b", "key": "\\u0000"}',
    "half a surrogate": b'{"name": "\\ud800", "run_id": "\\udfff"}',
}


@pytest.fixture
def asked(site: Site) -> Iterator[Asked]:
    server = Asked(site)
    yield server
    server.close()


@pytest.fixture
def url(site: Site) -> Iterator[str]:
    """The server on a real socket."""
    server = Asked(site)
    server.close()
    with listen("127.0.0.1", 0) as listener:
        running = make(server.app, drain_seconds_max=5)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            while not running.started:
                assert thread.is_alive()
                threading.Event().wait(0.02)
            yield address_of(listener)
        finally:
            running.should_exit = True
            thread.join(30)
            assert not thread.is_alive()


def plain(path: str) -> str:
    return re.sub(r":\w+}", "}", path)


def test_every_route_is_in_the_document_with_what_it_takes_gives_and_wants(asked: Asked) -> None:
    document = asked.ask("GET", "/openapi.json").json()

    assert document["openapi"] == "3.1.0"
    assert "/login" in document["paths"]
    for route in (*OFFERED, *DOORS):
        paths = [plain(door) for door in (route.paths() if hasattr(route, "paths") else [route.path])]
        for path in paths:
            if not path.startswith("/ajax-api/"):
                operation = document["paths"][path][route.method.lower()]
                assert operation["x-action"] == route.action
                assert operation["summary"]
                status = getattr(route, "status", 200)
                assert ("content" in operation["responses"][str(status)]) is (status != 204)
                named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
                assert named == set(re.findall(r"{(\w+)}", path))


def test_the_document_refers_to_nothing_that_it_does_not_hold_and_holds_nothing_unused(asked: Asked) -> None:
    document = asked.ask("GET", "/openapi.json").json()
    told = json.dumps(document)

    assert set(re.findall(r'"#/components/schemas/([^"]+)"', told)) == set(document["components"]["schemas"])
    names = [one["operationId"] for path in document["paths"].values() for one in path.values() if "operationId" in one]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_body_that_is_nonsense_is_refused_by_every_route_in_words(asked: Asked, bad: str) -> None:
    wrong = []
    for route in (*OFFERED, *DOORS):
        if route.method == "GET" or route.body is None:
            continue
        path = re.sub(r"{[^}]+}", "x", route.paths()[0] if hasattr(route, "paths") else route.path)
        started = time.process_time()
        answer = asked.ask(route.method, path, BAD[bad], content_type="application/json")
        if not 400 <= answer.status < 500 or time.process_time() - started > 1:
            wrong.append((route.method, path, answer.status, answer.body[:200]))
        elif not {"code", "error_code"} & set(answer.json()):
            wrong.append((route.method, path, "no code", answer.body[:200]))

    assert wrong == []


@pytest.mark.parametrize(
    "value",
    [
        "2**70",
        "-2**70",
        "1e308*10",
        "nul",
        "x" * 100_000,
        "' or 1=1 --",
        "../../etc/passwd",
        "$(id)",
        "{{7*7}}",
        "%00",
        "",
    ],
    ids=lambda value: value[:20],
)
def test_one_strange_value_in_every_field_of_every_route_is_no_failure(asked: Asked, value: str) -> None:
    strange: Any = {"2**70": 2**70, "-2**70": -(2**70), "1e308*10": math.inf, "nul": "a\0b"}.get(value, value)
    text = json.dumps(strange).replace("Infinity", "1e999")
    wrong = []
    for route in (*OFFERED, *DOORS):
        if route.body is None:
            continue
        free = route.body is dict  # what a webhook sends has the names that its sender gives
        names = ["any"] if free else [one.encode_name for one in msgspec.structs.fields(route.body)]
        path = re.sub(r"{[^}]+}", "x", route.paths()[0] if hasattr(route, "paths") else route.path)
        whole = "{" + ", ".join(f"{json.dumps(name)}: {text}" for name in names) + "}"
        for body in (whole, *(f"{{{json.dumps(name)}: {text}}}" for name in names)):
            if route.method == "GET":
                continue
            answer = asked.ask(route.method, path, body.encode(), content_type="application/json")
            if answer.status >= 500 and answer.status != 501:
                wrong.append((route.method, path, body[:80], answer.status, answer.body[:200]))

    assert wrong == []


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@pytest.mark.no_cover  # many repetitions of what other tests have counted already
@pytest.mark.slow
@pytest.mark.fault
@pytest.mark.timeout(1800)
def test_nothing_that_its_own_description_allows_or_forbids_makes_it_fail(url: str) -> None:
    schema = schemathesis.openapi.from_url(f"{url}/openapi.json")
    schema.config.update(base_url=url)
    statuses: set[int] = set()
    operations = [one.ok() for one in schema.get_all_operations()]

    untried = []
    for operation in operations:
        seen = tried(operation, GenerationMode.POSITIVE) | tried(operation, GenerationMode.NEGATIVE)
        statuses |= seen
        if not seen:
            untried.append(operation.label)

    assert len(operations) >= len(OFFERED)
    assert untried == []
    assert {200, 400, 404} <= statuses


def tried(operation: Any, mode: GenerationMode) -> set[int]:
    """Send what the strategy draws; return the statuses, none of which is a failure."""
    seen: set[int] = set()
    cases: st.SearchStrategy[schemathesis.Case] = operation.as_strategy(generation_mode=mode)

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=cases)
    def once(case: schemathesis.Case) -> None:
        response = case.call(timeout=20)
        seen.add(response.status_code)
        assert response.status_code < 500 or response.status_code == 501, (
            case.as_curl_command()[:2000],
            response.content[:500],
        )
        if response.status_code >= 400 and case.method != "HEAD":
            assert response.content, (response.status_code, response.headers, case.as_curl_command()[:2000])
            assert {"code", "error_code"} & set(json.loads(response.content)), case.as_curl_command()[:2000]

    with suppress(Unsatisfiable):  # nothing of this operation can be wrong
        once()
    return seen
