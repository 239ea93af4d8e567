"""Assessments over MLflow's protocol: given, corrected, changed, taken back."""

from __future__ import annotations

import pytest

from api.asking import Client
from ropewalk.api.mlflow import assessments, traces
from ropewalk.traces import start

PATH = "/api/3.0/mlflow/traces/tr-1/assessments"
HUMAN = {"source_type": "HUMAN", "source_id": "ann"}


@pytest.fixture
def client(site):
    told = start.Told(id="tr-1", experiment="0", start_ms=1, tags={}, metadata={})
    site.db.write(lambda tx: start.start(tx, site, told))
    return Client(site, [*assessments.ROUTES, *traces.ROUTES])


def give(client, **more):
    form = {"assessment_name": "good", "source": HUMAN, "feedback": {"value": True}}
    return client.send("POST", PATH, assessment={**form, **more})["assessment"]


def listed(client):
    found = client.get("/api/3.0/mlflow/traces/tr-1")["trace"]["trace_info"]
    return [(one["assessment_name"], one["valid"]) for one in found.get("assessments", [])]


@pytest.mark.parametrize("value", [True, False, 0, 1.5, "yes", "", ["a", 1], {"a": {"b": None}}, None])
def test_feedback_is_read_back_as_it_was_given(client, value):
    made = give(client, feedback={"value": value}, rationale="why", metadata={"k": "v"}, span_id="s")

    found = client.get(f"{PATH}/{made['assessment_id']}")["assessment"]
    assert found == made
    assert found["feedback"] == {"value": value}
    assert (found["source"], found["rationale"], found["metadata"]) == (HUMAN, "why", {"k": "v"})
    assert (found["span_id"], found["valid"], found["trace_id"]) == ("s", True, "tr-1")
    assert found["create_time"] == found["last_update_time"] == "2026-01-01T00:00:00.000Z"


