"""MLflow's clients write models down, finish, measure, find, tag and delete them."""

from __future__ import annotations

import math
from pathlib import PurePosixPath

import pytest

from api.asking import Client
from ropewalk.api.mlflow import logged as door
from ropewalk.api.mlflow import modelversions, registry
from ropewalk.artifacts import artifact, paths
from ropewalk.errors import Invalid
from ropewalk.models import logged
from ropewalk.models.logged import Point
from ropewalk.runs import experiments, remote
from runs.stores import STORES, site_on

INVALID = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")


@pytest.fixture
def site(request, tmp_path):
    with site_on(getattr(request, "param", "sqlite"), tmp_path) as open_:
        yield open_


on_both_stores = pytest.mark.parametrize("site", STORES, indirect=True)


@pytest.fixture
def clock(site):
    return site.clock


@pytest.fixture
def client(site):
    return Client(site, (*door.ROUTES, *registry.ROUTES, *modelversions.ROUTES))


@pytest.fixture
def run(site):
    return site.db.write(lambda tx: remote.create(tx, site))


def _made(client, name="net", **more):
    return client.send("POST", "logged-models", experiment_id="0", name=name, **more)["model"]


def _id(model):
    return model["info"]["model_id"]


def _measure(site, model_id, *points):
    site.db.write(lambda tx: logged.note_metrics(tx, {model_id: points}))


def _point(key, value, at_ms=1, step=0, run_id="r", name="", digest=""):
    return Point(
        key=key, value=value, at_ms=at_ms, step=step, run_id=run_id, dataset_name=name, dataset_digest=digest
    )  # fmt: skip


def _found(client, text="", **more):
    page = client.send("POST", "logged-models/search", **{"experiment_ids": ["0"], "filter": text, **more})
    return [one["info"]["name"] for one in page.get("models", [])]


def test_a_model_is_pending_until_its_files_are_there(client, run, clock):
    made = _made(client, model_type="Agent", source_run_id=run.id, params=[{"key": "lr", "value": "0.1"}])
    model_id = _id(made)
    clock.advance(2)

    done = client.send("PATCH", f"logged-models/{model_id}", model_id=model_id, status="LOGGED_MODEL_READY")["model"]

    assert made["info"]["status"] == "LOGGED_MODEL_PENDING"
    assert made["info"]["artifact_uri"] == f"mlflow-artifacts:/0/models/{model_id}/artifacts"
    assert made["info"]["source_run_id"] == run.id
    assert done["info"]["status"] == "LOGGED_MODEL_READY"
    assert done["info"]["last_updated_timestamp_ms"] - done["info"]["creation_timestamp_ms"] == 2000
    assert client.get(f"logged-models/{model_id}")["model"] == done
    assert client.send("PATCH", f"logged-models/{model_id}", status=3)["model"]["info"]["status"].endswith("FAILED")
    assert client.refused("PATCH", f"logged-models/{model_id}", status="DONE") == INVALID
    assert client.refused("PATCH", "logged-models/m-none", status=2) == ABSENT


def test_a_model_without_a_name_gets_one_and_a_bad_one_is_refused(client, site):
    assert _made(client, name="")["info"]["name"]
    for name in ("a/b", "a:b", "a.b", "a%b", 'a"b', "a'b", "x" * 501):
        assert client.refused("POST", "logged-models", experiment_id="0", name=name) == INVALID
    assert client.refused("POST", "logged-models", experiment_id="77", name="a") == ABSENT
    assert client.refused("POST", "logged-models", name="a") == INVALID
    gone = site.db.write(lambda tx: experiments.create(tx, site, "gone"))
    site.db.write(lambda tx: experiments.delete(tx, site, gone.id))
    assert client.refused("POST", "logged-models", experiment_id=str(gone.id), name="a") == INVALID


