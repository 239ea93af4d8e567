"""Runs at MLflow's door: begun, moved, shown, tagged, deleted, restored; what is wrong changes nothing."""

import pytest

from api.asking import Client
from ropewalk.api.mlflow import experiments, metrics, runs

MODEL = '{"artifact_path": "m", "flavors": {}, "utc_time_created": "now", "run_id": "x"}'
ROUTES = (*experiments.ROUTES, *runs.ROUTES, *metrics.ROUTES)


@pytest.fixture
def client(site):
    return Client(site, ROUTES)


def begin(client, **more):
    return client.send("POST", "runs/create", **more)["run"]["info"]["run_id"]


def shown(client, run_id):
    return client.get("runs/get", run_id=run_id)["run"]


def tags(client, run_id):
    return {one["key"]: one["value"] for one in shown(client, run_id)["data"].get("tags", [])}


def test_a_run_is_shown_as_it_was_begun(client):
    tag = [{"key": "mlflow.user", "value": "ann"}, {"key": "team", "value": "ops"}]

    made = client.send("POST", "runs/create", experiment_id="0", run_name="first", start_time=1234, tags=tag)["run"]

    run_id = made["info"]["run_id"]
    assert made["info"] == {
        "run_id": run_id,
        "run_uuid": run_id,
        "run_name": "first",
        "experiment_id": "0",
        "user_id": "ann",
        "status": "RUNNING",
        "start_time": 1234,
        "artifact_uri": f"mlflow-artifacts:/0/{run_id}/artifacts",
        "lifecycle_stage": "active",
    }
    assert shown(client, run_id) == made
    assert tags(client, run_id) == {"mlflow.runName": "first", "mlflow.user": "ann", "team": "ops"}
    assert client.get("runs/get", run_uuid=run_id)["run"] == made


def test_a_number_may_come_as_a_text(client, clock):
    assert shown(client, begin(client, start_time="1234"))["info"]["start_time"] == 1234
    assert shown(client, begin(client))["info"]["start_time"] == clock.now_us() // 1000


@pytest.mark.parametrize(
    ("status", "word"), [("FINISHED", "FINISHED"), ("KILLED", "KILLED"), (3, "FINISHED"), ("4", "FAILED")]
)
def test_an_update_answers_what_the_run_is_now(client, status, word):
    run_id = begin(client, run_name="a")

    found = client.send("POST", "runs/update", run_id=run_id, status=status, end_time=99, run_name="b")["run_info"]

    assert (found["status"], found["end_time"], found["run_name"]) == (word, 99, "b")
    assert found == shown(client, run_id)["info"]
    assert tags(client, run_id)["mlflow.runName"] == "b"


