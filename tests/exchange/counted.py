"""Prints what MLflow's own client finds at MLFLOW_TRACKING_URI, as a script that runs in `.venv-mlflow`."""

import json
import os
import sys

import mlflow
from mlflow import MlflowClient
from mlflow.entities import ViewType

client = MlflowClient()
told = {"experiments": {}, "runs": {}, "models": {}}
for experiment in client.search_experiments(view_type=ViewType.ALL):
    told["experiments"][experiment.name] = [experiment.lifecycle_stage, dict(experiment.tags)]
    for run in client.search_runs([experiment.experiment_id], run_view_type=ViewType.ALL):
        number = run.info.run_id
        told["runs"][run.info.run_name] = {
            "id": number,
            "status": run.info.status,
            "stage": run.info.lifecycle_stage,
            "params": run.data.params,
            # The file store keeps a point twice that was logged twice; it is one.
            "points": {
                key: len({repr(one.to_dictionary()) for one in client.get_metric_history(number, key)})
                for key in sorted(run.data.metrics)
            },
            "files": sorted(one.path for one in client.list_artifacts(number)),
            "datasets": [one.dataset.name for one in run.inputs.dataset_inputs],
            "models": len(run.outputs.model_outputs),
        }
for model in client.search_registered_models():
    versions = client.search_model_versions(f"name = '{model.name}'")
    told["models"][model.name] = {
        "description": model.description,
        "aliases": {alias: int(version) for alias, version in model.aliases.items()},
        "versions": {int(one.version): [one.current_stage, one.description or "", one.tags] for one in versions},
    }
mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
told["prediction"] = [int(one) for one in mlflow.sklearn.load_model("models:/churn@champion").predict([[1.0], [0.0]])]
sys.stdout.write("told " + json.dumps(told, sort_keys=True) + "\n")