def test_a_deleted_model_is_only_shown_to_who_asks_for_it(client):
    model_id = _id(_made(client))

    client.send("DELETE", f"logged-models/{model_id}")

    assert client.refused("GET", f"logged-models/{model_id}") == ABSENT
    assert client.get(f"logged-models/{model_id}", allow_deleted="true")["model"]["info"]["name"] == "net"
    assert _found(client) == []
    assert client.refused("DELETE", "logged-models/m-none") == ABSENT


def test_parameters_stay_and_tags_change(client):
    model_id = _id(_made(client, tags=[{"key": "a", "value": "1"}]))
    at = f"logged-models/{model_id}"

    client.send("POST", f"{at}/params", params=[{"key": "lr", "value": "0.1"}, {"key": "lr", "value": "0.1"}])
    client.send("PATCH", f"{at}/tags", tags=[{"key": "a", "value": "2"}, {"key": "b/c", "value": "3"}])

    found = client.get(at)["model"]
    assert found["data"]["params"] == [{"key": "lr", "value": "0.1"}]
    assert found["info"]["tags"] == [{"key": "a", "value": "2"}, {"key": "b/c", "value": "3"}]
    assert client.refused("POST", f"{at}/params", params=[{"key": "lr", "value": "0.2"}]) == INVALID
    assert client.refused("POST", f"{at}/params", params=[{"key": "", "value": "0.2"}]) == INVALID
    client.send("DELETE", f"{at}/tags/b%2Fc")
    assert client.refused("DELETE", f"{at}/tags/b%2Fc") == ABSENT
    assert client.get(at)["model"]["info"]["tags"] == [{"key": "a", "value": "2"}]


@on_both_stores
def test_what_runs_measured_is_told_once_with_nan_and_infinities(client, site):
    model_id = _id(_made(client))
    same = _point("auc", 0.5, name="test", digest="d1")
    _measure(site, model_id, same, same, _point("auc", math.nan, at_ms=2), _point("auc", -math.inf, at_ms=3, step=4))

    metrics = client.get(f"logged-models/{model_id}")["model"]["data"]["metrics"]

    assert [one["value"] for one in metrics] == [0.5, "NaN", "-Infinity"]
    assert metrics[2]["step"] == 4
    assert metrics[0] == {
        "key": "auc", "value": 0.5, "timestamp": 1, "dataset_name": "test", "dataset_digest": "d1",
        "model_id": model_id, "run_id": "r",
    }  # fmt: skip
    searched = client.send("POST", "logged-models/search", experiment_ids=["0"])["models"][0]
    assert searched["data"]["metrics"] == metrics
    with pytest.raises(Exception, match="not found"):
        _measure(site, "m-none", same)


@on_both_stores
def test_models_are_found_by_everything_that_is_known_of_them(client, site, clock):
    for name, lr, auc, kind in (("a", "0.1", 0.9, "Agent"), ("b", "0.2", 0.7, ""), ("c", "0.3", math.nan, "LLM")):
        made = _made(client, name, model_type=kind, params=[{"key": "lr", "value": lr}])
        client.send("PATCH", f"logged-models/{_id(made)}/tags", tags=[{"key": "team", "value": f"Ops-{name}"}])
        _measure(site, _id(made), _point("auc", auc, name="test", digest="d1"), _point("auc", 0.1, at_ms=0, name="old"))
        clock.advance(1)
    stamp = client.send("POST", "logged-models/search", experiment_ids=[0])["models"][1]["info"][
        "creation_timestamp_ms"
    ]

    for text, names in (
        ("", ["c", "b", "a"]),
        ("metrics.auc > 0.6", ["b", "a"]),
        ("metrics.auc > 0.6 AND params.lr = '0.2'", ["b"]),
        ("metrics.auc != 0.1", ["c", "b", "a"]),
        ("metrics.`auc` <= 0.1", ["c", "b", "a"]),
        ("tags.team LIKE 'Ops-%' AND tags.team != 'Ops-a'", ["c", "b"]),
        ("tags.team LIKE 'ops-%'", []),
        ("tags.team ilike 'ops-%'", ["c", "b", "a"]),
        ("params.lr IN ('0.1', '0.3')", ["c", "a"]),
        ("params.lr NOT IN ('0.1', '0.3')", ["b"]),
        ("name = 'a'", ["a"]),
        ("attributes.model_type = 'LLM'", ["c"]),
        ("status = 'PENDING'", ["c", "b", "a"]),
        (f"creation_timestamp = {stamp}", ["b"]),
        (f"creation_time < {stamp}", ["a"]),
        (f"attributes.last_updated_timestamp_ms >= {stamp}", ["c", "b"]),
        ("params.none = '1'", []),
        ("experiment_id = '0'", ["c", "b", "a"]),
    ):
        assert _found(client, text) == names, text
    test = {"dataset_name": "test", "dataset_digest": "d1"}
    assert _found(client, "metrics.auc > 0.05", datasets=[test]) == ["b", "a"]
    assert _found(client, datasets=[{"dataset_name": "old"}]) == ["c", "b", "a"]
    assert _found(client, datasets=[{"dataset_name": "test", "dataset_digest": "d2"}]) == []