def test_an_update_of_nothing_changes_nothing(client):
    run_id = begin(client)
    before = shown(client, run_id)

    client.send("POST", "runs/update", run_id=run_id)

    assert shown(client, run_id) == before


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/update", {"status": "DONE"}), ("runs/update", {"end_time": -1}),
        ("runs/update", {"run_name": "x" * 501}),
        ("runs/set-tag", {"key": "", "value": "x"}), ("runs/set-tag", {"key": "../a", "value": "x"}),
        ("runs/set-tag", {"key": "x" * 251, "value": "x"}),
        ("runs/set-tag", {"key": "ropewalk.heartbeat_seconds", "value": "-3"}), ("runs/delete-tag", {"key": "nope"}),
        ("runs/delete-tag", {}), ("runs/log-parameter", {"value": "x"}), ("runs/log-parameter", {"key": "a;b"}),
        ("runs/log-metric", {"key": "k", "timestamp": 1}),
        ("runs/log-metric", {"key": "k", "value": 1}), ("runs/log-metric", {"value": 1, "timestamp": 1}),
        ("runs/log-metric", {"key": "k", "value": "high", "timestamp": 1}),
        ("runs/log-metric", {"key": "k", "value": True, "timestamp": 1}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": -1}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 1, "step": 1 << 63}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 1 << 70}),
        ("runs/log-metric", {"key": "k\\u0000", "value": 1, "timestamp": 1}),
        ("runs/log-model", {"model_json": "{"}), ("runs/log-model", {"model_json": "[]"}),
        ("runs/log-model", {"model_json": '{"run_id": "x"}'}), ("runs/log-model", {}),
    ],
)  # fmt: skip
def test_what_is_wrong_is_refused_and_changes_nothing(client, path, body):
    run_id = begin(client, run_name="a")
    before = shown(client, run_id)

    status, _ = client.refused("POST", path, run_id=run_id, **body)

    assert status in {400, 404}
    assert shown(client, run_id) == before


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "runs/get", {}), ("POST", "runs/update", {"status": "FINISHED"}), ("POST", "runs/delete", {}),
        ("POST", "runs/restore", {}), ("POST", "runs/set-tag", {"key": "k", "value": "v"}),
        ("POST", "runs/delete-tag", {"key": "k"}), ("POST", "runs/log-parameter", {"key": "k", "value": "v"}),
        ("POST", "runs/log-metric", {"key": "k", "value": 1, "timestamp": 1}), ("POST", "runs/log-batch", {}),
        ("GET", "metrics/get-history", {"metric_key": "k"}),
        ("POST", "runs/log-model", {"model_json": MODEL}),
    ],
)  # fmt: skip
def test_a_run_has_to_be_named_and_to_be_there(client, method, path, body):
    assert client.refused(method, path, **body) == (400, "INVALID_PARAMETER_VALUE")
    assert client.refused(method, path, run_id="f" * 32, **body) == (404, "RESOURCE_DOES_NOT_EXIST")


def test_tags_are_set_overwritten_and_taken_away(client):
    run_id = begin(client, run_name="a")
    for value in ("1", "", "3"):
        client.send("POST", "runs/set-tag", run_id=run_id, key="k", value=value)
        assert tags(client, run_id) == {"mlflow.runName": "a", "k": value}

    client.send("POST", "runs/delete-tag", run_id=run_id, key="k")

    assert tags(client, run_id) == {"mlflow.runName": "a"}


def test_a_deleted_run_is_shown_and_takes_nothing(client):
    run_id = begin(client)
    client.send("POST", "runs/delete", run_id=run_id)
    assert shown(client, run_id)["info"]["lifecycle_stage"] == "deleted"

    for path, body in (
        ("runs/set-tag", {"key": "k", "value": "v"}),
        ("runs/log-metric", {"key": "k", "value": 1, "timestamp": 1}),
        ("runs/log-batch", {"params": [{"key": "k", "value": "v"}]}),
        ("runs/update", {"status": "FINISHED"}),
    ):
        assert client.refused("POST", path, run_id=run_id, **body) == (400, "INVALID_PARAMETER_VALUE")

    client.send("POST", "runs/restore", run_id=run_id)
    client.send("POST", "runs/set-tag", run_id=run_id, key="k", value="v")
    assert tags(client, run_id)["k"] == "v"


def test_models_of_old_clients_are_noted_in_a_tag(client):
    run_id = begin(client)
    for _ in range(2):
        client.send("POST", "runs/log-model", run_id=run_id, model_json=MODEL)

    assert tags(client, run_id)["mlflow.log-model.history"].count('"artifact_path"') == 2


def test_a_run_of_ours_is_not_moved_but_renamed(client, site):
    from ropewalk.leases import take
    from ropewalk.runs import run as native
    from ropewalk.source.commit import Commit

    commit = Commit(sha="c" * 40, branch="main", author="Ann", message="m", dirty=False, diff=b"")
    run = site.db.write(
        lambda tx: native.start(
            tx, site, kind="pipeline", pipeline="pipeline.py:train", args={}, code="", commit=commit, environment="",
            lease=take(site.clock.now_us(), 1),
        )
    )  # fmt: skip

    assert client.refused("POST", "runs/update", run_id=run.id, status="KILLED") == (400, "INVALID_STATE")
    client.send("POST", "runs/update", run_id=run.id, run_name="mine")

    assert shown(client, run.id)["info"]["run_name"] == "mine"
    assert tags(client, run.id)["mlflow.source.git.commit"] == "c" * 40
