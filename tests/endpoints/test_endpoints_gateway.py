from __future__ import annotations

import json

from jsonschema_rs import meta
from prometheus_client.parser import text_string_to_metric_families

from endpoints.live import ROW, Caller, add_release, split
from endpoints.stand_in_worker import NOT_A_NUMBER
from ropewalk.clock import from_iso
from ropewalk.endpoints import capture
from ropewalk.site import Site


def test_answers_records_with_an_id_each(flights: Caller) -> None:
    status, answer = flights.predict(ROW, {"x": 3, "city": None})

    assert status == 200
    assert answer["release"] == "flights/1"
    assert answer["model_version"] == "flights/1"
    assert len({one["id"] for one in answer["predictions"]}) == 2
    assert answer["predictions"][1]["probability"] > answer["predictions"][0]["probability"] > 0.5


def test_names_record_and_field_of_everything_that_breaks_the_contract(flights: Caller) -> None:
    status, answer = flights.predict(ROW, {"x": "fast", "wings": 2}, {"city": 7, "x": True})

    assert status == 422
    assert answer["code"] == "contract-broken"
    assert {(one["record"], one["field"], one["rule"]) for one in answer["problems"]} == {
        (1, "x", "type"),
        (1, "wings", "unknown"),
        (2, "city", "type"),
        (2, "x", "type"),
    }


def test_a_missing_field_is_named_and_nothing_is_captured(flights: Caller, real: Site) -> None:
    status, answer = flights.predict({"city": "EWR"})

    assert (status, answer["problems"][0]["field"], answer["problems"][0]["rule"]) == (422, "x", "missing")
    assert capture.read(real, "flights").height == 0


def test_out_of_range_is_answered_with_a_warning(flights: Caller, real: Site) -> None:
    status, answer = flights.predict({"x": 99.0, "city": "SFO"})

    assert status == 200
    assert [one["rule"] for one in answer["predictions"][0]["warnings"]] == ["max", "category"]
    assert capture.read(real, "flights")["warnings"].to_list() == [2]


def test_what_is_not_of_the_form_is_refused_and_says_where(flights: Caller) -> None:
    path = "/endpoints/flights/predict"
    deep = b'{"records": ' + b"[" * 100_000

    found = [
        flights.ask("POST", path, body)
        for body in (
            b"",
            b"\xff",
            b"[]",
            b"{}",
            b'{"records": []}',
            deep,
            b'{"records": [{"x": 1' + b"0" * 5000 + b"}]}",
        )
    ]

    assert {status for status, _, _ in found} <= {400, 422}
    assert all(json.loads(body)["code"] for _, _, body in found)


def test_unknown_routes_endpoints_and_methods_are_told_apart(flights: Caller) -> None:
    missing, _, body = flights.ask("POST", "/endpoints/trains/predict", {"records": [ROW]})
    nowhere, _, _ = flights.ask("GET", "/nowhere")
    wrong, headers, _ = flights.ask("DELETE", "/endpoints/flights/predict")
    plain, _, _ = flights.ask("POST", "/endpoints/flights/predict", b"{}", Content_Type="text/plain")

    assert (missing, json.loads(body)["code"]) == (404, "endpoint-not-found")
    assert nowhere == 404
    assert (wrong, headers["allow"]) == (405, "POST")
    assert plain == 415


def test_numbers_that_are_none_become_an_error_object_and_never_nan(flights: Caller, real: Site) -> None:
    status, _, body = flights.ask("POST", "/endpoints/flights/predict", {"records": [ROW, {**ROW, "x": NOT_A_NUMBER}]})

    good, bad = json.loads(body)["predictions"]
    assert status == 200
    assert b"NaN" not in body
    assert good["label"] == 1
    assert (bad["error"]["code"], "probability" in bad) == ("output-invalid", False)
    assert capture.read(real, "flights")["status"].to_list() == ["ok", "invalid_output"]


def test_event_time_and_keys_are_captured_as_given(flights: Caller, real: Site) -> None:
    _, answer = flights.predict(ROW, ROW, key=["a", "b"], time=["2013-09-01T06:00:00Z", None])

    rows = capture.read(real, "flights")
    first = capture.find(real, answer["predictions"][0]["id"])
    assert sorted(rows["key"].to_list()) == ["a", "b"]
    assert first is not None
    assert first["event_us"] == from_iso("2013-09-01T06:00:00Z")
    assert flights.predict(ROW, time="yesterday")[0] == 400
    assert flights.predict(ROW, key=["a", "b"])[0] == 400


