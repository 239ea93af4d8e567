"""Traces over MLflow's protocol: told whole or in two parts, read with their spans, tagged, linked and deleted."""

from __future__ import annotations

import json

import pytest

from api.asking import Client
from ropewalk.api.mlflow import oldtraces, otlp, tracemetrics, traces
from ropewalk.ledger.chain import Entry
from ropewalk.runs import experiments, remote
from traces.telling import ID, START, export, span

API = "/api/3.0/mlflow/traces"
OLD = "/api/2.0/mlflow/traces"


@pytest.fixture
def client(site):
    return Client(site, [*traces.ROUTES, *oldtraces.ROUTES, *otlp.ROUTES, *tracemetrics.ROUTES])


def told(name="tr-1", **more):
    info = {
        "trace_id": name,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}},
        "request_time": "2026-01-01T00:00:00.123Z",
        "execution_duration": "1.5s",
        "state": "OK",
        "trace_metadata": {"mlflow.trace.session": "s"},
        "tags": {"mlflow.traceName": "ask", "team": "ops", "mlflow.artifactLocation": "file:///elsewhere"},
    }
    return {"trace": {"trace_info": {**info, **more}}}


def tell(client, *args, **more):
    return client.send("POST", API, **told(*args, **more))["trace"]["trace_info"]


def spans(client, *given):
    headers = {"x-mlflow-experiment-id": "0", "content-type": "application/json"}
    assert client.ask("POST", "/v1/traces", content=json.dumps(export(*given)), headers=headers).status_code == 200


def entries(site):
    with site.db.read() as reader:
        return reader.all(Entry, "ledger.from", seq=1, count=100)


def search(client, where="", **more):
    place = {"mlflow_experiment": {"experiment_id": "0"}}
    return client.send("POST", f"{API}/search", locations=[place], filter=where, **more)


def test_a_trace_is_told_and_read_back(client):
    made = tell(client, request_preview="asked", client_request_id="r")

    found = client.get(f"{API}/tr-1")["trace"]["trace_info"]
    assert found == made
    assert found["request_time"] == "2026-01-01T00:00:00.123Z"
    assert found["execution_duration"] == "1.500s"
    assert found["trace_location"]["mlflow_experiment"]["experiment_id"] == "0"
    assert (found["client_request_id"], found["request_preview"], found["state"]) == ("r", "asked", "OK")
    assert found["tags"]["mlflow.artifactLocation"] == "mlflow-artifacts:/0/traces/tr-1/artifacts"
    assert (found["tags"]["mlflow.traceName"], found["trace_metadata"]["mlflow.trace.session"]) == ("ask", "s")


def test_a_trace_that_is_told_again_is_brought_up_to_date(client):
    tell(client, request_preview="asked")
    tell(client, state="ERROR", tags={"more": "tags"}, execution_duration="2s")

    found = client.get(f"{API}/tr-1")["trace"]["trace_info"]
    assert (found["state"], found["execution_duration"], found["request_preview"]) == ("ERROR", "2s", "asked")
    assert (found["tags"]["team"], found["tags"]["more"]) == ("ops", "tags")
    assert len(search(client)["traces"]) == 1


