"""Say which data a run used, and ask later which runs used the same."""

import mlflow
import pandas as pd

experiment = mlflow.set_experiment("lineage")
frame = pd.DataFrame({"rooms": [2.0, 3.0, 5.0], "metres": [40.0, 61.5, 98.0], "price": [210.0, 280.0, 450.0]})
houses = mlflow.data.from_pandas(frame, source="s3://prices/2026/houses.csv", name="houses", targets="price")
fewer = mlflow.data.from_pandas(frame[:2], source="s3://prices/2026/houses.csv", name="houses-2", targets="price")

with mlflow.start_run(run_name="trained") as trained:
    mlflow.log_input(houses, context="training")
    mlflow.log_input(fewer, context="evaluation")
with mlflow.start_run(run_name="trained again"):
    mlflow.log_input(houses, context="training")

kept = {one.dataset.name: one for one in mlflow.get_run(trained.info.run_id).inputs.dataset_inputs}
assert kept["houses"].dataset.digest == houses.digest
assert [one.value for one in kept["houses-2"].tags] == ["evaluation"]
assert mlflow.data.get_source(kept["houses"].dataset).uri == "s3://prices/2026/houses.csv"

used = mlflow.search_runs(
    [experiment.experiment_id], filter_string=f"dataset.digest = '{houses.digest}'", order_by=["start_time"]
)
assert set(used["tags.mlflow.runName"]) == {"trained", "trained again"}
print(f"{len(used)} runs used the data with digest {houses.digest}")
