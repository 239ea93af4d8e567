"""Searches for runs at MLflow's door: filters, orders, views and pages, as its clients ask for them."""

import pytest

from api.asking import Client
from ropewalk.api.mlflow import experiments, metrics, runs

ROUTES = (*experiments.ROUTES, *runs.ROUTES, *metrics.ROUTES)


@pytest.fixture
def client(site):
    return Client(site, ROUTES)


@pytest.fixture
def five(client, clock):
    """Runs a to e: `auc` is 0.1, 0.5, NaN, missing and 0.5; `e` lies in another experiment, `d` is deleted."""
    other = client.send("POST", "experiments/create", name="other")["experiment_id"]
    made = {}
    for name, value in (("a", 0.1), ("b", 0.5), ("c", "NaN"), ("d", None), ("e", 0.5)):
        clock.advance(1)
        home = other if name == "e" else "0"
        made[name] = client.send("POST", "runs/create", experiment_id=home, run_name=name)["run"]["info"]["run_id"]
        points = [] if value is None else [{"key": "auc", "value": value, "timestamp": 1}]
        pairs = [{"key": "depth", "value": str(ord(name))}]
        client.send("POST", "runs/log-batch", run_id=made[name], metrics=points, params=pairs, tags=pairs)
    client.send("POST", "runs/update", run_id=made["b"], status="FINISHED", end_time=5)
    client.send("POST", "runs/delete", run_id=made["d"])
    return made | {"other": other}


def names(client, **asked):
    found = client.send("POST", "runs/search", **({"experiment_ids": ["0"]} | asked))
    return "".join(run["info"]["run_name"] for run in found.get("runs", []))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "cba"),
        ({"experiment_ids": []}, ""),
        ({"experiment_ids": ["77"]}, ""),
        ({"experiment_ids": ["0", "1"]}, "ecba"),
        ({"experiment_ids": ["1", "0", "1", "77"]}, "ecba"),
        ({"run_view_type": "ALL"}, "dcba"),
        ({"run_view_type": "DELETED_ONLY"}, "d"),
        ({"run_view_type": 1}, "cba"),
        ({"filter": "metrics.auc > 0.1"}, "b"),
        ({"filter": "metrics.auc != 0.1"}, "cb"),
        ({"filter": "params.depth LIKE '9%' and attributes.status = 'RUNNING'"}, "ca"),
        ({"filter": "tags.depth = '98'"}, "b"),
        ({"filter": "params.none IS NULL", "run_view_type": "ALL"}, "dcba"),
        ({"order_by": ["metrics.auc DESC"], "run_view_type": "ALL"}, "bacd"),
        ({"order_by": ["metrics.auc ASC"], "run_view_type": "ALL"}, "abcd"),
        ({"order_by": ["metrics.auc DESC", "params.depth"], "experiment_ids": ["0", "1"]}, "ebac"),
        ({"order_by": ["attributes.end_time"]}, "bca"),
        ({"order_by": ["start_time ASC"]}, "abc"),
        ({"order_by": ["run_name"], "max_results": 2}, "ab"),
        ({"max_results": "2"}, "cb"),
    ],
)
def test_a_search_finds_the_runs_that_it_says(client, five, asked, expected):
    # "101" sorts before "98": the depth of e is the smaller text.
    assert names(client, **asked) == expected


def test_runs_are_found_by_their_ids(client, five):
    text = f"attributes.run_id IN ('{five['a']}', '{five['c']}', 'x')"

    assert names(client, filter=text) == "ca"
    assert names(client, filter=f"run_id = '{five['b']}'") == "b"
    assert names(client, filter=f"run_id NOT IN ('{five['b']}')") == "ca"


