"""Log a first model: parameters, metrics, a signature, and load it again to predict."""

import mlflow
from mlflow.models import infer_signature
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

mlflow.set_experiment("quickstart")

rows, species = load_iris(return_X_y=True)
train_rows, test_rows, train_species, test_species = train_test_split(rows, species, test_size=0.2, random_state=42)
params = {"solver": "lbfgs", "max_iter": 1000, "random_state": 8888}

with mlflow.start_run() as run:
    mlflow.log_params(params)
    model = LogisticRegression(**params).fit(train_rows, train_species)
    accuracy = accuracy_score(test_species, model.predict(test_rows))
    mlflow.log_metric("accuracy", accuracy)
    info = mlflow.sklearn.log_model(
        sk_model=model,
        name="iris_model",
        signature=infer_signature(train_rows, model.predict(train_rows)),
        input_example=train_rows[:2],
        pip_requirements=["scikit-learn"],
    )
    mlflow.set_tag("Training Info", "Basic LR model for iris data")

loaded = mlflow.pyfunc.load_model(info.model_uri)
assert list(loaded.predict(test_rows)) == list(model.predict(test_rows))
assert mlflow.get_run(run.info.run_id).data.metrics["accuracy"] == accuracy
print(f"accuracy {accuracy:.2f}, and the loaded model predicts the same")
