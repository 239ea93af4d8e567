"""What runs log at MLflow's door: the newest point counts, parameters stay, batches are whole, histories paged."""

import math
from itertools import pairwise

import pytest

from api.asking import Client
from ropewalk.api.mlflow import metrics, runs

ROUTES = (*runs.ROUTES, *metrics.ROUTES)


@pytest.fixture
def client(site):
    return Client(site, ROUTES)


@pytest.fixture
def run_id(client):
    return client.send("POST", "runs/create")["run"]["info"]["run_id"]


def data(client, run_id):
    return client.get("runs/get", run_id=run_id)["run"]["data"]


def newest(client, run_id):
    return {one["key"]: one["value"] for one in data(client, run_id).get("metrics", [])}


def params(client, run_id):
    return {one["key"]: one["value"] for one in data(client, run_id).get("params", [])}


def log(client, run_id, key="loss", value=0.0, timestamp=1, step=0):
    client.send("POST", "runs/log-metric", run_id=run_id, key=key, value=value, timestamp=timestamp, step=step)


def history(client, run_id, key="loss", **more):
    return client.get("metrics/get-history", run_id=run_id, metric_key=key, **more).get("metrics", [])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.1, 0.1), (0, 0.0), ("1e-3", 0.001), (5e-324, 5e-324), ("NaN", "NaN"), ("Infinity", "Infinity"),
     ("-Infinity", "-Infinity"), (1e308, 1e308)],
)  # fmt: skip
def test_every_number_comes_back(client, run_id, value, shown):
    log(client, run_id, value=value)

    assert newest(client, run_id) == {"loss": shown}
    assert [one["value"] for one in history(client, run_id)] == [shown]


@pytest.mark.parametrize(
    ("points", "wins"),
    [
        ([(1, 10, 5), (2, 11, 4)], 1),  # the higher step
        ([(1, 10, 5), (2, 11, 5)], 2),  # then the later time
        ([(1, 10, 5), (2, 10, 5)], 2),  # then the larger value
        ([(2, 10, 5), (1, 10, 5)], 2),
        ([(1, 10, -5), (2, 9, -4)], 2),
        (["NaN", (-1, 1, 0)], "NaN"),  # what is no number counts as 0
        (["NaN", (1, 1, 0)], 1),
    ],
)
def test_the_newest_point_is_shown_whichever_way_the_points_come(client, run_id, points, wins):
    said = [("NaN", 1, 0) if point == "NaN" else point for point in points]
    for value, at_ms, step in said:
        log(client, run_id, value=value, timestamp=at_ms, step=step)
    batch = [{"key": "other", "value": value, "timestamp": at_ms, "step": step} for value, at_ms, step in said]
    client.send("POST", "runs/log-batch", run_id=run_id, metrics=batch)

    assert newest(client, run_id) == {"loss": wins, "other": wins}


def test_a_point_that_was_logged_before_is_logged_once(client, run_id):
    for _ in range(3):
        log(client, run_id, value=0.5, timestamp=7, step=3)
        log(client, run_id, value="NaN", timestamp=7, step=3)
    same = {"key": "loss", "value": 0.5, "timestamp": 7, "step": 3}
    client.send("POST", "runs/log-batch", run_id=run_id, metrics=[same, same])

    assert len(history(client, run_id)) == 2


def test_a_parameter_keeps_its_value_and_may_be_said_again(client, run_id):
    for _ in range(2):
        client.send("POST", "runs/log-parameter", run_id=run_id, key="depth", value="8")

    refused = client.ask("POST", "runs/log-parameter", json={"run_id": run_id, "key": "depth", "value": "9"})

    assert refused.status_code == 400
    assert refused.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert "'8'" in refused.json()["message"]
    assert params(client, run_id) == {"depth": "8"}


@pytest.mark.parametrize("value", ["", " ", "x" * 6000, "é\n\t'\"%_"])
def test_a_parameter_is_any_text(client, run_id, value):
    client.send("POST", "runs/log-parameter", run_id=run_id, key="p", value=value)

    assert params(client, run_id) == {"p": value}