@pytest.mark.parametrize(
    "asked",
    [
        {"filter": "auc > 1"}, {"filter": "metrics.auc > '1'"}, {"filter": "params.depth = 97"}, {"order_by": ["auc"]},
        {"filter": " and ".join(["metrics.auc > 0"] * 101)}, {"order_by": ["metrics.auc", "metrics.auc DESC"]},
        {"max_results": 0}, {"max_results": -1}, {"max_results": 50_001}, {"run_view_type": "SOME"},
        {"experiment_ids": ["x"]}, {"experiment_ids": ["-1"]}, {"page_token": "e30="}, {"page_token": "\u00e9"},
        {"filter": "datasets.size = 'x'"}, {"filter": "attributes.start_time > 'x'"}, {"order_by": ["datasets.name"]},
        {"filter": "params.depth IN ('a')"}, {"filter": "status IN ('RUNNING')"}, {"filter": "metrics.auc IS NULL"},
    ],
)  # fmt: skip
def test_a_search_that_is_not_understood_is_refused(client, five, asked):
    asked = {"experiment_ids": ["0"]} | asked

    assert client.refused("POST", "runs/search", **asked) == (400, "INVALID_PARAMETER_VALUE")


def test_a_hundred_comparisons_and_a_long_list_are_answered(client, five):
    ids = ", ".join(f"'{n:032x}'" for n in range(999))

    assert names(client, filter=" and ".join(["metrics.auc > 0"] * 100)) == "ba"
    assert names(client, filter=f"run_id NOT IN ({ids}) and run_id IN ({ids}, '{five['a']}')") == "a"
    assert names(client, experiment_ids=[str(n) for n in range(9000)]) == "ecba"
    assert names(client, order_by=[f"metrics.m{n}" for n in range(32)]) == "cba"


@pytest.mark.parametrize("letter", ["\\", "\U0001f409", "%", "_", "''"])
def test_the_longest_pattern_is_answered(client, five, letter):
    assert names(client, filter=f"tags.depth ILIKE 'x{letter * 9_999}'") == ""


@pytest.mark.parametrize("order", [[], ["metrics.auc DESC"], ["params.depth ASC"], ["metrics.none"], ["run_name DESC"]])
def test_pages_give_every_run_once_even_while_others_begin(client, five, order):
    asked = {"experiment_ids": ["0", five["other"]], "order_by": order, "run_view_type": "ALL", "max_results": 2}
    found, token = [], ""
    while True:
        page = client.send("POST", "runs/search", **asked, page_token=token)
        found += [run["info"]["run_name"] for run in page["runs"]]
        token = page.get("next_page_token", "")
        if not token:
            break
        client.send("POST", "runs/create", run_name="late")

    assert sorted(name for name in found if name != "late") == list("abcde")


def test_pages_in_the_longest_order_go_on(client, five):
    asked = {"experiment_ids": ["0"], "order_by": [f"params.p{n} DESC" for n in range(31)] + ["metrics.auc"]}
    found, token = "", ""
    while token or not found:
        page = client.send("POST", "runs/search", **asked, max_results=1, page_token=token)
        found, token = found + page["runs"][0]["info"]["run_name"], page.get("next_page_token", "")

    assert found == "abc"


def test_a_token_belongs_to_its_search(client, five):
    token = client.send("POST", "runs/search", experiment_ids=["0"], max_results=1)["next_page_token"]

    for other in ({"filter": "metrics.auc > 0"}, {"order_by": ["run_name"]}, {"experiment_ids": ["1"]},
                  {"run_view_type": "ALL"}):  # fmt: skip
        asked = {"experiment_ids": ["0"], "max_results": 1, "page_token": token} | other
        assert client.refused("POST", "runs/search", **asked) == (400, "INVALID_PARAMETER_VALUE")


def test_a_token_with_a_position_that_fits_no_column_is_refused(client, five):
    import base64
    import json

    token = client.send("POST", "runs/search", experiment_ids=["0"], max_results=1)["next_page_token"]
    seal, kinds, place = json.loads(base64.urlsafe_b64decode(token))

    for wrong in ([place[1], place[0]], place[:1], [None, None], [1 << 80, "x"], ["\0", "\0"], {"a": 1}):
        forged = base64.urlsafe_b64encode(json.dumps([seal, kinds, wrong]).encode()).decode()
        asked = {"experiment_ids": ["0"], "max_results": 1, "page_token": forged}
        assert client.refused("POST", "runs/search", **asked)[0] == 400