def test_a_trace_may_bring_its_assessments(client):
    mine = {"assessment_name": "good", "source": {"source_type": "HUMAN"}, "feedback": {"value": True}}
    made = tell(client, assessments=[{**mine, "assessment_id": "a-1"}, mine])
    tell(client, assessments=[{**mine, "assessment_id": "a-1", "feedback": {"value": False}}])

    found = client.get(f"{API}/tr-1")["trace"]["trace_info"]["assessments"]
    assert len(made["assessments"]) == 2
    assert [one["feedback"]["value"] for one in found] == [False, True]
    assert {one["trace_id"] for one in found} == {"tr-1"}


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"trace_id": ""}, "id"),
        ({"trace_id": "../x"}, "id"),
        ({"trace_id": "x" * 101}, "id"),
        ({"trace_location": None}, "mlflow_experiment"),
        ({"request_time": None}, "request_time"),
        ({"request_time": "yesterday"}, "must be a time"),
        ({"request_time": "1969-01-01T00:00:00Z"}, "since 1970"),
        ({"execution_duration": "fast"}, "must be a duration"),
        ({"execution_duration": "-1s"}, "must be a duration"),
        ({"state": "HAPPY"}, "state is one of"),
        ({"client_request_id": "x" * 251}, "client request id"),
        ({"trace_metadata": {"mlflow.trace.session": "x" * 251}}, "session id"),
        ({"tags": {"": "x"}}, "a name has"),
        ({"tags": {"k" * 251: "x"}}, "a name has"),
        ({"tags": {f"k{n}": "x" for n in range(1001)}}, "at most 1000"),
        ({"assessments": [{"assessment_name": "x"}]}, "one of feedback"),
        ({"tags": {"a": 1}}, "not what this route takes"),
    ],
)
def test_what_cannot_be_a_trace_is_refused_whole(client, more, word):
    answer = client.ask("POST", API, json=told(**more))

    assert (answer.status_code, word in answer.json()["message"]) == (400, True), answer.text
    assert "traces" not in search(client)


def test_a_trace_needs_an_experiment_that_is_active(client, site):
    gone = site.db.write(lambda tx: experiments.create(tx, site, "gone")).id
    site.db.write(lambda tx: experiments.delete(tx, site, gone))

    def place(number):
        return {"trace_location": {"mlflow_experiment": {"experiment_id": str(number)}}}

    assert client.refused("POST", API, **told(**place(77))) == (404, "RESOURCE_DOES_NOT_EXIST")
    assert client.refused("POST", API, **told(**place(gone)))[0] == 400
    assert client.refused("POST", API, trace={}) == (400, "BAD_REQUEST")


def test_a_trace_is_read_with_its_spans_once_all_have_come(client, monkeypatch):
    monkeypatch.setattr(traces, "WAIT_SECONDS", (0.0, 0.01))
    stats = {"mlflow.trace.sizeStats": '{"num_spans": 2}'}
    tell(client, ID, trace_metadata=stats)
    spans(client, span(2, parent=1, name="child", after_ms=-5))
    half = client.refused("GET", f"{API}/get", trace_id=ID)
    partial = client.get(f"{API}/get", trace_id=ID, allow_partial="true")["trace"]["spans"]
    none = client.get(f"{API}/batchGet", trace_ids=[ID])
    spans(client, span(1, name="root"))

    whole = client.get(f"{API}/get", trace_id=ID, allow_partial="False")["trace"]
    assert half == (404, "RESOURCE_DOES_NOT_EXIST")
    assert [one["name"] for one in partial] == ["child"]
    assert none == {}
    assert [one["name"] for one in whole["spans"]] == ["root", "child"]
    assert whole["spans"][0]["start_time_unix_nano"] == START
    assert client.get(f"{API}/batchGet", trace_ids=[ID, "tr-none"])["traces"] == [whole]


def test_a_trace_whose_spans_are_an_artifact_says_so(client):
    tell(client)

    assert client.refused("GET", f"{API}/get", trace_id="tr-1")[0] == 400
    assert client.refused("GET", f"{API}/get", trace_id="tr-none")[0] == 404
    assert client.refused("GET", f"{API}/get")[0] == 400
    assert "spans" not in client.get(f"{API}/get", trace_id="tr-1", allow_partial="true")["trace"]


def test_several_infos_come_in_the_order_asked_and_from_the_experiments_asked(client):
    for name in ("tr-1", "tr-2", "tr-3"):
        tell(client, name)

    found = client.send("POST", f"{API}/batchGetInfos", trace_ids=["tr-3", "tr-x", "tr-1", "tr-3"])
    elsewhere = client.send("POST", f"{API}/batchGetInfos", trace_ids=["tr-3"], experiment_ids=["1"])
    assert [one["trace_id"] for one in found["trace_infos"]] == ["tr-3", "tr-1"]
    assert elsewhere == {}
    assert client.refused("POST", f"{API}/batchGetInfos", trace_ids=[])[0] == 400
    assert client.refused("POST", f"{API}/batchGetInfos", trace_ids=[str(n) for n in range(501)])[0] == 400
    assert client.refused("GET", f"{API}/batchGet", trace_ids=[str(n) for n in range(101)])[0] == 400


