"""Experiments at MLflow's door: made, found, renamed, deleted with their runs, restored, tagged, searched in pages."""

import pytest

from api.asking import Client
from ropewalk.api.mlflow import experiments, runs

ROUTES = (*experiments.ROUTES, *runs.ROUTES)


@pytest.fixture
def client(site):
    return Client(site, ROUTES)


def create(client, name, **more):
    return client.send("POST", "experiments/create", name=name, **more)["experiment_id"]


def get(client, number):
    return client.get("experiments/get", experiment_id=number)["experiment"]


def names(client, **asked):
    return [one["name"] for one in client.get("experiments/search", **asked).get("experiments", [])]


def test_there_is_a_default_experiment_from_the_start(client):
    found = get(client, "0")

    assert (found["name"], found["lifecycle_stage"], found["artifact_location"]) == (
        "Default",
        "active",
        "mlflow-artifacts:/0",
    )
    assert names(client) == ["Default"]


def test_an_experiment_is_found_as_it_was_made(client, clock):
    number = create(client, "spring", tags=[{"key": "team", "value": "ops"}], artifact_location="s3://bucket/x")

    found = client.get("experiments/get-by-name", experiment_name="spring")["experiment"]

    assert found == get(client, number)
    assert found["tags"] == [{"key": "team", "value": "ops"}]
    assert found["artifact_location"] == "s3://bucket/x"
    assert found["creation_time"] == found["last_update_time"] == clock.now_us() // 1000


def test_an_experiment_without_a_location_gets_one_of_the_servers(client):
    number = create(client, "spring")

    assert get(client, number)["artifact_location"] == f"mlflow-artifacts:/{number}"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "INVALID_PARAMETER_VALUE"),
        ({"name": ""}, "INVALID_PARAMETER_VALUE"),
        ({"name": "x" * 501}, "INVALID_PARAMETER_VALUE"),
        ({"name": "Default"}, "RESOURCE_ALREADY_EXISTS"),
        ({"name": "a", "artifact_location": "runs:/x"}, "INVALID_PARAMETER_VALUE"),
        ({"name": "a", "artifact_location": "s3://a/../b"}, "INVALID_PARAMETER_VALUE"),
        ({"name": "a", "artifact_location": "s3://" + "x" * 2048}, "INVALID_PARAMETER_VALUE"),
        ({"name": "a", "tags": [{"key": "a;b", "value": "x"}]}, "INVALID_PARAMETER_VALUE"),
        ({"name": "a", "tags": [{"key": "k", "value": "x" * 20_001}]}, "INVALID_PARAMETER_VALUE"),
        ({"name": "a", "tags": [{"key": "x" * 251, "value": "x"}]}, "INVALID_PARAMETER_VALUE"),
        ({"name": 5}, "INVALID_PARAMETER_VALUE"),
    ],
)
def test_what_is_no_experiment_is_refused_and_leaves_nothing(client, body, code):
    assert client.refused("POST", "experiments/create", **body) == (400, code)

    assert names(client) == ["Default"]


def test_the_name_of_a_deleted_experiment_stays_taken(client):
    number = create(client, "spring")
    client.send("POST", "experiments/delete", experiment_id=number)

    found = client.ask("POST", "experiments/create", json={"name": "spring"})

    assert found.json()["error_code"] == "RESOURCE_ALREADY_EXISTS"
    assert "deleted" in found.json()["message"]


def test_a_deletion_takes_the_runs_along_and_a_restoration_brings_them_back(client, clock):
    number = create(client, "spring")
    run = client.send("POST", "runs/create", experiment_id=number)["run"]["info"]["run_id"]
    other = client.send("POST", "runs/create")["run"]["info"]["run_id"]
    clock.advance(1)

    client.send("POST", "experiments/delete", experiment_id=number)
    stages = [client.get("runs/get", run_id=one)["run"]["info"]["lifecycle_stage"] for one in (run, other)]
    assert stages == ["deleted", "active"]
    assert get(client, number)["lifecycle_stage"] == "deleted"
    assert get(client, number)["last_update_time"] > get(client, number)["creation_time"]
    assert client.refused("POST", "runs/create", experiment_id=number) == (400, "INVALID_PARAMETER_VALUE")
    assert client.refused("POST", "experiments/delete", experiment_id=number) == (404, "RESOURCE_DOES_NOT_EXIST")

    client.send("POST", "experiments/restore", experiment_id=number)
    assert client.get("runs/get", run_id=run)["run"]["info"]["lifecycle_stage"] == "active"
    assert client.refused("POST", "experiments/restore", experiment_id=number) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_an_experiment_is_renamed_unless_it_is_deleted_or_the_name_is_taken(client):
    number = create(client, "spring")
    client.send("POST", "experiments/update", experiment_id=number, new_name="summer")
    client.send("POST", "experiments/update", experiment_id=number, new_name="summer")
    assert get(client, number)["name"] == "summer"
    assert client.refused("POST", "experiments/update", experiment_id=number, new_name="Default") == (
        400,
        "RESOURCE_ALREADY_EXISTS",
    )
    assert client.refused("POST", "experiments/update", experiment_id=number)[1] == "INVALID_PARAMETER_VALUE"

    client.send("POST", "experiments/delete", experiment_id=number)

    refused = client.refused("POST", "experiments/update", experiment_id=number, new_name="autumn")
    assert refused == (400, "INVALID_STATE")


def test_tags_are_set_overwritten_and_taken_away(client):
    number = create(client, "spring")
    for value in ("a", "b"):
        client.send("POST", "experiments/set-experiment-tag", experiment_id=number, key="k", value=value)
    assert get(client, number)["tags"] == [{"key": "k", "value": "b"}]

    client.send("POST", "experiments/delete-experiment-tag", experiment_id=number, key="k")

    assert "tags" not in get(client, number)
    again = client.refused("POST", "experiments/delete-experiment-tag", experiment_id=number, key="k")
    assert again == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("number", ["77", "9" * 19])