def test_a_caller_may_name_the_release_but_only_one_that_stands(flights: Caller, real: Site) -> None:
    flights.follows(split(real, "flights/1", canary=add_release(real, 2)))

    status, answer = flights.predict(headers={"X_Ropewalk_Release": "flights/2"})
    missing, why = flights.predict(headers={"X_Ropewalk_Release": "flights/7"})

    assert (status, answer["release"]) == (200, "flights/2")
    assert (missing, why["code"]) == (404, "release-not-served")
    assert capture.read(real, "flights")["role"].to_list() == ["asked"]


def test_speaks_the_open_inference_protocol(flights: Caller) -> None:
    tensors = [
        {"name": "x", "shape": [2, 1], "datatype": "FP64", "data": [[0.5], [3.0]]},
        {"name": "city", "shape": [2], "datatype": "BYTES", "data": ["EWR", None]},
    ]

    status, _, body = flights.ask("POST", "/v2/models/flights/infer", {"id": "mine", "inputs": tensors})
    answer = json.loads(body)
    plain = flights.predict(ROW, {"x": 3.0, "city": None})[1]["predictions"]

    assert (status, answer["id"], answer["model_name"], answer["model_version"]) == (200, "mine", "flights", "1")
    outputs = {tensor["name"]: tensor for tensor in answer["outputs"]}
    assert outputs["probability"]["data"] == [one["probability"] for one in plain]
    assert (outputs["probability"]["datatype"], outputs["label"]["datatype"]) == ("FP64", "INT64")
    assert len(outputs["prediction_id"]["data"]) == 2


def test_inference_chooses_outputs_and_versions_and_names_a_bad_tensor(flights: Caller) -> None:
    x = {"name": "x", "shape": [1], "datatype": "FP64", "data": [0.5]}
    path = "/v2/models/flights/versions/1/infer"

    _, _, chosen = flights.ask("POST", path, {"inputs": [x], "outputs": [{"name": "label"}]})
    short, _, body = flights.ask("POST", path, {"inputs": [{**x, "shape": [3]}]})
    unknown, _, why = flights.ask("POST", path, {"inputs": [{**x, "name": "y"}]})
    version, _, _ = flights.ask("POST", "/v2/models/flights/versions/9/infer", {"inputs": [x]})

    assert [tensor["name"] for tensor in json.loads(chosen)["outputs"]] == ["label"]
    assert (short, json.loads(body)["where"]) == (400, "input 'x'")
    assert (unknown, "error" in json.loads(why)) == (422, True)
    assert version == 404


def test_says_whether_it_lives_and_is_ready_and_what_a_model_takes(flights: Caller) -> None:
    paths = (
        "/v2",
        "/v2/health/live",
        "/v2/health/ready",
        "/v2/models/flights/ready",
        "/v2/models/flights/versions/1/ready",
    )

    statuses = [flights.ask("GET", path)[0] for path in paths]
    _, _, body = flights.ask("GET", "/v2/models/flights")

    assert statuses == [200] * 5
    assert json.loads(body)["inputs"] == [
        {"name": "x", "datatype": "FP64", "shape": [-1]},
        {"name": "city", "datatype": "BYTES", "shape": [-1]},
    ]


def test_the_openapi_document_is_sound_and_its_example_works(flights: Caller) -> None:
    _, _, body = flights.ask("GET", "/openapi.json")
    document = json.loads(body)
    example = document["paths"]["/endpoints/flights/predict"]["post"]["requestBody"]["content"]["application/json"]

    status, _, _ = flights.ask("POST", "/endpoints/flights/predict", example["example"])
    tensors = document["paths"]["/v2/models/flights/infer"]["post"]["requestBody"]["content"]["application/json"]
    inferred, _, _ = flights.ask("POST", "/v2/models/flights/infer", tensors["example"])

    assert document["openapi"] == "3.1.0"
    assert example["example"]["records"] == [ROW]
    assert (status, inferred) == (200, 200)
    for schema in document["components"]["schemas"].values():
        assert meta.is_valid({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_the_page_for_people_loads_nothing_from_elsewhere(flights: Caller) -> None:
    status, headers, body = flights.ask("GET", "/docs")

    assert status == 200
    assert b"http" not in body.replace(b"/openapi.json", b"")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert b"curl -s" in body


def test_metrics_parse_and_count_what_was_answered(flights: Caller) -> None:
    flights.predict(ROW, ROW, ROW)
    flights.predict({"x": None})

    _, _, body = flights.ask("GET", "/metrics")

    samples = {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert samples["ropewalk_predictions_total", ("flights", "flights/1", "champion", "ok")] == 3
    assert samples["ropewalk_http_answers_total", ("flights", "422")] == 1
    assert samples["ropewalk_prediction_seconds_count", ("flights", "flights/1")] == 3
    assert samples["ropewalk_workers", ("flights", "flights/1")] == 1
