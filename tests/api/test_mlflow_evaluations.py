"""Evaluation datasets over MLflow's protocol: made, filled, searched, joined to experiments, deleted."""

from __future__ import annotations

import json

import pytest

from api.asking import Client
from ropewalk.api.mlflow import evaluations
from ropewalk.ledger.chain import Entry
from ropewalk.runs import experiments
from ropewalk.traces import records as recorded

API = "/api/3.0/mlflow/datasets"


@pytest.fixture
def client(site):
    return Client(site, evaluations.ROUTES)


def make(client, name="qa", **more):
    return client.send("POST", f"{API}/create", name=name, **more)["dataset"]


def fill(client, dataset, *records):
    return client.send("POST", f"{API}/{dataset}/records", records=json.dumps(records))


def read(client, dataset, **more):
    return json.loads(client.get(f"{API}/{dataset}/records", **more)["records"])


def names(client, **more):
    return [one["name"] for one in client.send("POST", f"{API}/search", **more).get("datasets", [])]


def test_a_dataset_is_made_and_read_back(client):
    made = make(client, tags=json.dumps({"team": "ops", "mlflow.user": "ann", "n": 3}), experiment_ids=["0"])

    found = client.get(f"{API}/{made['dataset_id']}")["dataset"]
    assert found == made
    assert json.loads(found["tags"]) == {"team": "ops", "mlflow.user": "ann", "n": "3"}
    assert (found["name"], found["created_by"], found["experiment_ids"]) == ("qa", "ann", ["0"])
    assert found["created_time"] == found["last_update_time"] == 1_767_225_600_000
    assert len(found["digest"]) == 8


def test_records_with_known_inputs_are_merged_and_others_are_new(client, clock):
    dataset = make(client)["dataset_id"]
    first = {"inputs": {"q": "é", "n": 1}, "expectations": {"a": 1}, "tags": {"t": "1", "mlflow.user": "ann"}}
    other = {
        "inputs": {"q": "b"},
        "outputs": ["x"],
        "source": {"source_type": "trace", "source_data": {"trace_id": "tr"}},
    }
    new = fill(client, dataset, first, other)
    before = client.get(f"{API}/{dataset}")["dataset"]["digest"]
    clock.advance(3)
    again = fill(
        client,
        dataset,
        {"inputs": {"n": 1, "q": "é"}, "expectations": {"b": 2.5}, "outputs": None},
        {**other, "tags": {"u": "2"}},
    )

    one, two = read(client, dataset)
    assert (new, again) == ({"inserted_count": 2, "updated_count": 0}, {"inserted_count": 0, "updated_count": 2})
    assert (one["inputs"], one["expectations"]) == (first["inputs"], {"a": 1, "b": 2.5})
    assert (one["tags"], one["created_by"], one["last_update_time"] - one["created_time"]) == (
        first["tags"],
        "ann",
        3000,
    )
    assert (two["outputs"], two["source_id"], two["source_type"], two["tags"]) == (["x"], "tr", "TRACE", {"u": "2"})
    found = client.get(f"{API}/{dataset}")["dataset"]
    assert json.loads(found["profile"]) == {"num_records": 2}
    assert json.loads(found["schema"]) == {
        "inputs": {"q": "string", "n": "integer"},
        "outputs": "array",
        "expectations": {"a": "integer", "b": "float"},
        "version": "1.0",
    }
    assert found["digest"] != before


def test_records_come_in_pages_and_are_deleted_by_id(client):
    dataset = make(client)["dataset_id"]
    fill(client, dataset, *({"inputs": {"n": number}} for number in range(5)))
    first = client.get(f"{API}/{dataset}/records", max_results=2)
    ids = [one["dataset_record_id"] for one in json.loads(first["records"])]
    gone = client.send("DELETE", f"{API}/{dataset}/records", dataset_record_ids=[*ids, "dr-none"])
    rest = client.get(f"{API}/{dataset}/records", max_results=3, page_token=first["next_page_token"])

    assert gone == {"deleted_count": 2}
    assert [one["inputs"]["n"] for one in json.loads(rest["records"])] == [2, 3, 4]
    assert "next_page_token" not in rest
    assert json.loads(client.get(f"{API}/{dataset}")["dataset"]["profile"]) == {"num_records": 3}
    other = make(client, "other")["dataset_id"]
    token = first["next_page_token"]
    assert client.refused("GET", f"{API}/{other}/records", page_token=token)[0] == 400
    for wrong in ({"max_results": 0}, {"max_results": 10_001}, {"page_token": "x"}):
        assert client.refused("GET", f"{API}/{dataset}/records", **wrong)[0] == 400