def test_a_search_gives_pages_that_follow_each_other(client):
    for number in range(5):
        tell(client, f"tr-{number}", request_time=f"2026-01-01T00:00:0{number}Z")

    first = search(client, "tags.team = 'ops'", max_results=2)
    second = search(client, "tags.team = 'ops'", max_results=2, page_token=first["next_page_token"])
    third = search(client, "tags.team = 'ops'", max_results="2", page_token=second["next_page_token"])
    pages = [[one["trace_id"] for one in page["traces"]] for page in (first, second, third)]
    assert pages == [["tr-4", "tr-3"], ["tr-2", "tr-1"], ["tr-0"]]
    assert "next_page_token" not in third
    assert client.refused("POST", f"{API}/search", filter="")[0] == 400
    for wrong in (
        {"max_results": 501},
        {"max_results": 0},
        {"page_token": "x"},
        {"filter": "x ="},
        {"order_by": ["x"]},
    ):
        assert client.refused("POST", f"{API}/search", locations=[{"mlflow_experiment": {}}], **wrong)[0] == 400


@pytest.mark.parametrize("prefix", [API, OLD])
def test_tags_are_set_and_taken_off_in_both_versions(client, prefix):
    tell(client)

    client.send("PATCH", f"{prefix}/tr-1/tags", key="team", value="new")
    client.send("PATCH", f"{prefix}/tr-1/tags", key="mlflow.traceName", value="renamed")
    found = client.get(f"{API}/tr-1")["trace"]["trace_info"]["tags"]
    client.send("DELETE", f"{prefix}/tr-1/tags", key="team")
    left = client.get(f"{API}/tr-1")["trace"]["trace_info"]["tags"]

    assert (found["team"], found["mlflow.traceName"], "team" in left) == ("new", "renamed", False)
    assert client.refused("DELETE", f"{prefix}/tr-1/tags", key="team") == (404, "RESOURCE_DOES_NOT_EXIST")
    assert client.refused("PATCH", f"{prefix}/tr-none/tags", key="a", value="b")[0] == 404
    for key in ("", "mlflow.trace.spansLocation", "mlflow.artifactLocation", "a\nb", "k" * 251):
        assert client.refused("PATCH", f"{prefix}/tr-1/tags", key=key, value="b")[0] == 400


@pytest.mark.parametrize("prefix", [API, OLD])
def test_deleted_traces_are_gone_with_all_that_hangs_on_them_and_the_ledger_says_which(client, site, prefix):
    spans(client, span(1))
    for number in range(4):
        tell(client, f"tr-{number}", request_time=f"2026-01-01T00:00:0{number}Z")
    at = 1_767_225_600_000

    by_id = client.send("POST", f"{prefix}/delete-traces", experiment_id="0", request_ids=[ID, "tr-none", "tr-3"])
    by_time = client.send(
        "POST", f"{prefix}/delete-traces", experiment_id="0", max_timestamp_millis=at + 2000, max_traces=2
    )
    again = client.send("POST", f"{prefix}/delete-traces", experiment_id="1", request_ids=["tr-2"])

    assert (by_id, by_time, again) == ({"traces_deleted": 2}, {"traces_deleted": 2}, {"traces_deleted": 0})
    assert [one["trace_id"] for one in search(client)["traces"]] == ["tr-2"]
    with site.db.read() as reader:
        assert reader.value("traces.size", trace=1) == 0
    deleted = [json.loads(one.body) for one in entries(site) if one.kind == "traces.deleted"]
    assert [one["ids"] for one in deleted] == [[ID, "tr-3"], ["tr-0", "tr-1"]]


