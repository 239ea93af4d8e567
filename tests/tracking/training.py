"""A training whose tracking server comes and goes, as a script that runs in `.venv-mlflow`: it waits for files.

Words: the folder in which it says which place it has reached, and is told to go on.
"""

import sys
import time
from pathlib import Path

import mlflow
import numpy as np
from mlflow import MlflowClient
from sklearn.linear_model import LogisticRegression

folder = Path(sys.argv[1])
STEPS = 20


def reach(name: str) -> None:
    """Say that a place is reached, and wait until somebody says go on."""
    (folder / f"{name}.reached").touch()
    while not (folder / f"{name}.go").exists():
        time.sleep(0.02)


reach("begin")
mlflow.set_experiment("spooled")
with mlflow.start_run(run_name="long training") as run:
    mlflow.log_params({"depth": 3, "rate": 0.1})
    for step in range(STEPS):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_text("written while the server was there", "first.txt")
    reach("middle")
    for step in range(STEPS, 2 * STEPS):
        mlflow.log_metrics({"loss": 1 / (step + 1), "late": step}, step=step)
    mlflow.log_param("late", "yes")
    mlflow.set_tags({"colour": "red", "gone": "soon"})
    mlflow.delete_tag("gone")
    mlflow.log_text("written while nobody was there", "deep/second.txt")
    mlflow.log_dict({"a": [1, 2]}, "third.json")
    model = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
    info = mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
    with mlflow.start_run(run_name="child", nested=True) as child:
        mlflow.log_metric("depth", 1)
    reach("end")
    mlflow.log_metric("loss", 0.0, step=2 * STEPS)
    client = MlflowClient()
    assert client.get_run(run.info.run_id).info.run_name == "long training"
(folder / "run_id").write_text(run.info.run_id)
(folder / "child_id").write_text(child.info.run_id)
reach("done")