def test_an_unknown_experiment_is_not_found(client, number):
    for method, path in (("GET", "experiments/get"), ("POST", "experiments/delete"), ("POST", "experiments/restore")):
        assert client.refused(method, path, experiment_id=number)[0] in {400, 404}
    assert client.refused("GET", "experiments/get", experiment_id="77") == (404, "RESOURCE_DOES_NOT_EXIST")
    assert client.refused("GET", "experiments/get-by-name", experiment_name="no") == (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.mark.parametrize("number", ["", "x", "1.5", "-1", "1e3", "\uff19"])
def test_what_is_no_id_is_refused(client, number):
    assert client.refused("GET", "experiments/get", experiment_id=number) == (400, "INVALID_PARAMETER_VALUE")


@pytest.fixture
def four(client, clock):
    made = {}
    for name, team in (("alpha", "ops"), ("beta", "ml"), ("Gamma", "ops")):
        clock.advance(1)
        made[name] = create(client, name, tags=[{"key": "team", "value": team}])
    clock.advance(1)
    made["old"] = create(client, "old")
    client.send("POST", "experiments/delete", experiment_id=made["old"])
    return made


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["Gamma", "beta", "alpha", "Default"]),
        ({"view_type": "ALL"}, ["old", "Gamma", "beta", "alpha", "Default"]),
        ({"view_type": "DELETED_ONLY"}, ["old"]),
        ({"view_type": "2"}, ["old"]),
        ({"filter": "name = 'beta'"}, ["beta"]),
        ({"filter": "attribute.name != 'beta'"}, ["Gamma", "alpha", "Default"]),
        ({"filter": "name LIKE '%a'"}, ["Gamma", "beta", "alpha"]),
        ({"filter": "name ILIKE 'g%'"}, ["Gamma"]),
        ({"filter": "tags.team = 'ops'"}, ["Gamma", "alpha"]),
        ({"filter": "tags.team IS NULL"}, ["Default"]),
        ({"filter": "tag.team IS NOT NULL and name = 'beta'"}, ["beta"]),
        ({"filter": "experiment_id = '0'"}, ["Default"]),
        ({"filter": "experiment_id NOT IN ('0', '1')"}, ["Gamma", "beta"]),
        ({"filter": "creation_time = 0"}, ["Default"]),
        ({"filter": "last_update_time > 0"}, ["Gamma", "beta", "alpha"]),
        ({"order_by": ["name"]}, ["Default", "Gamma", "alpha", "beta"]),
        ({"order_by": ["name DESC"]}, ["beta", "alpha", "Gamma", "Default"]),
        ({"order_by": ["experiment_id ASC"]}, ["Default", "alpha", "beta", "Gamma"]),
        ({"order_by": ["last_update_time DESC", "name"]}, ["Gamma", "beta", "alpha", "Default"]),
    ],
)
def test_a_search_finds_the_experiments_that_it_says(client, four, asked, expected):
    assert names(client, **asked) == expected
    body = client.send("POST", "experiments/search", **asked)
    assert [one["name"] for one in body["experiments"]] == expected


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "size > 3"}, {"filter": "name > 'a'"}, {"filter": "metrics.a > 1"}, {"filter": "name = 'a' or 1"},
        {"filter": "experiment_id LIKE '1%'"}, {"filter": "experiment_id = 'x'"}, {"filter": "creation_time > 1.5"},
        {"order_by": ["size"]}, {"order_by": ["tags.team"]}, {"max_results": 0}, {"max_results": 50_001},
        {"max_results": "many"}, {"view_type": "SOME"}, {"page_token": "x"},
    ],
)  # fmt: skip
def test_a_search_that_is_not_understood_is_refused(client, asked):
    assert client.refused("GET", "experiments/search", **asked)[0] == 400


@pytest.mark.parametrize("order", [[], ["name ASC"], ["creation_time DESC"], ["last_update_time ASC"]])
def test_pages_give_every_experiment_once_even_while_others_are_made(client, clock, order):
    wanted = {create(client, f"e{n}") for n in range(7)} | {"0"}
    found, token = [], ""
    for turn in range(99):
        page = client.get("experiments/search", max_results=3, order_by=order, page_token=token)
        found += [one["experiment_id"] for one in page.get("experiments", [])]
        token = page.get("next_page_token", "")
        if not token:
            break
        create(client, f"later{turn}")

    assert len(found) == len(set(found))
    assert wanted <= set(found)


def test_a_token_belongs_to_its_search(client, four):
    token = client.get("experiments/search", max_results=1)["next_page_token"]

    other = client.refused("GET", "experiments/search", max_results=1, page_token=token, filter="name != 'x'")

    assert other == (400, "INVALID_PARAMETER_VALUE")


def test_every_change_is_in_the_ledger(client, site):
    number = create(client, "spring")
    client.send("POST", "experiments/update", experiment_id=number, new_name="summer")
    client.send("POST", "experiments/set-experiment-tag", experiment_id=number, key="k", value="v")
    client.send("POST", "experiments/delete-experiment-tag", experiment_id=number, key="k")
    client.send("POST", "experiments/delete", experiment_id=number)
    client.send("POST", "experiments/restore", experiment_id=number)

    with site.db.read() as rows:
        said = [row["kind"] for row in rows.rows("ledger.from", seq=1, count=99)]
    words = ("created", "renamed", "tagged", "untagged", "deleted", "restored")
    assert said == [f"experiment.{word}" for word in words]
