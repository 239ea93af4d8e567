"""Logged models: made, finished, searched, tagged, deleted; and whole models logged and loaded in every way."""

from __future__ import annotations

import mlflow
import numpy as np
import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import MlflowException

pytestmark = pytest.mark.filterwarnings("ignore")
REQUIREMENTS = ["scikit-learn"]


@pytest.fixture
def fitted():
    from sklearn.linear_model import LogisticRegression

    rows = np.array([[0.0], [1.0], [2.0], [3.0]])
    return LogisticRegression().fit(rows, [0, 0, 1, 1])


def test_a_logged_model_lives_from_pending_to_ready(client, experiment, run):
    made = client.create_logged_model(
        experiment, name="net", source_run_id=run, tags={"colour": "red"}, params={"depth": "3"}, model_type="agent"
    )

    assert made.status == LoggedModelStatus.PENDING
    done = client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    assert done.status == LoggedModelStatus.READY
    found = client.get_logged_model(made.model_id)
    assert (found.name, found.source_run_id, found.experiment_id) == ("net", run, experiment)
    assert (found.tags["colour"], found.params, found.model_type) == ("red", {"depth": "3"}, "agent")
    assert found.model_id.startswith("m-")


def test_tags_and_parameters_of_a_logged_model_change(client, experiment):
    made = client.create_logged_model(experiment, name="net")

    client.set_logged_model_tags(made.model_id, {"a": "1", "b": "2"})
    client.delete_logged_model_tag(made.model_id, "a")
    client.log_model_params(made.model_id, {"depth": "3"})

    found = client.get_logged_model(made.model_id)
    assert "a" not in found.tags
    assert found.tags["b"] == "2"
    assert found.params == {"depth": "3"}


def test_logged_models_are_searched_by_everything(client, experiment):
    from mlflow.entities import Metric

    made = []
    for number in range(4):
        one = client.create_logged_model(experiment, name=f"net{number}", params={"depth": str(number)})
        run = client.create_run(experiment).info.run_id
        client.log_batch(run, metrics=[Metric("auc", number / 10, 1000, 0, one.model_id)])
        made.append(one.model_id)
    client.set_logged_model_tags(made[2], {"colour": "red"})

    def found(wanted, **more):
        return [made.index(one.model_id) for one in client.search_logged_models([experiment], wanted, **more)]

    by_auc = [{"field_name": "metrics.auc", "ascending": False}]
    assert found("metrics.auc > 0.05", order_by=by_auc) == [3, 2, 1]
    assert found("params.depth = '2'") == [2]
    assert found("name = 'net1'") == [1]
    assert found("tags.colour = 'red'") == [2]
    assert sorted(found(None)) == [0, 1, 2, 3]
    first = client.search_logged_models([experiment], order_by=by_auc, max_results=3)
    rest = client.search_logged_models([experiment], order_by=by_auc, max_results=3, page_token=first.token)
    assert [made.index(one.model_id) for one in [*first, *rest]] == [3, 2, 1, 0]


def test_a_deleted_logged_model_is_gone(client, experiment):
    made = client.create_logged_model(experiment, name="net")

    client.delete_logged_model(made.model_id)

    with pytest.raises(MlflowException) as told:
        client.get_logged_model(made.model_id)
    assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    assert client.search_logged_models([experiment]) == []


def test_an_unknown_logged_model_is_said_to_be_unknown(client):
    with pytest.raises(MlflowException) as told:
        client.get_logged_model("m-" + "0" * 32)
    assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"


def test_a_scikit_model_is_logged_and_loaded_in_both_ways(client, experiment, fitted):
    from mlflow.models import infer_signature

    rows = np.array([[0.5], [2.5]])
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(
            fitted,
            name="model",
            signature=infer_signature(rows, fitted.predict(rows)),
            input_example=rows,
            pip_requirements=REQUIREMENTS,
        )

    assert list(mlflow.sklearn.load_model(info.model_uri).predict(rows)) == [0, 1]
    assert list(mlflow.pyfunc.load_model(f"models:/{info.model_id}").predict(rows)) == [0, 1]
    assert list(mlflow.pyfunc.load_model(f"runs:/{run.info.run_id}/model").predict(rows)) == [0, 1]
    kept = client.get_logged_model(info.model_id)
    assert (kept.status, kept.source_run_id) == (LoggedModelStatus.READY, run.info.run_id)
    assert [one.model_id for one in client.get_run(run.info.run_id).outputs.model_outputs] == [info.model_id]
    assert "MLmodel" in {one.path for one in client.list_logged_model_artifacts(info.model_id)}
    loaded = mlflow.models.get_model_info(info.model_uri)
    assert loaded.signature is not None


def test_a_function_of_one_s_own_is_a_model(experiment):
    class Twice(mlflow.pyfunc.PythonModel):
        def predict(self, context, model_input, params=None):
            return [2 * one for one in model_input]

    with mlflow.start_run():
        info = mlflow.pyfunc.log_model(name="twice", python_model=Twice(), pip_requirements=REQUIREMENTS)

    assert mlflow.pyfunc.load_model(info.model_uri).predict([1, 2]) == [2, 4]


def test_a_model_is_loaded_by_version_alias_and_stage(client, experiment, fitted, unique):
    name, rows = unique("churn"), np.array([[0.5], [2.5]])
    with mlflow.start_run():
        mlflow.sklearn.log_model(
            fitted, name="model", registered_model_name=name, pip_requirements=REQUIREMENTS, input_example=rows
        )
    client.set_registered_model_alias(name, "champion", "1")
    client.transition_model_version_stage(name, "1", "Production")

    for address in (f"{name}/1", f"{name}@champion", f"{name}/Production", f"{name}/latest"):
        assert list(mlflow.sklearn.load_model(f"models:/{address}").predict(rows)) == [0, 1], address
        assert list(mlflow.pyfunc.load_model(f"models:/{address}").predict(rows)) == [0, 1], address


def test_a_model_of_a_run_is_registered_afterwards(client, experiment, fitted, unique):
    name = unique("later")
    with mlflow.start_run() as run:
        info = mlflow.sklearn.log_model(fitted, name="model", pip_requirements=REQUIREMENTS)

    first = mlflow.register_model(info.model_uri, name, tags={"colour": "red"})
    second = mlflow.register_model(f"runs:/{run.info.run_id}/model", name)

    assert (first.version, second.version) in ((1, 2), ("1", "2"))
    assert client.get_model_version(name, "1").tags == {"colour": "red"}
    assert client.get_model_version(name, "1").source == f"models:/{info.model_id}"
    assert client.get_model_version(name, "2").run_id == run.info.run_id
    assert list(mlflow.sklearn.load_model(f"models:/{name}/2").predict(np.array([[2.5]]))) == [1]


def test_an_active_model_gathers_what_is_logged(client, experiment):
    with mlflow.set_active_model(name="agent-v1") as active:
        mlflow.log_model_params({"temperature": "0.1"})

        @mlflow.trace
        def answer(question):
            return question.upper()

        answer("hi")
    mlflow.flush_trace_async_logging()

    assert client.get_logged_model(active.model_id).params == {"temperature": "0.1"}
    found = mlflow.search_traces(locations=[experiment], model_id=active.model_id, return_type="list")
    assert len(found) == 1


def test_an_external_model_is_registered_without_files(experiment):
    made = mlflow.create_external_model(name="elsewhere", params={"size": "7b"})

    assert mlflow.get_logged_model(made.model_id).params == {"size": "7b"}