@pytest.mark.parametrize(
    ("told", "read"),
    [
        ({"value": "Paris"}, {"value": "Paris"}),
        ({"value": False}, {"value": False}),
        (
            {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"a":[1]}'}},
            {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '{"a": [1]}'}},
        ),
        ({"value": ["a"]}, {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": '["a"]'}}),
    ],
)
def test_an_expectation_is_read_back_as_clients_read_it(client, told, read):
    assert give(client, feedback=None, expectation=told)["expectation"] == read


def test_feedback_without_a_value_says_why(client):
    error = {"error_code": "E", "error_message": "no answer", "stack_trace": "here"}

    assert give(client, feedback={"error": error})["feedback"] == {"value": None, "error": error}


def test_a_correction_makes_the_corrected_one_invalid_until_it_is_taken_back(client):
    first = give(client, assessment_name="first")["assessment_id"]
    second = give(client, assessment_name="second", overrides=first)["assessment_id"]
    corrected = listed(client)
    client.send("DELETE", f"{PATH}/{second}", trace_id="tr-1", assessment_id=second)
    client.send("DELETE", f"{PATH}/{second}")

    assert corrected == [("first", False), ("second", True)]
    assert listed(client) == [("first", True)]


@pytest.mark.parametrize(
    "mask",
    [{"paths": ["assessment_name", "feedback", "rationale", "metadata"]}, "assessmentName,feedback,rationale,metadata"],
)
def test_parts_are_changed_and_the_rest_stays(client, clock, mask):
    made = give(client, metadata={"a": "1", "b": "2"}, rationale="old", span_id="s")
    clock.advance(5)
    change = {"assessment_name": "new", "feedback": {"value": 0.5}, "rationale": "why", "metadata": {"b": "3"}}

    client.send("PATCH", f"{PATH}/{made['assessment_id']}", assessment=change, update_mask=mask)

    found = client.get(f"{PATH}/{made['assessment_id']}")["assessment"]
    assert (found["assessment_name"], found["feedback"], found["rationale"]) == ("new", {"value": 0.5}, "why")
    assert (found["metadata"], found["source"], found["span_id"]) == ({"a": "1", "b": "3"}, HUMAN, "s")
    assert found["last_update_time"] == "2026-01-01T00:00:05.000Z"
    assert found["create_time"] == made["create_time"]


def test_only_named_parts_are_changed(client):
    made = give(client, rationale="old")
    change = {"assessment_name": "new", "feedback": {"value": False}, "rationale": "new", "valid": False}

    client.send("PATCH", f"{PATH}/{made['assessment_id']}", assessment=change, update_mask={"paths": ["valid"]})

    found = client.get(f"{PATH}/{made['assessment_id']}")["assessment"]
    assert found == {**made, "valid": False}


@pytest.mark.parametrize(
    "more",
    [
        {"feedback": None},
        {"expectation": {"value": 1}},
        {"assessment_name": ""},
        {"assessment_name": "x" * 251},
        {"source": {"source_type": "GUESS"}},
        {"rationale": "x" * 100_001},
        {"feedback": {"value": "x" * 100_001}},
        {"feedback": None, "expectation": {}},
        {"feedback": None, "expectation": {"value": None}},
        {"feedback": None, "expectation": {"serialized_value": {"serialization_format": "PICKLE", "value": "x"}}},
        {"feedback": None, "expectation": {"serialized_value": {"serialization_format": "JSON_FORMAT", "value": "{"}}},
        {"metadata": {f"k{n}": "v" for n in range(101)}},
        {"metadata": {"": "v"}},
        {"metadata": {"a": 1}},
        {"create_time": "now"},
        {"span_id": "x" * 251},
    ],
)
def test_what_cannot_be_an_assessment_is_refused(client, more):
    form = {"assessment_name": "good", "source": HUMAN, "feedback": {"value": True}}

    assert client.refused("POST", PATH, assessment={**form, **more})[0] == 400
    assert listed(client) == []


def test_what_is_not_there_is_not_found(client):
    made = give(client)["assessment_id"]
    form = {"assessment_name": "a", "feedback": {"value": 1}}
    elsewhere = PATH.replace("tr-1", "tr-none")

    assert client.refused("POST", elsewhere, assessment=form)[0] == 404
    assert client.refused("GET", f"{elsewhere}/{made}")[0] == 404
    assert client.refused("GET", f"{PATH}/a-none")[0] == 404
    assert client.refused("DELETE", f"{elsewhere}/{made}")[0] == 404
    assert client.refused("POST", PATH, assessment={**form, "overrides": "a-none"})[0] == 404
    assert client.refused("PATCH", f"{PATH}/a-none", assessment=form, update_mask="feedback")[0] == 404
    assert client.refused("POST", PATH, assessment={**form, "assessment_id": made}) == (400, "RESOURCE_ALREADY_EXISTS")
    assert listed(client) == [("good", True)]


def test_a_change_that_makes_no_sense_is_refused(client):
    made = give(client)["assessment_id"]
    both = {"feedback": {"value": 1}, "expectation": {"value": 1}}

    for body in (
        {"assessment": {"expectation": {"value": 1}}, "update_mask": "expectation"},
        {"assessment": both, "update_mask": "feedback,expectation"},
        {"assessment": {"feedback": {"value": 1}}, "update_mask": "source"},
        {"assessment": {"feedback": {"value": 1}}},
        {"update_mask": "feedback"},
        {"assessment": {"assessment_name": ""}, "update_mask": "assessment_name"},
    ):
        assert client.refused("PATCH", f"{PATH}/{made}", **body)[0] == 400
    assert client.refused("POST", PATH)[0] == 400


def test_the_word_ai_judge_of_old_clients_is_understood(client):
    assert give(client, source={"source_type": "ai_judge"})["source"] == {"source_type": "LLM_JUDGE"}


def test_a_trace_has_a_limit_of_assessments(client, monkeypatch):
    from ropewalk.traces import assessment

    monkeypatch.setattr(assessment, "PER_TRACE_MAX", 2)
    give(client)
    give(client)

    form = {"assessment_name": "third", "feedback": {"value": 1}}
    assert client.refused("POST", PATH, assessment=form)[0] == 400
