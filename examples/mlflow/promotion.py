"""Promote a model: two versions in the registry, the alias moved to the better one and back again."""

import mlflow
from mlflow import MlflowClient
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso, Ridge

NAME = "diabetes-progression"
client = MlflowClient()
mlflow.set_experiment("promotion")
rows, target = load_diabetes(return_X_y=True)

versions = []
for estimator in (Lasso(alpha=0.1), Ridge(alpha=0.1)):
    with mlflow.start_run():
        estimator.fit(rows, target)
        mlflow.log_metric("r2", estimator.score(rows, target))
        info = mlflow.sklearn.log_model(
            estimator, name="model", registered_model_name=NAME, pip_requirements=["scikit-learn"]
        )
        versions.append(info.registered_model_version)

client.set_registered_model_tag(NAME, "task", "regression")
client.update_registered_model(NAME, description="Predicts how far diabetes has gone after a year.")
first, second = (str(version) for version in versions)
client.set_model_version_tag(NAME, second, "validation_status", "approved")
client.set_registered_model_alias(NAME, "champion", first)
before = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(rows[:1])[0]

client.set_registered_model_alias(NAME, "champion", second)
after = mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(rows[:1])[0]
assert before != after

approved = client.search_model_versions(f"name = '{NAME}' and tags.validation_status = 'approved'")
assert second in {str(one.version) for one in approved}
client.set_registered_model_alias(NAME, "champion", first)
assert mlflow.pyfunc.load_model(f"models:/{NAME}@champion").predict(rows[:1])[0] == before
print(f"champion went from version {first} to {second} and back")
