"""Search over parameters: one parent run, a child for each trial, the best one found by the server."""

import itertools

import mlflow
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import cross_val_score

experiment = mlflow.set_experiment("sweep")
rows, labels = load_wine(return_X_y=True)

with mlflow.start_run(run_name="forest sweep") as parent:
    mlflow.log_param("trials", 6)
    for depth, trees in itertools.product([1, 2, 4], [5, 10]):
        with mlflow.start_run(run_name=f"depth {depth}, {trees} trees", nested=True):
            mlflow.log_params({"max_depth": depth, "n_estimators": trees})
            forest = RandomForestClassifier(max_depth=depth, n_estimators=trees, random_state=0)
            for fold, score in enumerate(cross_val_score(forest, rows, labels, cv=3)):
                mlflow.log_metric("accuracy", score, step=fold)

children = mlflow.search_runs(
    [experiment.experiment_id],
    filter_string=f"tags.mlflow.parentRunId = '{parent.info.run_id}' and metrics.accuracy > 0",
    order_by=["metrics.accuracy DESC", "params.max_depth ASC"],
)
assert len(children) == 6
best = children.iloc[0]
assert best["metrics.accuracy"] == children["metrics.accuracy"].max()
print(f"best of {len(children)}: depth {best['params.max_depth']}, {best['params.n_estimators']} trees")
