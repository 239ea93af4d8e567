"""Let three libraries log themselves: XGBoost, LightGBM and scikit-learn, each with one line."""

import lightgbm
import mlflow
import xgboost
from mlflow import MlflowClient
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

mlflow.set_experiment("boosting")
rows, labels = load_breast_cancer(return_X_y=True, as_frame=True)
train_rows, test_rows, train_labels, test_labels = train_test_split(rows, labels, random_state=0)

mlflow.xgboost.autolog(log_models=False)
mlflow.lightgbm.autolog(log_models=False)
mlflow.sklearn.autolog(log_models=False)

with mlflow.start_run(run_name="xgboost") as first:
    train, test = xgboost.DMatrix(train_rows, train_labels), xgboost.DMatrix(test_rows, test_labels)
    xgboost.train({"objective": "binary:logistic", "eta": 0.3}, train, 10, evals=[(test, "test")], verbose_eval=False)

with mlflow.start_run(run_name="lightgbm") as second:
    train = lightgbm.Dataset(train_rows, train_labels)
    test = lightgbm.Dataset(test_rows, test_labels, reference=train)
    lightgbm.train({"objective": "binary", "verbose": -1}, train, 10, valid_sets=[test], valid_names=["test"])

with mlflow.start_run(run_name="sgd") as third:
    SGDClassifier(loss="log_loss", random_state=0).fit(train_rows, train_labels)

client = MlflowClient()
assert len(client.get_metric_history(first.info.run_id, "test-logloss")) == 10
assert len(client.get_metric_history(second.info.run_id, "test-binary_logloss")) == 10
assert mlflow.get_run(third.info.run_id).data.params["loss"] == "log_loss"
assert mlflow.get_run(third.info.run_id).inputs.dataset_inputs
print("three libraries logged themselves")
