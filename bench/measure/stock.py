"""What MLflow's own client does, in the interpreter that has it: `stock.py WORK URL AMOUNT`, one line of JSON."""

from __future__ import annotations

import json
import logging
import sys
import time

import mlflow
from mlflow import MlflowClient
from mlflow.entities import Metric

logging.getLogger("mlflow").setLevel(logging.ERROR)
BATCH = 1000


def sequence(client: MlflowClient, amount: float) -> dict[str, float]:
    """Log one metric after the other for so many seconds."""
    run = client.create_run("0").info.run_id
    for step in range(5):
        client.log_metric(run, "warm", 1.0, step=step)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < amount:
        client.log_metric(run, "loss", 0.5, step=done)
        done += 1
    return {"per_second": done / (time.perf_counter() - start)}


def batches(client: MlflowClient, amount: float) -> dict[str, float]:
    """Log batches of 1,000 metrics for so many seconds."""
    run = client.create_run("0").info.run_id
    client.log_batch(run, [Metric("warm", 1.0, 1, 0)])
    done, start, cpu = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < amount:
        at = 1_000_000 + done
        client.log_batch(run, [Metric(f"m{each % 10}", 0.5, at, done + each) for each in range(BATCH)])
        done += BATCH
    return {
        "metrics": done,
        "seconds": time.perf_counter() - start,
        "cpu_us_per_metric": (time.process_time() - cpu) / max(done, 1) * 1e6,
    }


def history(client: MlflowClient, amount: float) -> dict[str, float]:
    """Log so many points of one metric, then read them all, three times."""
    run = client.create_run("0").info.run_id
    for first in range(0, int(amount), BATCH):
        client.log_batch(run, [Metric("loss", 0.5 + each, 1000 + each, each) for each in range(first, first + BATCH)])
    return reads(client, amount)


def reads(client: MlflowClient, amount: float) -> dict[str, float]:
    """Read the points that the newest run of the first experiment has, once to warm up and three times more."""
    (run,) = client.search_runs(["0"], "attributes.status = 'RUNNING'", max_results=1)
    took, cpu = [], []
    for _ in range(4):
        start, used = time.perf_counter(), time.process_time()
        found = client.get_metric_history(run.info.run_id, "loss")
        took.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
        assert len(found) == amount, len(found)
    return {"seconds": sorted(took[1:])[1], "client_cpu": sorted(cpu[1:])[1]}


if __name__ == "__main__":
    works = {"sequence": sequence, "batches": batches, "history": history, "reads": reads}
    mlflow.set_tracking_uri(sys.argv[2])
    print(json.dumps(works[sys.argv[1]](MlflowClient(), float(sys.argv[3]))))
