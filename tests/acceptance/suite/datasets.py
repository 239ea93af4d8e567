"""Datasets that runs used, and models that they took in and gave out."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.entities import DatasetInput, InputTag, LoggedModelInput, LoggedModelOutput

pytestmark = pytest.mark.filterwarnings("ignore")


def test_a_frame_is_logged_with_its_schema_profile_and_context(client, experiment):
    frame = pd.DataFrame({"a": [1.0, 2.0], "label": [0, 1]})
    dataset = mlflow.data.from_pandas(frame, source="s3://bucket/train.csv", name="train", targets="label")

    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training", tags={"part": "first"})

    (kept,) = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert (kept.dataset.name, kept.dataset.digest) == ("train", dataset.digest)
    assert '"num_rows": 2' in kept.dataset.profile
    assert "label" in kept.dataset.schema
    assert kept.dataset.source_type == "s3"
    assert {one.key: one.value for one in kept.tags} == {"mlflow.data.context": "training", "part": "first"}
    source = mlflow.data.get_source(kept.dataset)
    assert source.uri == "s3://bucket/train.csv"


def test_many_datasets_go_in_one_call_and_once_each(client, experiment):
    train = mlflow.data.from_numpy(np.zeros((3, 2)), name="zeros")
    test = mlflow.data.from_numpy(np.ones((3, 2)), name="ones")

    with mlflow.start_run() as run:
        mlflow.log_inputs([train, test], ["training", "test"], [{"a": "1"}, {}])
        mlflow.log_input(train, context="training")

    kept = client.get_run(run.info.run_id).inputs.dataset_inputs
    assert {one.dataset.name for one in kept} == {"zeros", "ones"}
    assert len(kept) == 2


def test_the_same_dataset_in_two_runs_is_one(client, experiment):
    dataset = mlflow.data.from_pandas(pd.DataFrame({"a": [1]}), source="there", name="same")
    for _ in range(2):
        with mlflow.start_run():
            mlflow.log_input(dataset)

    found = client.search_runs([experiment], "dataset.name = 'same'")
    assert len(found) == 2
    assert len({one.inputs.dataset_inputs[0].dataset.digest for one in found}) == 1


def test_the_client_logs_inputs_by_itself(client, run):
    dataset = mlflow.data.from_pandas(pd.DataFrame({"a": [1]}), source="there", name="own")

    client.log_inputs(run, [DatasetInput(dataset._to_mlflow_entity(), [InputTag("x", "y")])])

    (kept,) = client.get_run(run).inputs.dataset_inputs
    assert [(one.key, one.value) for one in kept.tags] == [("x", "y")]


def test_models_are_inputs_and_outputs_of_runs(client, experiment, run):
    taken = client.create_logged_model(experiment, name="taken")
    given = client.create_logged_model(experiment, name="given", source_run_id=run)

    client.log_inputs(run, models=[LoggedModelInput(model_id=taken.model_id)])
    client.log_outputs(run, [LoggedModelOutput(model_id=given.model_id, step=4)])

    found = client.get_run(run)
    assert [one.model_id for one in found.inputs.model_inputs] == [taken.model_id]
    assert [(one.model_id, one.step) for one in found.outputs.model_outputs] == [(given.model_id, 4)]


def test_evaluation_datasets_are_made_filled_searched_and_deleted(client, experiment, unique):
    from mlflow.genai.datasets import create_dataset, delete_dataset, get_dataset, search_datasets

    name = unique("golden")
    made = create_dataset(name=name, experiment_id=experiment, tags={"team": "qa"})
    made.merge_records(
        [
            {"inputs": {"question": "a?"}, "expectations": {"answer": "a"}},
            {"inputs": {"question": "b?"}, "expectations": {"answer": "b"}},
        ]
    )
    made.merge_records([{"inputs": {"question": "a?"}, "expectations": {"answer": "A"}}])

    found = get_dataset(dataset_id=made.dataset_id)
    assert found.name == name
    assert found.tags["team"] == "qa"
    frame = found.to_df()
    assert len(frame) == 2
    assert {one["answer"] for one in frame["expectations"]} == {"A", "b"}
    assert made.dataset_id in {one.dataset_id for one in search_datasets(experiment_ids=[experiment])}
    assert [one.dataset_id for one in search_datasets(filter_string=f"name = '{name}'")] == [made.dataset_id]
    client.set_dataset_tags(made.dataset_id, {"state": "ready"})
    assert client.get_dataset(made.dataset_id).tags["state"] == "ready"
    client.delete_dataset_tag(made.dataset_id, "state")
    assert "state" not in client.get_dataset(made.dataset_id).tags
    other = client.create_experiment(unique("other"))
    client.add_dataset_to_experiments(made.dataset_id, [other])
    assert set(client.get_dataset(made.dataset_id).experiment_ids) == {experiment, other}
    client.remove_dataset_from_experiments(made.dataset_id, [other])
    delete_dataset(dataset_id=made.dataset_id)
    with pytest.raises(mlflow.exceptions.MlflowException):
        get_dataset(dataset_id=made.dataset_id)
