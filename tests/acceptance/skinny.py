"""What the small client is used for, as a script that runs in `.venv-skinny`: runs, search, artifacts, the registry."""

import sys
import uuid
from pathlib import Path

import mlflow
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

assert "pandas" not in sys.modules
client = MlflowClient()
experiment = mlflow.set_experiment(f"skinny-{uuid.uuid4().hex}")
with mlflow.start_run(run_name="small") as run:
    mlflow.log_params({"depth": 3, "rate": 0.1})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.set_tag("colour", "red")
    mlflow.log_text("hello", "deep/a.txt")
    mlflow.log_dict({"a": 1}, "a.json")

found = client.search_runs([experiment.experiment_id], "metrics.loss < 0.5 and params.depth = '3'")
assert [one.info.run_id for one in found] == [run.info.run_id]
assert len(client.get_metric_history(run.info.run_id, "loss")) == 5
assert {one.path for one in client.list_artifacts(run.info.run_id)} == {"deep", "a.json"}
assert Path(client.download_artifacts(run.info.run_id, "deep/a.txt", ".")).read_text() == "hello"

name = f"skinny-{uuid.uuid4().hex}"
client.create_registered_model(name)
version = client.create_model_version(name, f"runs:/{run.info.run_id}/model", run.info.run_id)
client.set_registered_model_alias(name, "champion", version.version)
assert client.get_model_version_by_alias(name, "champion").run_id == run.info.run_id
client.delete_run(run.info.run_id)
told = ""
try:
    client.get_run("0" * 32)
except MlflowException as error:
    told = error.error_code
assert told == "RESOURCE_DOES_NOT_EXIST"
sys.stdout.write("skinny works\n")