def test_a_batch_is_kept_whole(client, run_id):
    client.send(
        "POST",
        "runs/log-batch",
        run_id=run_id,
        metrics=[{"key": f"m{n % 10}", "value": n, "timestamp": n, "step": n} for n in range(800)],
        params=[{"key": f"p{n}", "value": str(n)} for n in range(100)],
        tags=[{"key": f"t{n}", "value": str(n)} for n in range(100)],
    )

    assert newest(client, run_id) == {f"m{n}": 790.0 + n for n in range(10)}
    assert params(client, run_id) == {f"p{n}": str(n) for n in range(100)}
    assert len(data(client, run_id)["tags"]) == 101
    assert len(history(client, run_id, "m3")) == 80


def test_values_that_are_too_long_are_cut_as_mlflow_cuts_them(client, run_id):
    for value in ("x" * 6001, "x" * 6000, "x" * 9000):
        client.send("POST", "runs/log-parameter", run_id=run_id, key="p", value=value)
    client.send("POST", "runs/set-tag", run_id=run_id, key="t", value="y" * 8001)

    assert params(client, run_id) == {"p": "x" * 6000}
    assert {"key": "t", "value": "y" * 8000} in data(client, run_id)["tags"]


METRIC = {"key": "a", "value": 1, "timestamp": 1}
PARAM = {"key": "a", "value": "1"}


@pytest.mark.parametrize(
    ("batch", "where"),
    [
        ({"metrics": [METRIC] * 1001}, "metrics"),
        ({"params": [{"key": f"p{n}"} for n in range(101)]}, "params"),
        ({"tags": [{"key": f"p{n}"} for n in range(101)]}, "tags"),
        ({"metrics": [METRIC] * 901, "params": [{"key": f"p{n}"} for n in range(100)]}, "metrics, params and tags"),
        ({"params": [PARAM, PARAM]}, "params"),
        ({"params": [PARAM, {"key": "fixed", "value": "other"}]}, "fixed"),
        ({"metrics": [METRIC, {"key": "b", "value": 1}]}, "metrics[1].timestamp"),
        ({"metrics": [METRIC, {"key": "b//", "value": 1, "timestamp": 1}]}, "b//"),
        ({"metrics": [METRIC], "tags": [{"value": "x"}]}, "tags[0].key"),
        ({"metrics": [METRIC], "tags": [{"key": "mlflow.runName", "value": "x" * 501}]}, "run_name"),
    ],
)
def test_a_batch_that_is_wrong_anywhere_is_refused_whole(client, run_id, batch, where):
    client.send("POST", "runs/log-parameter", run_id=run_id, key="fixed", value="1")
    before = data(client, run_id)

    refused = client.ask("POST", "runs/log-batch", json={"run_id": run_id, **batch})

    assert refused.status_code == 400
    assert refused.json()["error_code"] == "INVALID_PARAMETER_VALUE"
    assert where in refused.json()["message"]
    assert data(client, run_id) == before


def test_an_empty_batch_is_no_error(client, run_id):
    assert client.send("POST", "runs/log-batch", run_id=run_id) == {}


def test_a_history_is_ordered_by_time_step_and_value_and_comes_in_pages(client, run_id):
    points = [(3, 1, 0), (1, 1, 0), (2, 1, -4), (9, 0, 7), ("NaN", 5, 1), (0, 5, 1), ("-Infinity", 5, 1)]
    for value, at_ms, step in points:
        log(client, run_id, value=value, timestamp=at_ms, step=step)
    whole = history(client, run_id)
    assert [one["value"] for one in whole] == [9, 2, 1, 3, "-Infinity", 0, "NaN"]

    found, token = [], ""
    while True:
        page = client.get("metrics/get-history", run_id=run_id, metric_key="loss", max_results=2, page_token=token)
        found += page["metrics"]
        token = page.get("next_page_token", "")
        log(client, run_id, value=-1, timestamp=0, step=len(found))  # before what was read already
        if not token:
            break

    assert found == whole


