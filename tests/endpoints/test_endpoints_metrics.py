"""What `/metrics` says: examples that lead to a request, routes without names in them, and never too many series."""

from __future__ import annotations

import json

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from endpoints.live import ROW, Caller
from endpoints.plane_stand import ROW as PLANE_ROW
from endpoints.plane_stand import first, given_away, http, plane_stand
from ropewalk.clock import SystemClock
from ropewalk.endpoints import capture, connection, meters, requests
from ropewalk.endpoints.exemplars import Example, Spread
from ropewalk.endpoints.meters import Meters
from ropewalk.endpoints.requests import ROUTE, Requests

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
OPEN = "application/openmetrics-text;version=1.0.0"
QUIET = {
    "rows": [],
    "spread": {},
    "micros": {},
    "examples": {},
    "batches": {},
    "routes": [],
    "answers": 0,
    "turned_away": 0,
}


def samples(body: bytes) -> list:
    return [one for family in text_string_to_metric_families(body.decode()) for one in family.samples]


def test_the_slowest_prediction_of_a_bucket_is_its_example_for_who_takes_openmetrics(flights: Caller, real):
    _, _, body = flights.ask("POST", "/endpoints/flights/predict", {"records": [ROW]}, traceparent=PARENT)

    _, told, found = flights.ask("GET", "/metrics", None, accept=OPEN)
    _, plain, text = flights.ask("GET", "/metrics")

    assert told["content-type"].startswith("application/openmetrics-text")
    assert plain["content-type"].startswith("text/plain; version=0.0.4")
    (example,) = [one.exemplar for one in samples(found) if one.exemplar]
    prediction = json.loads(body)["predictions"][0]["id"]
    assert example.labels == {"trace_id": TRACE, "prediction_id": prediction}
    assert b"trace_id" not in text
    assert capture.find(real, prediction)["trace"] == TRACE


def test_a_trace_that_comes_by_grpc_is_kept_as_well(served, real):
    _, rpc = served

    answer = rpc.infer(0.5, outputs=[{"name": "prediction_id"}], metadata=(("traceparent", PARENT),))

    assert capture.find(real, answer.raw_output_contents[0][4:40].decode())["trace"] == TRACE


def test_a_prediction_without_a_trace_has_no_column_for_one(flights: Caller, real):
    _, body = flights.predict(ROW)

    assert "trace" not in capture.find(real, body["predictions"][0]["id"])


def test_a_trace_goes_through_a_data_plane_into_the_record_and_the_example(real, monkeypatch):
    monkeypatch.setattr(connection, "ANSWERS_MIN", 1)
    first(real, 1)
    with plane_stand(real) as caller:
        wire = given_away(caller)
        status, body = wire.ask(http("/endpoints/flights/predict", {"records": [PLANE_ROW]}, f"traceparent: {PARENT}"))
        wire.close()
        caller.until(lambda: TRACE.encode() in caller.gateway.meters.encoded(OPEN)[0])
        text = caller.gateway.meters.text().decode()

    assert status == 200
    prediction = json.loads(body)["predictions"][0]["id"]
    assert capture.find(real, prediction)["trace"] == TRACE
    line = 'ropewalk_http_requests_total{method="POST",route="/endpoints/{name}/predict",status="200"} '
    assert float(text.partition(line)[2].split("\n")[0]) >= 1


def test_routes_are_patterns_and_made_up_verbs_and_paths_are_one():
    counted = Requests(SystemClock())
    for method, route in (("POST", "/endpoints/{name}/predict"), ("BREW", ""), ("WHEN", "")):
        scope = {"type": "http", "method": method, "path": "/" + method}
        counted.note(scope | ({ROUTE: route} if route else {}), 200, 10, 2_000_000)

    found = {tuple(one.labels.values()): one.value for one in next(iter(counted.collect())).samples}

    assert found == {("/endpoints/{name}/predict", "POST", "200"): 1, ("other", "other", "200"): 2}


def test_no_more_series_than_there_may_be(monkeypatch):
    monkeypatch.setattr(requests, "SERIES_MAX", 3)
    monkeypatch.setattr(meters, "RELEASES_MAX", 2)
    counted = Meters(lambda: iter(()), SystemClock())
    for number in range(9):
        scope = {"type": "http", "method": "GET", "path": "/", ROUTE: f"/{number}"}
        counted.requests.note(scope, 200, 0, 1000)
        counted.batch("a", f"a/{number}", ["champion"], status=["ok"], latency_us=[10])

    text = counted.text().decode()

    assert text.count("ropewalk_http_request_seconds_count{") == 4
    assert 'route="other"' in text
    assert text.count("ropewalk_prediction_seconds_count{") == text.count("ropewalk_predictions_total{") == 2
    assert 'release="a/8"' in text


def test_counts_of_several_processes_are_added_and_examples_kept():
    counted = Meters(lambda: iter(()), SystemClock())
    counted.batch("a", "a/1", ["champion"], status=["ok"], latency_us=[3000], ids=["here"])
    spread = Spread("prediction_id")
    spread.add((700, 900_000), Example(900_000, "there", "", 5_000_000))

    counted.add(
        "a",
        QUIET
        | {
            "rows": [["a/1", "champion", 2]],
            "spread": {"a/1": spread.counts},
            "micros": {"a/1": spread.micros},
            "examples": {"a/1": [[900_000, "there", "", 5_000_000]]},
            "batches": {"a/1": 1},
            "routes": [["/invocations", "200", 2]],
            "answers": 2,
        },
    )

    found = samples(counted.encoded(OPEN)[0])
    by_name = {one.name: one.value for one in found if one.labels.get("le", "+Inf") == "+Inf"}
    assert by_name["ropewalk_prediction_seconds_count"] == 3
    assert by_name["ropewalk_http_requests_total"] == 2
    assert by_name["ropewalk_prediction_seconds_sum"] == 0.9037
    assert {one.exemplar.labels["prediction_id"] for one in found if one.exemplar} == {"here", "there"}
