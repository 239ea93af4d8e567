"""The grammar of `search_runs`: comparisons, names in quotes, lists, order, pages, views and what is refused."""

from __future__ import annotations

import math

import mlflow
import pytest
from mlflow.entities import Param, ViewType
from mlflow.exceptions import MlflowException


@pytest.fixture
def five(client, experiment) -> list[str]:
    """Five runs: loss 0 to 4 (the last none), depth a to e, start 1000 to 5000."""
    made = []
    for number in range(5):
        run = client.create_run(experiment, start_time=1000 * (number + 1), run_name=f"Run-{number}")
        made.append(run.info.run_id)
        client.log_batch(made[-1], params=[Param("depth", "abcde"[number]), Param("with space", str(number))])
        client.log_metric(made[-1], "loss", math.nan if number == 4 else float(number))
        client.set_tag(made[-1], "colour", ["red", "Green", "blue"][number % 3])
    client.set_terminated(made[0], "FAILED")
    client.set_terminated(made[1], "FINISHED")
    return made


# What is typed, and the numbers of the runs that fit.
FILTERS = [
    ("metrics.loss < 2", [0, 1]),
    ("metrics.loss >= 2", [2, 3]),
    ("metric.loss = 3", [3]),
    ("metrics.loss != 3", [0, 1, 2, 4]),
    ('metrics."loss" > 1.5 AND metrics.`loss` < 2.5', [2]),
    ("params.depth = 'b'", [1]),
    ('params.depth != "b"', [0, 2, 3, 4]),
    ("params.`with space` = '3'", [3]),
    ("param.depth LIKE 'b%'", [1]),
    ("params.depth ILIKE 'B'", [1]),
    ("parameters.depth = 'e'", [4]),
    ("tags.colour = 'Green'", [1, 4]),
    ("tags.colour LIKE 'g%'", []),
    ("tags.colour ILIKE 'g%'", [1, 4]),
    ("tag.colour = 'red' and metrics.loss > 0", [3]),
    ("attributes.status = 'FAILED'", [0]),
    ("attributes.status != 'RUNNING'", [0, 1]),
    ("status = 'RUNNING' AND params.depth = 'c'", [2]),
    ("attributes.run_name = 'Run-2'", [2]),
    ("run_name LIKE 'Run-%'", [0, 1, 2, 3, 4]),
    ("attributes.`Run name` = 'Run-4'", [4]),
    ("attributes.start_time > 3000", [3, 4]),
    ("start_time <= 2000", [0, 1]),
    ("attributes.artifact_uri LIKE '%'", [0, 1, 2, 3, 4]),
    ("metrics.never > 0", []),
    ("params.never = 'a'", []),
    ("tags.never = 'a'", []),
    ("tags.never IS NULL", [0, 1, 2, 3, 4]),
    ("tags.colour IS NOT NULL", [0, 1, 2, 3, 4]),
    ("params.never IS NULL AND params.depth = 'a'", [0]),
    ("", [0, 1, 2, 3, 4]),
]


@pytest.mark.parametrize(("wanted", "fitting"), FILTERS, ids=[one[0] or "nothing" for one in FILTERS])
def test_a_filter_finds_what_fits(client, experiment, five, wanted, fitting):
    found = client.search_runs([experiment], wanted, order_by=["attributes.start_time ASC"])

    assert [five.index(one.info.run_id) for one in found] == fitting


def test_a_list_of_run_ids_finds_them(client, experiment, five):
    wanted = f"attributes.run_id IN ('{five[1]}', '{five[3]}')"

    assert {one.info.run_id for one in client.search_runs([experiment], wanted)} == {five[1], five[3]}
    other = f"attributes.run_id NOT IN ('{five[1]}', '{five[3]}')"
    assert {one.info.run_id for one in client.search_runs([experiment], other)} == {five[0], five[2], five[4]}
    assert [one.info.run_id for one in client.search_runs([experiment], f"run_id = '{five[2]}'")] == [five[2]]


ORDERS = [
    (["metrics.loss ASC"], [0, 1, 2, 3, 4]),
    (["metrics.loss DESC"], [3, 2, 1, 0, 4]),
    (["params.depth DESC"], [4, 3, 2, 1, 0]),
    (["tags.colour", "attributes.start_time DESC"], [4, 1, 2, 3, 0]),
    (["attributes.start_time"], [0, 1, 2, 3, 4]),
    (["start_time DESC"], [4, 3, 2, 1, 0]),
    (["attributes.run_name DESC"], [4, 3, 2, 1, 0]),
    (["metrics.`loss` DESC", "params.depth"], [3, 2, 1, 0, 4]),
    ([], [4, 3, 2, 1, 0]),
]


