"""Compare logged models by metrics that name them, whatever run measured them."""

import mlflow
from sklearn.datasets import load_digits
from sklearn.linear_model import Perceptron, RidgeClassifier
from sklearn.naive_bayes import GaussianNB

experiment = mlflow.set_experiment("leaderboard")
rows, digits = load_digits(return_X_y=True)
train_rows, test_rows, train_digits, test_digits = rows[:1000], rows[1000:], digits[:1000], digits[1000:]

for estimator in (GaussianNB(), RidgeClassifier(), Perceptron(random_state=0)):
    with mlflow.start_run():
        estimator.fit(train_rows, train_digits)
        info = mlflow.sklearn.log_model(
            estimator,
            name=type(estimator).__name__,
            params={"rows": len(train_rows)},
            tags={"family": type(estimator).__module__.split(".")[1]},
            pip_requirements=["scikit-learn"],
        )
        mlflow.log_metric("accuracy", estimator.score(test_rows, test_digits), model_id=info.model_id)

board = mlflow.search_logged_models(
    experiment_ids=[experiment.experiment_id],
    filter_string="metrics.accuracy > 0",
    order_by=[{"field_name": "metrics.accuracy", "ascending": False}],
    output_format="list",
)
assert len(board) >= 3
best = board[0]
assert best.metrics[0].value == max(one.metrics[0].value for one in board)
print(f"{best.name} leads with {best.metrics[0].value:.3f}")
