"""Runs by the fluent calls and by the client: their life, nesting, names, tags, parameters, deletion."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.entities import Param, RunTag, ViewType
from mlflow.exceptions import MlflowException


def test_a_run_lives_from_start_to_finish(client, experiment):
    with mlflow.start_run(run_name="first", tags={"colour": "red"}, description="what it is") as run:
        assert client.get_run(run.info.run_id).info.status == "RUNNING"
        assert mlflow.active_run().info.run_id == run.info.run_id

    kept = client.get_run(run.info.run_id)
    assert (kept.info.status, kept.info.run_name, kept.info.experiment_id) == ("FINISHED", "first", experiment)
    assert kept.info.end_time >= kept.info.start_time > 0
    assert kept.info.artifact_uri
    assert kept.info.lifecycle_stage == "active"
    assert kept.data.tags["colour"] == "red"
    assert kept.data.tags["mlflow.note.content"] == "what it is"
    assert kept.data.tags["mlflow.runName"] == "first"
    assert kept.data.tags["mlflow.source.type"]
    assert kept.data.tags["mlflow.user"] == kept.info.user_id
    assert len(run.info.run_id) == 32
    assert mlflow.last_active_run().info.run_id == run.info.run_id


def test_a_run_without_a_name_gets_one(client, run):
    found = client.get_run(run)

    assert found.info.run_name
    assert found.data.tags["mlflow.runName"] == found.info.run_name


def test_a_run_that_raised_is_failed(client, experiment):
    with pytest.raises(ZeroDivisionError), mlflow.start_run() as run:
        raise ZeroDivisionError

    assert client.get_run(run.info.run_id).info.status == "FAILED"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED", "KILLED", "SCHEDULED", "RUNNING"])
def test_a_run_takes_every_status(client, run, status):
    client.set_terminated(run, status) if status not in ("SCHEDULED", "RUNNING") else client.update_run(run, status)

    found = client.get_run(run).info
    assert found.status == status


def test_a_finished_run_goes_on_under_its_id(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_param("a", 1)
    with mlflow.start_run(run_id=run.info.run_id):
        mlflow.log_param("b", 2)
        assert client.get_run(run.info.run_id).info.status == "RUNNING"

    found = client.get_run(run.info.run_id)
    assert found.data.params == {"a": "1", "b": "2"}
    assert found.info.status == "FINISHED"


def test_nested_runs_name_their_parent(client, experiment):
    with mlflow.start_run() as parent:
        children = []
        for number in range(3):
            with mlflow.start_run(nested=True) as child:
                mlflow.log_metric("depth", number)
                children.append(child.info.run_id)

    assert client.get_run(children[0]).data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert mlflow.get_parent_run(children[0]).info.run_id == parent.info.run_id
    found = client.search_runs([experiment], f"tags.mlflow.parentRunId = '{parent.info.run_id}'")
    assert {one.info.run_id for one in found} == set(children)


def test_a_name_and_a_status_are_updated(client, run):
    client.update_run(run, status="FINISHED", name="second")

    found = client.get_run(run)
    assert (found.info.status, found.info.run_name) == ("FINISHED", "second")
    assert found.data.tags["mlflow.runName"] == "second"


def test_tags_are_set_overwritten_and_deleted(client, run):
    client.set_tag(run, "colour", "red")
    client.set_tag(run, "colour", "blue")
    client.set_tag(run, "gone", "soon")
    client.set_tag(run, "long", "x" * 8000)
    client.delete_tag(run, "gone")

    tags = client.get_run(run).data.tags
    assert tags["colour"] == "blue"
    assert len(tags["long"]) == 8000
    assert "gone" not in tags
    with pytest.raises(MlflowException) as told:
        client.delete_tag(run, "gone")
    assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_parameters_are_kept_as_text_and_never_change(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_param("depth", 3)
        mlflow.log_params({"rate": 0.1, "none": None, "list": [1, 2], "empty": ""})
        mlflow.log_param("depth", 3)
        with pytest.raises(MlflowException) as told:
            mlflow.log_param("depth", 4)

    assert told.value.error_code == "INVALID_PARAMETER_VALUE"
    params = client.get_run(run.info.run_id).data.params
    assert params == {"depth": "3", "rate": "0.1", "none": "None", "list": "[1, 2]", "empty": ""}


def test_a_long_parameter_is_kept_and_a_longer_one_cut(client, run):
    client.log_param(run, "long", "x" * 6000)
    client.log_batch(run, params=[Param("longer", "x" * 6001)])

    params = client.get_run(run).data.params
    assert len(params["long"]) == 6000
    assert len(params["longer"]) == 6000


@pytest.mark.parametrize("key", ["a.b/c d-e_f", "größe", "a" * 250, "with:colon"])
def test_a_key_of_the_allowed_letters_is_kept(client, run, key):
    client.log_param(run, key, "1")
    client.log_metric(run, key, 1.0)
    client.set_tag(run, key, "1")

    data = client.get_run(run).data
    assert key in data.params
    assert key in data.metrics
    assert key in data.tags


@pytest.mark.parametrize("key", ["../up", "/root", "a//b", "a" * 251, "semi;colon", ""])
def test_a_key_of_other_letters_is_refused(client, run, key):
    for attempt in (
        lambda: client.log_batch(run, params=[Param(key, "1")]),
        lambda: client.log_metric(run, key, 1.0),
    ):
        with pytest.raises(MlflowException) as told:
            attempt()
        assert told.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.get_run(run).data.params == {}


def test_a_batch_is_kept_whole(client, run):
    from mlflow.entities import Metric

    client.log_batch(
        run,
        metrics=[Metric(f"m{number}", number / 2, 1000 + number, number) for number in range(500)],
        params=[Param(f"p{number}", str(number)) for number in range(100)],
        tags=[RunTag(f"t{number}", "x") for number in range(100)],
    )

    data = client.get_run(run).data
    assert len(data.metrics) == 500
    assert data.metrics["m499"] == 249.5
    assert len(data.params) == 100
    assert data.params["p7"] == "7"
    assert data.tags["t99"] == "x"


def test_a_batch_with_a_changed_parameter_changes_nothing(client, run):
    client.log_param(run, "depth", "3")

    with pytest.raises(MlflowException) as told:
        client.log_batch(run, params=[Param("depth", "4")], tags=[RunTag("never", "set")])
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.get_run(run).data.params == {"depth": "3"}


def test_a_deleted_run_comes_back(client, experiment, run):
    client.log_metric(run, "a", 1.0)
    client.delete_run(run)

    assert client.get_run(run).info.lifecycle_stage == "deleted"
    assert client.search_runs([experiment]) == []
    assert len(client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)) == 1
    with pytest.raises(MlflowException):
        client.log_metric(run, "a", 2.0)

    client.restore_run(run)
    assert client.get_run(run).info.lifecycle_stage == "active"
    assert client.get_run(run).data.metrics == {"a": 1.0}


def test_an_unknown_run_is_said_to_be_unknown(client):
    for attempt in (
        lambda: client.get_run("0" * 32),
        lambda: client.log_metric("0" * 32, "a", 1),
        lambda: client.set_tag("0" * 32, "a", "1"),
        lambda: client.set_terminated("0" * 32),
    ):
        with pytest.raises(MlflowException) as told:
            attempt()
        assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_an_unknown_experiment_takes_no_run(client):
    with pytest.raises(MlflowException) as told:
        client.create_run("987654321")
    assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"
