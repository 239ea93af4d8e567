"""Metrics: the latest value, the whole history, numbers that are none, batches, asynchronous logging, the system's."""

from __future__ import annotations

import math
import time

import mlflow
import pytest
from mlflow.entities import Metric
from mlflow.exceptions import MlflowException


def test_the_history_is_whole_and_in_order(client, experiment):
    with mlflow.start_run() as run:
        for step in range(20):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)

    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(one.step, one.value) for one in history] == [(step, 1 / (step + 1)) for step in range(20)]
    assert client.get_run(run.info.run_id).data.metrics == {"loss": 1 / 20}
    assert client.get_metric_history(run.info.run_id, "never") == []


def test_the_latest_is_of_the_highest_step_then_time_then_value(client, run):
    for value, at, step in ((1.0, 10, 5), (9.0, 99, 4), (3.0, 11, 5), (2.0, 11, 5)):
        client.log_metric(run, "a", value, timestamp=at, step=step)

    assert client.get_run(run).data.metrics["a"] == 3.0


def test_a_point_that_comes_twice_is_kept_once(client, run):
    for _ in range(2):
        client.log_metric(run, "a", 0.5, timestamp=1000, step=1)

    assert len(client.get_metric_history(run, "a")) == 1


def test_negative_steps_and_big_numbers_are_kept(client, run):
    client.log_metric(run, "a", -1e300, timestamp=1, step=-5)
    client.log_metric(run, "a", 5e-324, timestamp=2, step=2**53)

    assert [(one.step, one.value) for one in client.get_metric_history(run, "a")] == [(-5, -1e300), (2**53, 5e-324)]


def test_nan_and_the_infinities_stay_what_they_are(client, run):
    # The stock server keeps an infinity as the greatest double; whoever keeps it as it is, is right too.
    client.log_metric(run, "nan", math.nan)
    client.log_metric(run, "more", math.inf)
    client.log_metric(run, "less", -math.inf)

    data = client.get_run(run).data.metrics
    assert math.isnan(data["nan"])
    assert data["more"] >= 1.7976931348623157e308
    assert data["less"] <= -1.7976931348623157e308
    assert math.isnan(client.get_metric_history(run, "nan")[0].value)


def test_many_metrics_go_in_one_call(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_metrics({"a": 1, "b": 2.5, "c/d": -3}, step=7)

    assert client.get_run(run.info.run_id).data.metrics == {"a": 1, "b": 2.5, "c/d": -3}
    assert client.get_metric_history(run.info.run_id, "c/d")[0].step == 7


def test_more_than_a_batch_goes_in_pieces(client, experiment):
    with mlflow.start_run() as run:
        mlflow.log_params({f"p{number}": number for number in range(250)})
        mlflow.log_metrics({f"m{number}": number for number in range(1200)})

    data = client.get_run(run.info.run_id).data
    assert len(data.params) == 250
    assert len(data.metrics) == 1200


def test_a_long_history_comes_in_pages(client, run):
    points = [Metric("a", float(step), 1_000_000 + step, step) for step in range(2500)]
    for start in range(0, 2500, 1000):
        client.log_batch(run, metrics=points[start : start + 1000])

    assert [one.step for one in client.get_metric_history(run, "a")] == list(range(2500))


def test_what_is_logged_asynchronously_arrives(client, experiment):
    with mlflow.start_run() as run:
        for step in range(50):
            mlflow.log_metric("a", step, step=step, synchronous=False)
        mlflow.log_param("p", 1, synchronous=False)
        mlflow.set_tag("t", "x", synchronous=False)
        mlflow.log_metrics({"b": 1.0}, synchronous=False).wait()
        mlflow.flush_async_logging()

    found = client.get_run(run.info.run_id).data
    assert len(client.get_metric_history(run.info.run_id, "a")) == 50
    assert (found.params["p"], found.tags["t"], found.metrics["b"]) == ("1", "x", 1.0)


def test_the_switch_for_asynchronous_logging_holds_for_all(client, experiment):
    mlflow.config.enable_async_logging(True)
    try:
        with mlflow.start_run() as run:
            mlflow.log_metrics({"a": 1.0, "b": 2.0})
        mlflow.flush_async_logging()
    finally:
        mlflow.config.enable_async_logging(False)

    assert client.get_run(run.info.run_id).data.metrics == {"a": 1.0, "b": 2.0}


def test_a_metric_without_a_number_is_refused(client, run):
    with pytest.raises(MlflowException) as told:
        client.log_metric(run, "a", None)
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"
    assert client.get_run(run).data.metrics == {}


def test_the_system_s_own_metrics_are_logged_until_they_are_switched_off(client, experiment):
    key = "system/node-1/cpu_utilization_percentage"
    mlflow.enable_system_metrics_logging()
    mlflow.set_system_metrics_node_id("node-1")
    mlflow.set_system_metrics_sampling_interval(0.2)
    mlflow.set_system_metrics_samples_before_logging(1)
    try:
        with mlflow.start_run() as run:
            until = time.monotonic() + 30
            while len(client.get_metric_history(run.info.run_id, key)) < 2 and time.monotonic() < until:
                time.sleep(0.1)
    finally:
        mlflow.disable_system_metrics_logging()
        mlflow.set_system_metrics_node_id(None)
        mlflow.set_system_metrics_sampling_interval(None)
        mlflow.set_system_metrics_samples_before_logging(None)
    with mlflow.start_run() as quiet:
        pass

    found = client.get_run(run.info.run_id).data.metrics
    assert found[key] >= 0
    assert found["system/node-1/system_memory_usage_megabytes"] > 0
    assert len(client.get_metric_history(run.info.run_id, key)) >= 2
    assert client.get_run(quiet.info.run_id).data.metrics == {}


def test_metrics_name_the_model_and_the_dataset_that_they_are_of(client, experiment):
    model = client.create_logged_model(experiment, name="net")
    with mlflow.start_run() as run:
        mlflow.log_metric("auc", 0.9, step=3, model_id=model.model_id)

    (kept,) = client.get_logged_model(model.model_id).metrics
    assert (kept.key, kept.value, kept.step, kept.run_id) == ("auc", 0.9, 3, run.info.run_id)
    assert client.get_run(run.info.run_id).data.metrics == {"auc": 0.9}
