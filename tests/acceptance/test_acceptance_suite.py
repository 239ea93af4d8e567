"""MLflow's own client, unmodified, works with our server: the suite that runs in `.venv-mlflow`, case by case."""

from __future__ import annotations

import fnmatch
import json
import os
import re
from pathlib import Path

import httpx
import pytest

from acceptance import notserved, stock
from ropewalk.api.mlflow import server as words
from ropewalk.api.mlflow.route import Route
from ropewalk.api.mlflow.table import ROUTES
from ropewalk.demo.server import Server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("acceptance"), pytest.mark.timeout(480)]
with_mlflow = pytest.mark.skipif(not stock.python("mlflow").exists(), reason="make stock makes .venv-mlflow")
with_torch = pytest.mark.skipif(
    os.environ.get("ROPEWALK_TEST_TORCH") != "1" or not stock.python("torch").exists(),
    reason="torch may be a download of gigabytes; ROPEWALK_TEST_TORCH=1 make test gets it and runs these",
)


@pytest.fixture(scope="module")
def told(tracked: Server, tmp_path_factory: pytest.TempPathFactory) -> stock.Told:
    """What the suite told of each of its cases."""
    folder: Path = tmp_path_factory.mktemp("acceptance")
    return stock.run_suite("mlflow", tracked.url, folder, 450)


@pytest.fixture(scope="module")
def told_of_torch(tracked: Server, tmp_path_factory: pytest.TempPathFactory) -> stock.Told:
    """What PyTorch's part told."""
    folder: Path = tmp_path_factory.mktemp("torch")
    return stock.run_suite("torch", tracked.url, folder, 300)


def passed(found: stock.Told, name: str) -> None:
    runs = found.cases.get(name, [])
    failed = "\n\n".join(f"{case.name}\n{case.words}" for case in runs if case.outcome == "failed")
    assert runs, f"the suite did not run {name}"
    assert failed == ""
    assert not [case for case in runs if case.outcome == "skipped"]


@with_mlflow
@pytest.mark.parametrize("name", stock.cases("mlflow"))
def test_the_stock_client_is_served(told, name):
    passed(told, name)


@with_torch
@pytest.mark.parametrize("name", stock.cases("torch"))
def test_pytorch_is_served(told_of_torch, name):
    passed(told_of_torch, name)


@with_mlflow
def test_the_suite_left_nothing_out(told):
    assert set(told.cases) == set(stock.cases("mlflow"))


@with_mlflow
def test_every_function_of_the_client_is_tried_or_named_as_not_offered(told):
    named = (*notserved.NOT_OFFERED, *notserved.LOCAL)
    missing = {one for one in told.offered - told.called if not any(fnmatch.fnmatchcase(one, each) for each in named)}

    assert missing == set(), (
        "new calls of MLflow's client: try them in tests/acceptance/suite, or name them in notserved"
    )
    assert [each for each in named if not fnmatch.filter(told.offered, each)] == [], "MLflow has these no more"


def shape(path: str) -> str:
    """Return a path with a star for each of its values."""
    return re.sub(r"[{<][^}>]*[}>]", "*", path)


def served(verb: str, path: str) -> Route | None:
    """Return the route that answers an address of the protocol's tables."""
    wanted = {f"/api/{version}{shape(path)}" for version in ("2.0", "3.0")}
    for route in ROUTES:
        for mine in route.paths():
            stem, rest, _ = mine.partition("/{rest:rest}")
            exact = not rest and shape(mine) in wanted
            if route.method == verb and (exact or (rest and any(one.startswith(f"{stem}/") for one in wanted))):
                return route
    return None


@with_mlflow
def test_every_address_of_the_protocol_is_served_or_answered_by_name(told, tracked):
    asked = [(verb, path) for service, _, verb, path in told.endpoints if service not in notserved.FOREIGN]
    routes = {f"{verb} {path}": served(verb, path) for verb, path in asked}
    without = {one for one, route in routes.items() if route is None}
    absent = [one for one, route in routes.items() if route is not None and route.work is words.absent]

    assert len(asked) > 180
    assert without == set(notserved.UNASKED), "new addresses: serve them, or name them in notserved"
    assert absent
    with httpx.Client(base_url=tracked.url, timeout=20) as web:
        for one in absent:
            verb, _, path = one.partition(" ")
            version = "3.0" if routes[one].versions == ("3.0",) else "2.0"
            answer = web.request(verb, f"/api/{version}{shape(path).replace('*', 'x')}")
            assert (answer.status_code, json.loads(answer.text)["error_code"]) == (501, "NOT_IMPLEMENTED"), one
            assert any(name in answer.json()["message"] for name in words.NOT_OFFERED), one
        for one in without:
            verb, _, path = one.partition(" ")
            assert web.request(verb, f"/api/2.0{path}").status_code == 404, one
