"""Models as MLflow's own client logs and registers them, to be shipped; run inside `.venv-mlflow`."""

from __future__ import annotations

import mlflow
import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

chance = np.random.default_rng(3)
rows = pd.DataFrame({"plan": chance.choice(["a", "b", "c"], 400), "age": chance.normal(40, 10, 400)})
left = ((rows["age"] > 40) ^ (rows["plan"] == "a")).astype(int)
rows.assign(left=left).to_csv("rows.csv", index=False)
encode = ColumnTransformer([("plan", OneHotEncoder(), ["plan"])], remainder="passthrough")
net = make_pipeline(encode, LogisticRegression()).fit(rows, left)
# Without these words it would load each model once more to see what it imports.
given = {"pip_requirements": ["scikit-learn"]}
with mlflow.start_run() as run:
    mlflow.sklearn.log_model(net, name="net", input_example=rows.head(5), registered_model_name="churn", **given)
    mlflow.sklearn.log_model(net, name="bare", registered_model_name="bare", **given)
    line = LinearRegression().fit(rows[["age"]].to_numpy(), left)
    mlflow.sklearn.log_model(line, name="line", input_example=rows[["age"]].head(3).to_numpy(), **given)


class Odd(mlflow.pyfunc.PythonModel):
    """A model of its own code."""

    def predict(self, context, model_input: list[str]) -> list[str]:
        """Say it again."""
        return model_input


with mlflow.start_run():
    mlflow.pyfunc.log_model(name="odd", python_model=Odd(), registered_model_name="odd", **given)
mlflow.MlflowClient().set_registered_model_alias("churn", "champion", "1")
print(run.info.run_id)  # noqa: T201 - what the test reads