def test_the_history_of_an_unknown_metric_is_empty(client, run_id):
    assert client.get("metrics/get-history", run_id=run_id, metric_key="none") == {"metrics": []}


def test_a_history_needs_a_metric_a_run_and_a_token_of_its_own(client, run_id):
    for n in range(3):
        log(client, run_id, step=n)
    token = client.get("metrics/get-history", run_id=run_id, metric_key="loss", max_results=1)["next_page_token"]
    ask = {"run_id": run_id, "metric_key": "loss"}

    for more in ({"metric_key": ""}, {"max_results": 0}, {"page_token": "x"}, {"page_token": token, "metric_key": "b"}):
        assert client.refused("GET", "metrics/get-history", **(ask | more)) == (400, "INVALID_PARAMETER_VALUE")


def test_histories_of_several_runs_come_together(client, run_id):
    other = client.send("POST", "runs/create")["run"]["info"]["run_id"]
    for run in (other, run_id):
        for step in range(3):
            log(client, run, value=step, timestamp=10 - step, step=step)

    query = {"run_id": [other, run_id, "f" * 32, other], "metric_key": "loss"}
    found = client.ask("GET", "/ajax-api/2.0/mlflow/metrics/get-history-bulk", params=query).json()["metrics"]

    assert [(one["run_id"], one["step"]) for one in found] == [
        (run, step) for run in sorted((run_id, other)) for step in (2, 1, 0)
    ]
    assert set(found[0]) == {"key", "value", "timestamp", "step", "run_id"}
    assert len(client.get("metrics/get-history-bulk", **query, max_results=4)["metrics"]) == 4
    for wrong in ({"run_id": []}, {"metric_key": ""}, {"run_id": ["x"] * 101}, {"max_results": 0}):
        assert client.refused("GET", "metrics/get-history-bulk", **(query | wrong))[0] == 400


@pytest.mark.parametrize(("count", "logged"), [(1, 10), (2, 10), (3, 10), (9, 10), (10, 10), (2500, 10), (4, 1)])
def test_points_are_chosen_evenly_with_the_first_and_the_last(client, run_id, count, logged):
    for step in reversed(range(logged)):
        log(client, run_id, value=step, timestamp=99 - step, step=step)

    found = client.get("metrics/get-history-bulk-interval", run_ids=[run_id], metric_key="loss", max_results=count)[
        "metrics"
    ]

    steps = [one["step"] for one in found]
    assert steps == sorted(set(steps))
    assert len(steps) == min(count, logged)
    assert steps[-1] == logged - 1
    assert count == 1 or steps[0] == 0
    gaps = [b - a for a, b in pairwise(steps)]
    assert not gaps or max(gaps) <= math.ceil(logged / max(1, len(steps) - 1)) + 1


def test_an_interval_holds_the_points_between_its_steps(client, run_id):
    for step in range(10):
        log(client, run_id, value=step, timestamp=step, step=step)
    ask = {"run_ids": [run_id], "metric_key": "loss"}

    found = client.get("metrics/get-history-bulk-interval", **ask, start_step=3, end_step=5)["metrics"]

    assert [one["step"] for one in found] == [3, 4, 5]
    for wrong in (
        {"start_step": 1}, {"end_step": 1}, {"start_step": 2, "end_step": 1}, {"max_results": 2501}, {"max_results": 0},
        {"run_ids": []}, {"metric_key": ""}, {"run_ids": ["x"] * 101},
    ):  # fmt: skip
        assert client.refused("GET", "metrics/get-history-bulk-interval", **(ask | wrong))[0] == 400
    unknown = client.refused("GET", "metrics/get-history-bulk-interval", run_ids=["x"], metric_key="loss")
    assert unknown == (404, "RESOURCE_DOES_NOT_EXIST")


def test_a_retry_with_the_same_key_is_answered_and_done_once(client, run_id):
    said = {"run_id": run_id, "key": "p", "value": "1"}
    answers = [
        client.ask("POST", "runs/log-parameter", json=said, headers={"Idempotency-Key": "k"}).json() for _ in range(2)
    ]

    assert answers == [{}, {}]
