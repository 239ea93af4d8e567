"""Asks a guarded server by the variables that MLflow's users know, as a script that runs in `.venv-mlflow`.

Standard input is a list of sets of variables; what came of each is printed as one list.
"""

import json
import os
import sys
import uuid

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException


def attempt() -> str:
    """Read, write, keep a file: say what was let through, and what was said where it ended."""
    client, done = MlflowClient(), ""
    try:
        client.search_experiments()
        done = "read"
        experiment = client.create_experiment(f"guarded-{uuid.uuid4().hex}")
        with mlflow.start_run(experiment_id=experiment) as run:
            mlflow.log_metric("a", 1.0)
            mlflow.log_text("kept", "a.txt")
        if mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/a.txt") == "kept":
            done = "written"
    except MlflowException as error:
        return f"{done} {error.error_code}".strip()
    return done


told = []
for variables in json.load(sys.stdin):
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"):
        os.environ.pop(name, None)
    os.environ.update(variables)
    told.append(attempt())
sys.stdout.write("\n" + json.dumps(told) + "\n")
