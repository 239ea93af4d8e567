"""The native routes answer from a real server, refuse what is wrong in words, and are all in the OpenAPI document."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ropewalk.api.native import DOORS

if TYPE_CHECKING:
    from ropewalk.demo.server import Server


@pytest.fixture
def web(served: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=served.url, timeout=20) as client:
        yield client


def predict(web: httpx.Client) -> dict[str, Any]:
    document = web.get("/openapi.json").json()
    body = document["paths"]["/endpoints/churn/predict"]["post"]["requestBody"]["content"]["application/json"]
    row = body["example"]["records"][0] if "example" in body else body["examples"]["row"]["value"]["records"][0]
    answer = web.post("/endpoints/churn/predict", json={"records": [row], "key": "ann"})
    assert answer.status_code == 200, answer.text
    return answer.json()["predictions"][0]


def test_runs_are_listed_and_shown(web: httpx.Client) -> None:
    page = web.get("/api/v1/runs", params={"filter": "metrics.roc_auc > 0.9"}).json()
    one = web.get(f"/api/v1/runs/{page['runs'][0]['id']}").json()

    assert [run["name"] for run in page["runs"]] == ["train-1"]
    assert one["run"]["state"] == "finished"
    assert one["metrics"][0]["key"] == "roc_auc"
    ordered = web.get("/api/v1/runs", params={"order": "metrics.roc_auc DESC", "count": 1}).json()
    assert ordered["runs"] == page["runs"]


def test_a_release_shows_all_nine_stages(web: httpx.Client) -> None:
    found = web.get("/api/v1/releases/churn/1").json()

    assert found["release"]["state"] == "live"
    assert [stage["stage"] for stage in found["stages"]] == [
        "commit",
        "build",
        "test",
        "scan",
        "staging",
        "migrate",
        "qa",
        "canary",
        "live",
    ]


def test_endpoints_say_who_answers(web: httpx.Client) -> None:
    assert web.get("/api/v1/endpoints").json()[0]["generations"][0]["champion"] == "churn/1"
    assert web.get("/api/v1/endpoints/churn").json()["name"] == "churn"


def test_a_prediction_is_answered_labelled_and_traced_to_its_commit(web: httpx.Client) -> None:
    prediction = predict(web)
    told = {"labels": [{"id": prediction["id"], "value": 1, "time": "2030-01-01T00:00:00Z"}]}

    added = web.post("/endpoints/churn/labels", json=told).json()
    again = web.post("/endpoints/churn/labels", json=told).json()
    found = web.get(f"/api/v1/predictions/{prediction['id']}").json()

    assert (added["new"], again["new"], again["repeated"]) == (1, 0, 1)
    assert [link["kind"] for link in found["links"]][:5] == ["observation", "endpoint", "release", "bundle", "model"]
    assert found["links"][-1]["kind"] == "commit"
    assert "what really happened" in found["links"][0]["told"]


def test_what_a_release_did_is_summed(web: httpx.Client) -> None:
    predict(web)

    found = web.get("/api/v1/releases/churn/1/blast-radius", params={"keys": "5"}).json()

    assert found["predictions"] == found["answered"] >= 1
    assert [one["role"] for one in found["spans"]] == ["champion"]
    assert web.get("/releases/churn/1").text.count("/api/v1/releases/churn/1/blast-radius") == 1
    assert web.get("/api/v1/releases/churn/99/blast-radius").status_code == 404


def test_the_ledger_can_be_read_from_any_entry(web: httpx.Client) -> None:
    first = web.get("/api/v1/ledger", params={"count": "3"}).json()
    rest = web.get("/api/v1/ledger", params={"from": "3", "count": "1"}).json()

    assert [entry["seq"] for entry in first] == [1, 2, 3]
    assert rest[0] == first[2]
    assert web.get("/api/v1/alerts").json() == []


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/api/v1/runs/nobody", None, 404, "run-not-found"),
        ("GET", "/api/v1/runs?filter=metrics.x+%3E", None, 400, "filter-invalid"),
        ("GET", "/api/v1/runs?order=sideways", None, 400, "order-invalid"),
        ("GET", "/api/v1/runs?after=x", None, 400, "token-invalid"),
        ("GET", "/api/v1/runs?count=-1", None, 400, "request-malformed"),
        ("GET", "/api/v1/runs?count=99999999999999999999", None, 400, "request-malformed"),
        ("GET", "/api/v1/runs?colour=red", None, 400, "request-malformed"),
        ("GET", "/api/v1/releases/churn/99", None, 404, "release-not-found"),
        ("GET", "/api/v1/endpoints/nobody", None, 404, "endpoint-not-found"),
        ("GET", "/api/v1/predictions/nobody", None, 404, "prediction-not-found"),
        ("GET", "/api/v1/nothing", None, 404, "route-not-found"),
        ("DELETE", "/api/v1/runs", None, 404, "route-not-found"),
        ("POST", "/endpoints/churn/labels", {"labels": [{"id": "x", "value": 1}]}, 400, "label-malformed"),
        (
            "POST",
            "/endpoints/churn/labels",
            {"labels": [{"key": "x", "value": 1, "time": "noon"}]},
            400,
            "label-malformed",
        ),
        ("POST", "/endpoints/churn/labels", {"labels": [{"value": 1, "colour": "red"}]}, 400, "request-malformed"),
        ("POST", "/endpoints/nobody/labels", {"labels": []}, 404, "endpoint-not-found"),
    ],
)
def test_bad_input_is_refused_in_words_that_name_the_fix(
    web: httpx.Client, method: str, path: str, body: object, status: int, code: str
) -> None:
    answer = web.request(method, path, json=body)

    assert answer.status_code == status, answer.text
    problem = answer.json()
    assert code in ("", problem["code"])
    assert set(problem) == {"code", "what", "where", "why", "fix"}


def test_another_sites_page_is_refused_on_every_verb(web: httpx.Client) -> None:
    for method in ("GET", "POST", "PUT", "DELETE", "PATCH"):
        for headers in ({"Host": "evil.example"}, {"Origin": "http://localhost:1"}, {"Origin": "null"}):
            assert web.request(method, "/api/v1/runs", headers=headers).status_code == 403, (method, headers)


def test_a_body_that_is_not_json_or_too_large_is_refused_before_it_is_read(web: httpx.Client) -> None:
    text = web.post("/endpoints/churn/labels", content=b"labels", headers={"Content-Type": "text/plain"})
    large = web.post("/endpoints/churn/labels", content=b"[" * (2 << 20), headers={"Content-Type": "application/json"})
    deep = web.post("/endpoints/churn/labels", content=b"[" * 100_000, headers={"Content-Type": "application/json"})

    assert (text.status_code, large.status_code, deep.status_code) == (400, 413, 400)


def test_every_route_is_in_the_document_with_its_body_and_answer(web: httpx.Client) -> None:
    document = web.get("/openapi.json").json()

    for door in DOORS:
        operation = document["paths"][door.path][door.method.lower()]
        content = operation["responses"]["200"]["content"]
        if door.result is None:
            assert list(content) == ["application/octet-stream"]
        else:
            assert content["application/json"]["schema"]
        assert ("requestBody" in operation) is (door.body is not None)
    assert "/v2/models/churn/infer" in document["paths"]
    references = json.dumps(document)
    for name in document["components"]["schemas"]:
        assert f"#/components/schemas/{name}" in references or name == "Problem"