@pytest.mark.parametrize(("order", "wanted"), ORDERS, ids=[" then ".join(one[0]) or "none" for one in ORDERS])
def test_an_order_is_kept(client, experiment, five, order, wanted):
    found = client.search_runs([experiment], order_by=order)

    assert [five.index(one.info.run_id) for one in found] == wanted


def test_runs_that_lack_what_is_ordered_by_come_last(client, experiment, five):
    bare = client.create_run(experiment, start_time=10).info.run_id

    for order in ("params.depth ASC", "params.depth DESC", "metrics.loss ASC", "metrics.loss DESC"):
        assert client.search_runs([experiment], order_by=[order])[-1].info.run_id == bare


def test_pages_hold_every_run_once(client, experiment, five):
    found, token = [], None
    while True:
        page = client.search_runs([experiment], max_results=2, order_by=["metrics.loss DESC"], page_token=token)
        found += [five.index(one.info.run_id) for one in page]
        token = page.token
        if not token:
            break

    assert found == [3, 2, 1, 0, 4]


def test_pages_stay_true_when_runs_are_added_between_them(client, experiment, five):
    first = client.search_runs([experiment], max_results=3, order_by=["attributes.start_time ASC"])
    late = client.create_run(experiment, start_time=9000).info.run_id

    rest = client.search_runs([experiment], order_by=["attributes.start_time ASC"], page_token=first.token)
    found = [one.info.run_id for one in [*first, *rest]]
    assert found == [*five, late]


def test_many_experiments_are_searched_at_once(client, unique):
    experiments = [client.create_experiment(unique("many")) for _ in range(3)]
    runs = [client.create_run(one).info.run_id for one in experiments]

    assert {one.info.run_id for one in client.search_runs(experiments)} == set(runs)
    assert {one.info.run_id for one in client.search_runs(experiments[:1])} == {runs[0]}
    assert client.search_runs([]) == []


def test_views_tell_the_living_from_the_deleted(client, experiment, five):
    client.delete_run(five[0])

    assert len(client.search_runs([experiment], run_view_type=ViewType.ACTIVE_ONLY)) == 4
    assert len(client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)) == 1
    assert len(client.search_runs([experiment], run_view_type=ViewType.ALL)) == 5


def test_the_fluent_search_gives_a_frame(experiment, five):
    frame = mlflow.search_runs([experiment], order_by=["metrics.loss ASC"])

    assert list(frame["run_id"][:4]) == five[:4]
    assert list(frame["params.depth"][:4]) == ["a", "b", "c", "d"]
    assert frame["metrics.loss"][0] == 0.0
    found = mlflow.search_runs([experiment], "metrics.loss < 2", output_format="list")
    assert len(found) == 2
    name = mlflow.get_experiment(experiment).name
    assert len(mlflow.search_runs(experiment_names=[name])) == 5


def test_runs_are_found_by_the_dataset_that_they_used(client, experiment):
    import pandas as pd

    dataset = mlflow.data.from_pandas(pd.DataFrame({"a": [1, 2]}), source="there.csv", name="train-set")
    with mlflow.start_run() as run:
        mlflow.log_input(dataset, context="training")
    client.create_run(experiment)

    for wanted in (
        "dataset.name = 'train-set'",
        f"dataset.digest = '{dataset.digest}'",
        "dataset.context = 'training'",
        "datasets.name LIKE 'train%'",
    ):
        assert [one.info.run_id for one in client.search_runs([experiment], wanted)] == [run.info.run_id], wanted
    assert client.search_runs([experiment], "dataset.name = 'other'") == []


@pytest.mark.parametrize(
    "wrong",
    [
        "metrics.loss = 'word'",
        "params.depth = 3",
        "params.depth > 'a'",
        "metrics.loss LIKE '1'",
        "nothing.loss = 1",
        "metrics.loss < 1 OR metrics.loss > 2",
        "attributes.never = 'a'",
        "metrics.loss",
        "tags.colour = red",
        "run_id IN ()",
        "; drop table runs",
        "status IN 'FAILED'",
    ],
)
def test_a_wrong_filter_is_refused(client, experiment, wrong):
    with pytest.raises(MlflowException) as told:
        client.search_runs([experiment], wrong)
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("wrong", ["metrics.loss SIDEWAYS", "nothing.a", "attributes.never", "metrics.a ASC DESC"])
def test_a_wrong_order_is_refused(client, experiment, wrong):
    with pytest.raises(MlflowException) as told:
        client.search_runs([experiment], order_by=[wrong])
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_page_token_of_nobody_is_refused(client, experiment):
    with pytest.raises(MlflowException) as told:
        client.search_runs([experiment], page_token="nonsense")
    assert told.value.error_code in ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")


@pytest.mark.parametrize("count", [0, -1, 50_001])
def test_a_page_of_no_size_is_refused(client, experiment, count):
    with pytest.raises(MlflowException) as told:
        client.search_runs([experiment], max_results=count)
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"
