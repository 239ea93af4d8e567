"""Autologging of scikit-learn, XGBoost and LightGBM; PyTorch's is in `pytorch`."""

from __future__ import annotations

# All of them first: MLflow's hooks, which wait for an import, and pytest's, which rewrites it, do not agree.
import lightgbm
import mlflow
import numpy as np
import pytest
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.tree import DecisionTreeClassifier

pytestmark = pytest.mark.filterwarnings("ignore")
ROWS = np.random.default_rng(7).normal(size=(80, 3))
LABELS = (ROWS[:, 0] > 0).astype(int)


@pytest.fixture(autouse=True)
def _off_again():
    yield
    mlflow.autolog(disable=True)


def only_run(client, experiment):
    (run,) = client.search_runs([experiment])
    return client.get_run(run.info.run_id)


def test_scikit_learn_logs_its_parameters_scores_data_and_model(client, experiment):
    mlflow.sklearn.autolog()
    LogisticRegression(C=0.5).fit(ROWS, LABELS)

    run = only_run(client, experiment)
    assert run.data.params["C"] == "0.5"
    assert run.data.metrics["training_accuracy_score"] > 0.8
    assert run.data.tags["estimator_name"] == "LogisticRegression"
    assert run.info.status == "FINISHED"
    assert run.inputs.dataset_inputs
    (model,) = run.outputs.model_outputs
    assert list(mlflow.sklearn.load_model(f"models:/{model.model_id}").predict(ROWS[:5])) == list(
        mlflow.pyfunc.load_model(f"models:/{model.model_id}").predict(ROWS[:5])
    )


def test_a_grid_search_logs_its_children(client, experiment):
    mlflow.sklearn.autolog(log_models=False, log_datasets=False, max_tuning_runs=2)
    GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2).fit(ROWS, LABELS)

    runs = client.search_runs([experiment])
    assert len(runs) == 3
    parents = [one for one in runs if "mlflow.parentRunId" not in one.data.tags]
    assert len(parents) == 1
    assert parents[0].data.params["best_C"] in ("0.1", "1.0")


def test_xgboost_logs_every_round(client, experiment):
    mlflow.xgboost.autolog(log_models=False)
    table = xgboost.DMatrix(ROWS, LABELS)
    xgboost.train({"objective": "binary:logistic", "max_depth": 2}, table, num_boost_round=5, evals=[(table, "train")])

    run = only_run(client, experiment)
    assert run.data.params["max_depth"] == "2"
    assert len(client.get_metric_history(run.info.run_id, "train-logloss")) == 5
    assert any("feature_importance" in one.path for one in client.list_artifacts(run.info.run_id))


def test_lightgbm_logs_every_round(client, experiment):
    mlflow.lightgbm.autolog(log_models=False)
    table = lightgbm.Dataset(ROWS, LABELS)
    lightgbm.train(
        {"objective": "binary", "num_leaves": 4, "verbose": -1}, table, num_boost_round=5, valid_sets=[table]
    )

    run = only_run(client, experiment)
    assert run.data.params["num_leaves"] == "4"
    assert len(client.get_metric_history(run.info.run_id, "training-binary_logloss")) == 5


def test_the_general_switch_takes_what_is_there(client, experiment):
    mlflow.autolog(log_models=False, log_datasets=False, silent=True)
    with mlflow.start_run(run_name="switched"):
        DecisionTreeClassifier(max_depth=2).fit(ROWS, LABELS)

    assert only_run(client, experiment).data.params["max_depth"] == "2"