@on_both_stores
def test_models_come_in_the_order_that_was_asked_for_page_by_page(client, site):
    for name, auc in (("a", 0.3), ("b", 0.9), ("c", math.nan), ("d", None), ("e", 0.3)):
        model_id = _id(_made(client, name))
        if auc is not None:
            _measure(site, model_id, _point("auc", 5.0, at_ms=0), _point("auc", auc), _point("auc", 0.0, -1, name="d"))

    def ordered(*order, **more):
        return _found(client, order_by=list(order), **more)

    auc = {"field_name": "metrics.auc", "ascending": False}
    name = {"field_name": "name"}
    assert ordered(auc, name) == ["b", "a", "e", "c", "d"]
    assert ordered({**auc, "ascending": True}, {**name, "ascending": False}) == ["e", "a", "b", "c", "d"]
    assert ordered({**auc, "dataset_name": "d"}, name) == ["a", "b", "c", "e", "d"]
    assert ordered({"field_name": "creation_timestamp"}, name) == ["a", "b", "c", "d", "e"]
    seen, token = [], ""
    while True:
        body = {"experiment_ids": ["0"], "max_results": 2, "order_by": [auc, name], "page_token": token}
        page = client.send("POST", "logged-models/search", **body)
        seen += [one["info"]["name"] for one in page["models"]]
        token = page.get("next_page_token", "")
        if len(seen) == 2:  # a newcomer changes nothing for who is on the way
            _measure(site, _id(_made(client, "z")), _point("auc", 8.0))
        if not token:
            break
    assert seen == ["b", "a", "e", "c", "d"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"experiment_ids": ["x"]},
        {"experiment_ids": ["0"], "filter": "auc > "},
        {"experiment_ids": ["0"], "filter": "metrics.auc > 'x'"},
        {"experiment_ids": ["0"], "filter": "metrics.auc LIKE 'x'"},
        {"experiment_ids": ["0"], "filter": "nothing.x = '1'"},
        {"experiment_ids": ["0"], "filter": "color = '1'"},
        {"experiment_ids": ["0"], "filter": "name = 'a' OR name = 'b'"},
        {"experiment_ids": ["0"], "order_by": [{"field_name": "params.lr"}]},
        {"experiment_ids": ["0"], "order_by": [{"field_name": ""}]},
        {"experiment_ids": ["0"], "order_by": [{"field_name": "metrics.`a` desc, x"}]},
        {"experiment_ids": ["0"], "max_results": -1},
        {"experiment_ids": ["0"], "page_token": "bm9uZQ=="},
        {"experiment_ids": ["0"], "page_token": "\u00e9"},
        {"experiment_ids": ["0"], "datasets": [{"dataset_digest": "d"}]},
    ],
)
def test_a_search_that_is_not_understood_is_refused(client, body):
    _made(client)

    assert client.refused("POST", "logged-models/search", **body) == INVALID


