"""What runs have read and made, at MLflow's door: data sets by name and digest, logged models, and searches by them."""

import pytest

from api.asking import Client
from ropewalk.api.mlflow import experiments, inputs, runs

ROUTES = (*experiments.ROUTES, *runs.ROUTES, *inputs.ROUTES)


@pytest.fixture
def client(site):
    return Client(site, ROUTES)


@pytest.fixture
def begin(client):
    return lambda **more: client.send("POST", "runs/create", **more)["run"]["info"]["run_id"]


def dataset(name="flights", digest="d1", context="training", **more):
    said = {"name": name, "digest": digest, "source_type": "local", "source": "x.csv"} | more
    return {"dataset": said, "tags": [{"key": "mlflow.data.context", "value": context}] if context else []}


def log(client, run_id, *datasets, models=()):
    client.send("POST", "runs/log-inputs", run_id=run_id, datasets=datasets, models=[{"model_id": m} for m in models])


def read(client, run_id):
    return client.get("runs/get", run_id=run_id)["run"]["inputs"]


def test_a_data_set_is_shown_with_the_run_that_read_it(client, begin):
    run_id = begin()
    log(client, run_id, dataset(schema="{}", profile="[1]"), models=["m-1"])

    assert read(client, run_id) == {
        "dataset_inputs": [dataset(schema="{}", profile="[1]")],
        "model_inputs": [{"model_id": "m-1"}],
    }


def test_a_data_set_of_the_same_name_and_digest_is_the_same(client, begin):
    run_id, other = begin(), begin()
    log(client, run_id, dataset(), dataset(context="again"))
    log(client, run_id, dataset(context="testing"), dataset(digest="d2"))
    log(client, other, dataset(source="elsewhere", context="testing"))

    assert [one["dataset"]["digest"] for one in read(client, run_id)["dataset_inputs"]] == ["d1", "d2"]
    assert read(client, run_id)["dataset_inputs"][0] == dataset()
    assert read(client, other)["dataset_inputs"] == [dataset(context="testing")]


def test_models_that_were_made_are_shown_with_their_steps(client, begin):
    run_id = begin()
    for _ in range(2):
        client.send("POST", "runs/outputs", run_id=run_id, models=[{"model_id": "m-1", "step": 3}, {"model_id": "m-2"}])

    outputs = client.get("runs/get", run_id=run_id)["run"]["outputs"]["model_outputs"]

    assert outputs == [{"model_id": "m-2", "step": 0}, {"model_id": "m-1", "step": 3}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/log-inputs", {"datasets": [{}]}),
        *[("runs/log-inputs", {"datasets": [dataset(**{name: ""})]}) for name in ("name", "digest", "source_type")],
        ("runs/log-inputs", {"datasets": [dataset(), dataset(digest="x" * 37)]}),
        ("runs/log-inputs", {"datasets": [dataset(name="x" * 501)]}),
        ("runs/log-inputs", {"datasets": [dataset(source="x" * 65_536)]}),
        ("runs/log-inputs", {"datasets": [dataset(context="x" * 501)]}),
        ("runs/log-inputs", {"datasets": [dataset(digest=str(n)) for n in range(1001)]}),
        ("runs/log-inputs", {"models": [{}]}),
        ("runs/outputs", {"models": []}),
        ("runs/outputs", {"models": [{"model_id": "m"}, {}]}),
        ("runs/outputs", {"models": [{"model_id": "x" * 257}]}),
    ],
)
def test_what_is_no_input_is_refused_whole(client, begin, path, body):
    run_id = begin()

    assert client.refused("POST", path, run_id=run_id, **body) == (400, "INVALID_PARAMETER_VALUE")

    assert read(client, run_id) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("datasets.name = 'flights'", ["two", "one"]),
        ("dataset.digest = 'd2'", ["two"]),
        ("datasets.context = 'training'", ["one"]),
        ("datasets.name LIKE 'fl%' and datasets.context != 'training'", ["two"]),
        ("datasets.name IN ('x', 'flights') and datasets.digest NOT IN ('d1')", ["two"]),
        ("datasets.name ILIKE 'FLIGHTS'", ["two", "one"]),
        ("datasets.name = 'none'", []),
    ],
)
def test_runs_are_found_by_what_they_read(client, begin, clock, text, expected):
    one = begin(run_name="one")
    clock.advance(1)
    two = begin(run_name="two")
    begin(run_name="three")
    log(client, one, dataset())
    log(client, two, dataset(context="testing"), dataset(digest="d2", context=""))

    found = client.send("POST", "runs/search", experiment_ids=["0"], filter=text).get("runs", [])

    assert [run["info"]["run_name"] for run in found] == expected


def test_the_data_sets_of_experiments_are_listed_once_for_each_use(client, begin):
    home = client.send("POST", "experiments/create", name="e")["experiment_id"]
    for _ in range(2):
        log(client, begin(experiment_id=home), dataset(), dataset(digest="d2", context=""))
    log(client, begin(), dataset(name="other"))

    found = client.send("POST", "experiments/search-datasets", experiment_ids=[home, home])["dataset_summaries"]

    assert sorted((one["name"], one["digest"], one.get("context")) for one in found) == [
        ("flights", "d1", "training"),
        ("flights", "d2", None),
    ]
    for ids in ([], ["x"], [str(n) for n in range(21)]):
        assert client.refused("POST", "experiments/search-datasets", experiment_ids=ids)[0] == 400
