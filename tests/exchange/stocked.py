"""Fills what MLFLOW_TRACKING_URI names with some of everything, as a script that runs in `.venv-mlflow`."""

import math
import os

import mlflow
import mlflow.genai
import numpy as np
import pandas as pd
from mlflow import MlflowClient
from mlflow.entities import AssessmentSource, Feedback
from sklearn.linear_model import LogisticRegression

client = MlflowClient()
first = client.create_experiment("first", tags={"team": "ünï"})
with mlflow.start_run(experiment_id=first, run_name="whole", tags={"lines": "one\ntwo", "empty": ""}) as run:
    mlflow.log_params({"depth": 3, "text": "x\ny: z # 'q'", "empty": ""})
    for step in range(30):
        mlflow.log_metric("loss/train", 1 / (step + 1), step=step)
    mlflow.log_metric("nan", math.nan)
    mlflow.log_metric("negative", -1e-300, step=-3)
    mlflow.log_text("hällo", "deep/ä b.txt")
    mlflow.log_dict({"a": 1}, "a.json")
    data = mlflow.data.from_pandas(pd.DataFrame({"a": [1.0]}), source="s3://there/it.csv", name="rows")
    mlflow.log_input(data, context="training")
    fitted = LogisticRegression().fit(np.array([[0.0], [1.0]]), [0, 1])
    info = mlflow.sklearn.log_model(
        fitted, name="net", pip_requirements=["scikit-learn"], registered_model_name="churn"
    )
    with mlflow.start_run(experiment_id=first, run_name="child", nested=True):
        mlflow.log_metric("depth", 1)
mlflow.set_experiment(experiment_id=first)
asked = mlflow.log_trace("asked", request={"q": "ünï"}, response="a", tags={"colour": "red"})
with mlflow.start_span("outer", span_type="CHAIN") as outer, mlflow.start_span("inner") as inner:
    inner.set_inputs({"x": [1, None, "two"]})
    inner.set_outputs("text")
    inner.add_event(mlflow.entities.SpanEvent("seen", attributes={"at": 3}))
mlflow.flush_trace_async_logging()
human = AssessmentSource("HUMAN", source_id="ann")
mlflow.log_assessment(asked, Feedback(name="good", value=True, source=human, rationale="because", metadata={"a": "b"}))
mlflow.log_expectation(trace_id=asked, name="answer", value={"text": "A"}, source=human)
if os.environ["MLFLOW_TRACKING_URI"].startswith("sqlite"):
    # The file store keeps neither.
    client.link_traces_to_run([asked], run.info.run_id)
    golden = mlflow.genai.create_dataset("golden", experiment_id=first, tags={"team": "north"})
    golden.merge_records([{"inputs": {"q": str(place)}, "expectations": {"a": place}} for place in range(3)])
    client.create_webhook("hook", "https://1.1.1.1/hook", ["model_version.created"], description="d", secret="s" * 20)
client.create_model_version("churn", info.model_uri, run.info.run_id)
client.create_model_version("churn", info.model_uri, run.info.run_id, tags={"colour": "red"}, description="third")
client.delete_model_version("churn", "2")
client.set_registered_model_alias("churn", "champion", "1")
client.set_registered_model_alias("churn", "challenger", "3")
client.transition_model_version_stage("churn", "3", "Production")
client.update_registered_model("churn", "who leaves")
client.set_terminated(client.create_run(first, run_name="failed").info.run_id, "FAILED")
client.delete_run(client.create_run(first, run_name="deleted").info.run_id)
gone = client.create_experiment("gone")
client.create_run(gone, run_name="of the gone")
client.delete_experiment(gone)