@on_both_stores
def test_the_longest_words_fit_and_longer_ones_are_refused(client, site):
    def letters(count):  # four bytes each, and none like another
        return "".join(chr(0x20000 + place * 7) for place in range(count))

    made = _made(client, letters(500), params=[{"key": letters(250), "value": letters(16_000)}])
    at = f"logged-models/{_id(made)}"
    client.send("PATCH", f"{at}/tags", tags=[{"key": letters(250), "value": letters(100_000)}])
    longest = _point(letters(250), 0.5, run_id="r" * 32, name=letters(250), digest=letters(36))
    _measure(site, _id(made), longest)

    assert client.get(at)["model"]["data"]["metrics"][0]["dataset_name"] == letters(250)
    for name, digest in (("x" * 501, ""), (letters(251), ""), ("d", letters(37))):
        with pytest.raises(Invalid):
            _measure(site, _id(made), _point("auc", 0.5, name=name, digest=digest))


def test_nowhere_is_nothing_found_and_no_number_means_fifty(client):
    for place in range(51):
        _made(client, f"m{place}")

    assert _found(client, experiment_ids=[]) == []
    assert len(_found(client, max_results=0)) == 50


def test_a_token_belongs_to_its_search(client):
    for name in ("a", "b", "c"):
        _made(client, name)
    page = client.send("POST", "logged-models/search", experiment_ids=["0"], max_results=1)
    token = {"page_token": page["next_page_token"], "max_results": 1}

    assert client.send("POST", "logged-models/search", experiment_ids=["0"], **token)["models"]
    for other in ({"filter": "name != 'x'"}, {"order_by": [{"field_name": "name"}]}, {"experiment_ids": ["0", "1"]}):
        body = {"experiment_ids": ["0"], **token, **other}
        assert client.refused("POST", "logged-models/search", **body) == INVALID


def test_files_of_a_model_are_listed_below_its_place(client, site):
    model = _made(client)
    root = paths.of_uri(model["info"]["artifact_uri"])
    digest = site.blobs.put(b"x")
    for name in ("MLmodel", "data/model.bin"):
        path = str(PurePosixPath(root) / name)
        site.db.write(lambda tx, at=path: artifact.put(tx, site, at, digest, 1, "text/plain", begun_us=0))

    at = f"logged-models/{_id(model)}/artifacts/directories"
    top = client.get(at)
    below = client.get(at, artifact_directory_path="data")

    assert top["root_uri"] == model["info"]["artifact_uri"]
    assert [(one["path"], one["is_dir"]) for one in top["files"]] == [("MLmodel", False), ("data", True)]
    assert [one["path"] for one in below["files"]] == ["data/model.bin"]
    assert client.refused("GET", at, artifact_directory_path="../other")[0] == 400
    assert client.refused("GET", "logged-models/m-none/artifacts/directories") == ABSENT


@on_both_stores
def test_a_registered_model_knows_its_versions(client, run):
    model_id = _id(_made(client, source_run_id=run.id))
    client.send("POST", "registered-models/create", name="late")
    for _ in range(2):
        body = {"name": "late", "source": f"models:/{model_id}", "model_id": model_id}
        made = client.send("POST", "model-versions/create", **body)["model_version"]

    tags = client.get(f"logged-models/{model_id}")["model"]["info"]["tags"]

    assert tags == [
        {"key": "mlflow.modelVersions", "value": '[{"name": "late", "version": 1}, {"name": "late", "version": 2}]'}
    ]
    assert (made["model_id"], made["run_id"]) == (model_id, run.id)
    uri = client.get("model-versions/get-download-uri", name="late", version="2")["artifact_uri"]
    assert uri == f"mlflow-artifacts:/0/models/{model_id}/artifacts"
