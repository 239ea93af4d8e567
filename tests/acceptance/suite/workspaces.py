"""Workspaces: made, listed, changed and deleted by the client, and everything that is logged in one stays there."""

import os
import uuid

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


@pytest.fixture
def outside():
    """Leave no workspace set, whatever a test does."""
    yield
    mlflow.set_workspace(None)


@pytest.fixture
def pair(outside):
    """Two workspaces."""
    names = [f"ws-{uuid.uuid4().hex[:12]}" for _ in range(2)]
    for name in names:
        mlflow.create_workspace(name, description=f"of {name}")
    yield names
    mlflow.set_workspace(None)
    for name in names:
        mlflow.delete_workspace(name, mode="CASCADE")


def refusal(work):
    with pytest.raises(MlflowException) as caught:
        work()
    return caught.value.error_code


def test_workspaces_are_made_listed_changed_and_deleted(outside):
    name = f"ws-{uuid.uuid4().hex[:12]}"

    made = mlflow.create_workspace(name, description="first")
    assert (made.name, made.description) == (name, "first")
    assert mlflow.get_workspace(name).description == "first"
    assert mlflow.update_workspace(name, description="second").description == "second"
    assert {"default", name} <= {one.name for one in mlflow.list_workspaces()}
    assert refusal(lambda: mlflow.create_workspace(name)) == "RESOURCE_ALREADY_EXISTS"
    assert refusal(lambda: mlflow.create_workspace("default")) == "INVALID_PARAMETER_VALUE"
    assert refusal(lambda: mlflow.delete_workspace("default")) == "INVALID_PARAMETER_VALUE"
    mlflow.delete_workspace(name)

    assert name not in {one.name for one in mlflow.list_workspaces()}
    assert refusal(lambda: mlflow.get_workspace(name)) == "RESOURCE_DOES_NOT_EXIST"


def test_one_that_holds_something_is_deleted_only_with_all_of_it(outside):
    name = f"ws-{uuid.uuid4().hex[:12]}"
    mlflow.create_workspace(name)
    mlflow.set_workspace(name)
    mlflow.set_experiment("full")

    assert refusal(lambda: mlflow.delete_workspace(name)) == "INVALID_STATE"
    assert refusal(lambda: mlflow.delete_workspace(name, mode="SET_DEFAULT")) == "NOT_IMPLEMENTED"
    mlflow.delete_workspace(name, mode="CASCADE")


def test_a_workspace_that_is_not_there_is_said_to_be_missing(outside):
    mlflow.set_workspace(f"ws-{uuid.uuid4().hex[:12]}")

    assert refusal(lambda: MlflowClient().search_experiments()) == "RESOURCE_DOES_NOT_EXIST"


def test_the_same_names_in_two_workspaces_are_two_things(pair):
    runs = {}
    for name in pair:
        mlflow.set_workspace(name)
        client = MlflowClient()
        mlflow.set_experiment("same")
        with mlflow.start_run(run_name=name) as run:
            mlflow.log_param("where", name)
            mlflow.log_metric("loss", 0.5, step=1)
            mlflow.log_text(name, "notes/where.txt")
        client.create_registered_model("model")
        version = client.create_model_version("model", f"runs:/{run.info.run_id}/notes", run.info.run_id)
        client.set_registered_model_alias("model", "champion", version.version)
        runs[name] = run.info.run_id

    for name, other in (pair, pair[::-1]):
        mlflow.set_workspace(name)
        client = MlflowClient()
        found = mlflow.search_runs(experiment_names=["same"], output_format="list")
        assert [one.info.run_id for one in found] == [runs[name]]
        assert found[0].data.params == {"where": name}
        assert mlflow.artifacts.load_text(f"runs:/{runs[name]}/notes/where.txt") == name
        assert client.get_model_version_by_alias("model", "champion").run_id == runs[name]
        assert refusal(lambda client=client, other=other: client.get_run(runs[other])) == "RESOURCE_DOES_NOT_EXIST"
    mlflow.set_workspace(None)
    assert refusal(lambda: MlflowClient().get_run(runs[pair[0]])) == "RESOURCE_DOES_NOT_EXIST"


def test_traces_stay_in_their_workspace(pair):
    for name in pair:
        mlflow.set_workspace(name)
        mlflow.set_experiment("traced")
        with mlflow.start_span(f"span-of-{name}") as span:
            span.set_inputs({"where": name})
        mlflow.flush_trace_async_logging()

    for name in pair:
        mlflow.set_workspace(name)
        home = MlflowClient().get_experiment_by_name("traced").experiment_id
        found = mlflow.search_traces(locations=[home], return_type="list")
        assert [one.data.spans[0].name for one in found] == [f"span-of-{name}"]


def test_the_address_of_a_workspace_is_enough_for_clients_that_know_none(pair):
    name = pair[0]
    address = f"{mlflow.get_tracking_uri()}/workspaces/{name}"

    client = MlflowClient(tracking_uri=address, registry_uri=address)
    experiment = client.create_experiment("by-address")
    mlflow.set_workspace(name)

    assert MlflowClient().get_experiment(experiment).name == "by-address"
    assert os.environ["MLFLOW_WORKSPACE"] == name