def test_a_search_finds_datasets_by_name_tags_times_and_experiments(client, clock, site):
    lab = str(site.db.write(lambda tx: experiments.create(tx, site, "lab")).id)
    make(client, "qa", tags='{"team": "ops"}', experiment_ids=["0"])
    clock.advance(1)
    make(client, "red", tags='{"team": "sales", "mlflow.user": "bob"}', experiment_ids=["0", lab])
    clock.advance(1)
    make(client, "QA-2")

    assert names(client) == ["QA-2", "red", "qa"]
    assert names(client, order_by=["name ASC"]) == ["QA-2", "qa", "red"]
    assert names(client, order_by=["created_time ASC", "name"]) == ["qa", "red", "QA-2"]
    assert names(client, experiment_ids=[lab]) == ["red"]
    assert names(client, filter_string="name LIKE 'q%'") == ["qa"]
    assert names(client, filter_string="name ILIKE 'q%'") == ["QA-2", "qa"]
    assert names(client, filter_string="name IN ('qa', 'red') and tags.team != 'ops'") == ["red"]
    assert names(client, filter_string="created_by = 'bob'") == ["red"]
    assert names(client, filter_string="created_time > 1767225600000 and last_update_time <= 1767225601000") == ["red"]
    first = client.send("POST", f"{API}/search", max_results=2)
    assert names(client, max_results=2, page_token=first["next_page_token"]) == ["qa"]
    assert [one["name"] for one in client.get(f"{API}/search", max_results=1)["datasets"]] == ["QA-2"]
    for wrong in (
        {"filter_string": "nothing = 'x'"},
        {"filter_string": "created_time LIKE 'x'"},
        {"order_by": ["tags.team"]},
        {"order_by": ["created_by"]},
        {"max_results": 0},
        {"page_token": "x"},
        {"experiment_ids": ["x"]},
        {"page_token": first["next_page_token"], "order_by": ["name"]},
    ):
        assert client.refused("POST", f"{API}/search", **wrong)[0] == 400


def test_tags_are_set_and_taken_off(client):
    dataset = make(client, tags='{"a": "1"}')["dataset_id"]

    client.send("PATCH", f"{API}/{dataset}/tags", tags='{"a": "2", "b": {"c": 1}, "none": null}')
    client.send("DELETE", f"{API}/{dataset}/tags/a")
    client.send("DELETE", f"{API}/{dataset}/tags/a")

    assert json.loads(client.get(f"{API}/{dataset}")["dataset"]["tags"]) == {"b": '{"c": 1}'}
    for wrong in ("", "[1]", "{", '{"": "x"}', json.dumps({"k": "x" * 5001}), "[" * 100):
        assert client.refused("PATCH", f"{API}/{dataset}/tags", tags=wrong)[0] == 400
    assert client.refused("PATCH", f"{API}/d-none/tags", tags='{"a": "1"}')[0] == 404


def test_a_dataset_joins_and_leaves_experiments(client, site):
    lab = str(site.db.write(lambda tx: experiments.create(tx, site, "lab")).id)
    dataset = make(client)["dataset_id"]

    joined = client.send("POST", f"{API}/{dataset}/add-experiments", experiment_ids=["0", lab, lab])
    left = client.send("POST", f"{API}/{dataset}/remove-experiments", experiment_ids=["0", "77"])

    assert joined["dataset"]["experiment_ids"] == ["0", lab]
    assert left["dataset"]["experiment_ids"] == [lab]
    assert client.get(f"{API}/{dataset}/experiment-ids") == {"experiment_ids": [lab]}
    assert client.refused("POST", f"{API}/{dataset}/add-experiments", experiment_ids=["77"])[0] == 404
    assert client.refused("POST", f"{API}/d-none/add-experiments", experiment_ids=["0"])[0] == 404
    assert client.refused("POST", f"{API}/create", name="x", experiment_ids=["77"])[0] == 404
    assert names(client) == ["qa"]


def test_a_deleted_dataset_is_gone_with_its_records_and_the_ledger_says_which(client, site):
    dataset = make(client, tags='{"a": "1"}', experiment_ids=["0"])["dataset_id"]
    fill(client, dataset, {"inputs": {"q": 1}})

    client.send("DELETE", f"{API}/{dataset}")
    client.send("DELETE", f"{API}/{dataset}")

    assert client.refused("GET", f"{API}/{dataset}") == (404, "RESOURCE_DOES_NOT_EXIST")
    assert client.refused("GET", f"{API}/{dataset}/records")[0] == 404
    assert client.refused("GET", f"{API}/{dataset}/experiment-ids")[0] == 404
    with site.db.read() as reader:
        told = [one for one in reader.all(Entry, "ledger.from", seq=1, count=99) if one.kind == "evaluation.deleted"]
        assert reader.value("evaluations.count_records", dataset=dataset) == 0
    assert [one.subject for one in told] == [f"evaluation:{dataset}"]


@pytest.mark.parametrize(
    "records",
    [
        "",
        "{",
        "{}",
        "[1]",
        '[{"inputs": []}]',
        '[{"inputs": {"q": 1}, "expectations": []}]',
        '[{"inputs": {}, "tags": "x"}]',
        '[{"inputs": {}, "source": {"source_type": "GUESS"}}]',
        json.dumps([{"inputs": {"q": "x" * (1 << 20)}}]),
        json.dumps([{"inputs": {"n": n}} for n in range(10_001)]),
        '[{"inputs": {"q": ' + "[" * 70 + "]" * 70 + "}}]",
    ],
)
def test_records_that_cannot_be_kept_are_refused_together(client, records):
    dataset = make(client)["dataset_id"]
    fill(client, dataset, {"inputs": {"kept": True}})

    assert client.refused("POST", f"{API}/{dataset}/records", records=records)[0] == 400
    assert len(read(client, dataset)) == 1


def test_a_dataset_has_a_limit_of_records(client, monkeypatch):
    monkeypatch.setattr(recorded, "DATASET_MAX", 2)
    dataset = make(client)["dataset_id"]

    body = json.dumps([{"inputs": {"n": number}} for number in range(3)])
    assert client.refused("POST", f"{API}/{dataset}/records", records=body)[0] == 400
    assert read(client, dataset) == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 501])
def test_a_dataset_needs_a_name(client, name):
    assert client.refused("POST", f"{API}/create", name=name)[0] == 400
