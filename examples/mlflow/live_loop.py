"""Train in a loop: metrics of every step without waiting, the machine's own metrics, and the whole curve read back."""

import math
import time

import mlflow
from mlflow import MlflowClient

mlflow.set_experiment("live loop")
mlflow.set_system_metrics_sampling_interval(0.3)
mlflow.set_system_metrics_samples_before_logging(1)
mlflow.config.enable_async_logging()

with mlflow.start_run(log_system_metrics=True) as run:
    mlflow.log_params({"epochs": 3, "steps": 100, "learning_rate": 0.01})
    for step in range(300):
        mlflow.log_metrics({"loss": math.exp(-step / 100), "rate": 0.01 * 0.99**step}, step=step)
        if step % 100 == 99:
            mlflow.log_metric("validation", math.exp(-step / 120), step=step)
            mlflow.set_tag("epoch", step // 100 + 1)
            time.sleep(0.4)
mlflow.flush_async_logging()

client = MlflowClient()
curve = client.get_metric_history(run.info.run_id, "loss")
assert [one.step for one in curve] == list(range(300))
assert len(client.get_metric_history(run.info.run_id, "validation")) == 3
last = client.get_run(run.info.run_id)
assert last.data.tags["epoch"] == "3"
assert "system/cpu_utilization_percentage" in last.data.metrics
print(f"{len(curve)} steps, last loss {last.data.metrics['loss']:.3f}")