@pytest.mark.parametrize(
    "more",
    [
        {},
        {"experiment_id": ""},
        {"request_ids": ["a"], "max_timestamp_millis": 5},
        {"request_ids": ["a"], "max_traces": 5},
        {"max_timestamp_millis": 5, "max_traces": 0},
        {"max_traces": 5},
    ],
)
def test_a_deletion_that_says_too_little_or_too_much_is_refused(client, more):
    tell(client)

    assert client.refused("POST", f"{API}/delete-traces", **{"experiment_id": "0", **more})[0] == 400
    assert len(search(client)["traces"]) == 1


def test_traces_belong_to_runs_and_used_prompts(client, site):
    run = site.db.write(lambda tx: remote.create(tx, site)).id
    tell(client)
    prompt = {"name": "qa", "version": "4"}

    client.send("POST", f"{OLD}/link-to-run", trace_ids=["tr-1", "tr-none"], run_id=run)
    client.send("POST", f"{OLD}/link-to-run", trace_ids=["tr-1"], run_id=run)
    client.send("POST", f"{OLD}/link-prompts", trace_id="tr-1", prompt_versions=[prompt, prompt])

    assert [one["trace_id"] for one in search(client, f"run_id = '{run}' AND prompt = 'qa/4'")["traces"]] == ["tr-1"]
    assert client.refused("POST", f"{OLD}/link-to-run", trace_ids=["tr-1"], run_id="f" * 32)[0] == 404
    assert client.refused("POST", f"{OLD}/link-to-run", trace_ids=["x"] * 101, run_id=run)[0] == 400
    assert client.refused("POST", f"{OLD}/link-to-run", run_id=run)[0] == 400
    assert client.refused("POST", f"{OLD}/link-prompts", trace_id="tr-none", prompt_versions=[prompt])[0] == 404
    for wrong in ({"name": "", "version": "4"}, {"name": "qa", "version": "x"}):
        assert client.refused("POST", f"{OLD}/link-prompts", trace_id="tr-1", prompt_versions=[wrong])[0] == 400


def test_two_filters_are_compared(client):
    tell(client, "tr-1")
    tell(client, "tr-2", state="ERROR")
    ask = {"experiment_ids": ["0"], "filter_string1": "status = 'OK'"}

    found = client.send("POST", f"{API}/calculate-filter-correlation", **ask, filter_string2="name = 'nobody'")
    assert (found["npmi"], found["total_count"], found["filter1_count"]) == ("NaN", 2, 1)
    assert client.refused("POST", f"{API}/calculate-filter-correlation", **ask)[0] == 400


def test_a_client_from_before_mlflow_3_tells_beginning_and_end(client):
    pairs = [{"key": "mlflow.traceName", "value": "old"}]
    begun = client.send("POST", OLD, experiment_id="0", timestamp_ms=1000, tags=pairs, request_metadata=[])[
        "trace_info"
    ]
    name = begun["request_id"]
    more = [{"key": "m", "value": "1"}]
    ended = client.send("PATCH", f"{OLD}/{name}", timestamp_ms=1500, status="ERROR", request_metadata=more, tags=[])

    found = client.get(f"{OLD}/{name}/info", request_id=name)["trace_info"]
    page = client.get(OLD, experiment_ids=["0"], filter="status = 'ERROR'", max_results=5)
    assert (begun["status"], begun["timestamp_ms"], "execution_time_ms" in begun) == ("IN_PROGRESS", 1000, False)
    assert ended["trace_info"] == found == page["traces"][0]
    assert (found["status"], found["execution_time_ms"]) == ("ERROR", 500)
    assert {"key": "m", "value": "1"} in found["request_metadata"]
    assert client.refused("POST", OLD, timestamp_ms=1)[0] == 400
    assert client.refused("PATCH", f"{OLD}/tr-none", timestamp_ms=1)[0] == 404
    assert client.refused("GET", f"{OLD}/tr-none/info")[0] == 404
    assert client.refused("GET", OLD)[0] == 400
