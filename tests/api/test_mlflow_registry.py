"""MLflow's clients create, find, move, tag and delete registered models and their versions."""

from __future__ import annotations

import json

import pytest

from api.asking import Client
from ropewalk.api.mlflow import modelversions, registry
from ropewalk.api.mlflow.problems import answer_of
from ropewalk.ledger.chain import Entry
from ropewalk.models import registered, versions
from ropewalk.refs import digest_of
from ropewalk.runs import remote
from runs.stores import STORES, site_on

EXISTS = (400, "RESOURCE_ALREADY_EXISTS")
INVALID = (400, "INVALID_PARAMETER_VALUE")
ABSENT = (404, "RESOURCE_DOES_NOT_EXIST")
STATE = (400, "INVALID_STATE")


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
    return Client(site, (*registry.ROUTES, *modelversions.ROUTES))


@pytest.fixture
def run(site):
    return site.db.write(lambda tx: remote.create(tx, site))


def _model(client, name="late", **more):
    return client.send("POST", "registered-models/create", name=name, **more)["registered_model"]


def _version(client, run, name="late", **more):
    body = {"name": name, "source": f"runs:/{run.id}/model", "run_id": run.id, **more}
    return client.send("POST", "model-versions/create", **body)["model_version"]


def test_a_model_is_made_once_and_told_whole(client):
    made = _model(client, tags=[{"key": "team", "value": "ops"}], description="who is late")

    assert made == client.get("registered-models/get", name="late")["registered_model"]
    assert made["tags"] == [{"key": "team", "value": "ops"}]
    assert made["description"] == "who is late"
    assert made["creation_timestamp"] == made["last_updated_timestamp"] > 10**12
    assert client.refused("POST", "registered-models/create", name="late") == EXISTS
    assert client.refused("GET", "registered-models/get", name="early") == ABSENT


@pytest.mark.parametrize("name", ["", " ", "a/b", "a:b", "..", "a/../b", ".", "x" * 257])
def test_what_names_no_model_changes_nothing(client, name):
    assert client.refused("POST", "registered-models/create", name=name) == INVALID
    assert client.get("registered-models/search") == {}


@on_both_stores
def test_the_longest_words_fit(client, site, run):
    def letters(count):  # four bytes each, and none like another
        return "".join(chr(0x20000 + place * 7) for place in range(count))

    tags = [{"key": letters(250), "value": letters(100_000)}]
    _model(client, letters(256), tags=tags, description=letters(100_000))
    made = _version(client, run, letters(256), tags=tags, description=letters(100_000), run_link=letters(2000))
    client.send("POST", "registered-models/alias", name=letters(256), alias=letters(255), version="1")
    prompt = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    body = {"name": letters(256), "source": "dummy-source", "tags": prompt}
    client.send("POST", "model-versions/create", run_id=letters(256), **body)

    assert made["run_link"] == letters(2000)
    assert client.get("registered-models/alias", name=letters(256), alias=letters(255))
    assert client.refused("POST", "model-versions/create", run_id=letters(257), **body) == INVALID
    assert client.refused("POST", "model-versions/create", run_link=letters(2001), **body) == INVALID


@on_both_stores
def test_a_renamed_model_keeps_versions_aliases_tags_and_its_past(client, site, run, clock):
    _model(client, tags=[{"key": "team", "value": "ops"}])
    _version(client, run)
    client.send("POST", "registered-models/alias", name="late", alias="champion", version="1")
    before = clock.now_us()
    clock.advance(60)

    found = client.send("POST", "registered-models/rename", name="late", new_name="later")["registered_model"]

    assert found["tags"] == [{"key": "team", "value": "ops"}]
    assert found["aliases"] == [{"alias": "champion", "version": "1"}]
    assert found["latest_versions"][0]["name"] == "later"
    assert client.refused("GET", "registered-models/get", name="late") == ABSENT
    with site.db.read() as reader:
        assert versions.alias_at(reader, "later", "champion", before).version == 1
        kinds = [entry.kind for entry in reader.all(Entry, "ledger.of_subject", subject="model:later")]
        assert kinds == ["model.renamed"]
    _model(client, "late")
    assert client.refused("POST", "registered-models/rename", name="later", new_name="late") == EXISTS
    assert client.refused("POST", "registered-models/rename", name="later", new_name="") == INVALID


def test_a_deleted_model_frees_its_name_and_numbers_begin_anew(client, run):
    _model(client)
    assert [_version(client, run)["version"] for _ in range(2)] == ["1", "2"]
    client.send("POST", "registered-models/alias", name="late", alias="champion", version="2")

    client.send("DELETE", "registered-models/delete", name="late")

    assert client.refused("GET", "model-versions/get", name="late", version="1") == ABSENT
    assert client.refused("DELETE", "registered-models/delete", name="late") == ABSENT
    assert "aliases" not in _model(client)
    assert _version(client, run)["version"] == "1"


def test_what_was_released_can_be_neither_deleted_nor_renamed(site, clock):
    site.db.write(lambda tx: versions.register(tx, site, name="late", manifest=digest_of(b"m"), run_id="r"))
    holder = lambda _reader, name, version: "late/1" if (name, version) in {("late", 0), ("late", 1)} else ""  # noqa: E731

    for work in (
        lambda tx: registered.delete(tx, site, "late", holder=holder),
        lambda tx: registered.rename(tx, site, "late", "other", holder=holder),
        lambda tx: versions.delete(tx, site, "late", 1, holder=holder),
    ):
        with pytest.raises(Exception, match=r"cannot be (deleted|renamed)") as caught:
            site.db.write(work)
        assert "late/1" in caught.value.why
        assert answer_of(caught.value)[1].startswith(b'{"error_code":"INVALID_STATE"')
    with site.db.read() as reader:
        assert versions.get(reader, "late", 1).deleted_us is None


def test_a_version_is_made_ready_with_what_was_said(client, run):
    _model(client)

    made = _version(
        client,
        run,
        run_link="http://old",
        description="first",
        tags=[{"key": "k", "value": "v"}, {"key": "k", "value": "w"}],
    )

    assert made == client.get("model-versions/get", name="late", version="1")["model_version"]
    assert (made["version"], made["status"], made["current_stage"]) == ("1", "READY", "None")
    assert made["tags"] == [{"key": "k", "value": "w"}]
    assert made["run_id"] == run.id
    uri = client.get("model-versions/get-download-uri", name="late", version="1")["artifact_uri"]
    assert uri == f"runs:/{run.id}/model"
    assert client.refused("POST", "model-versions/create", name="none", source=uri, run_id=run.id) == ABSENT


def test_a_deleted_version_is_gone_with_its_aliases_and_its_number(client, run):
    _model(client)
    for _ in range(2):
        _version(client, run)
    client.send("POST", "registered-models/alias", name="late", alias="champion", version="2")

    client.send("DELETE", "model-versions/delete", name="late", version="2")

    assert client.refused("GET", "registered-models/alias", name="late", alias="champion") == INVALID
    assert client.refused("GET", "model-versions/get", name="late", version="2") == ABSENT
    assert client.refused("DELETE", "model-versions/delete", name="late", version="2") == ABSENT
    assert _version(client, run)["version"] == "3"


@on_both_stores
def test_versions_move_between_stages_and_archive_those_before(client, run, clock):
    _model(client)
    for _ in range(3):
        _version(client, run)
    move = {"name": "late", "stage": "production", "archive_existing_versions": True}
    client.send("POST", "model-versions/transition-stage", version="1", **move)
    clock.advance(1)

    found = client.send("POST", "model-versions/transition-stage", version="2", **move)["model_version"]

    assert found["current_stage"] == "Production"
    assert found["last_updated_timestamp"] - found["creation_timestamp"] == 1000
    latest = client.send("POST", "registered-models/get-latest-versions", name="late")["model_versions"]
    assert {one["current_stage"]: one["version"] for one in latest} == {"Archived": "1", "Production": "2", "None": "3"}
    chosen = client.get("registered-models/get-latest-versions", name="late", stages=["PRODUCTION"])
    assert [one["version"] for one in chosen["model_versions"]] == ["2"]
    for stage, archive in (("nowhere", False), ("None", True), ("Archived", True)):
        body = {"name": "late", "version": "3", "stage": stage, "archive_existing_versions": archive}
        assert client.refused("POST", "model-versions/transition-stage", **body) == INVALID


def test_aliases_are_set_moved_asked_and_taken_away(client, run):
    _model(client)
    for _ in range(2):
        _version(client, run)
    client.send("POST", "registered-models/alias", name="late", alias="champion", version="1")
    client.send("POST", "registered-models/alias", name="late", alias="champion", version="2")

    found = client.get("registered-models/alias", name="late", alias="champion")["model_version"]

    assert (found["version"], found["aliases"]) == ("2", ["champion"])
    assert client.get("registered-models/alias", name="late", alias="Latest")["model_version"]["version"] == "2"
    for alias in ("latest", "v1", "", "a.b", "a b"):
        assert client.refused("POST", "registered-models/alias", name="late", alias=alias, version="1") == INVALID
    assert client.refused("POST", "registered-models/alias", name="late", alias="x", version="9") == ABSENT
    assert client.refused("POST", "registered-models/alias", name="late", alias="x", version="0") == ABSENT
    assert client.refused("POST", "registered-models/alias", name="late", alias="x", version="one") == INVALID
    for _ in range(2):
        client.send("DELETE", "registered-models/alias", name="late", alias="champion")
    assert client.refused("GET", "registered-models/alias", name="late", alias="champion") == INVALID


def test_tags_of_models_and_versions_are_set_and_taken_away(client, run):
    _model(client)
    _version(client, run)
    for word, more in (("registered-models", {}), ("model-versions", {"version": "1"})):
        client.send("POST", f"{word}/set-tag", name="late", key="a/b", value="1", **more)
        client.send("POST", f"{word}/set-tag", name="late", key="a/b", value="2", **more)
        found = next(iter(client.get(f"{word}/get", name="late", **more).values()))
        assert found["tags"] == [{"key": "a/b", "value": "2"}]
        for key in ("", "../x", "a//b", "x" * 251, "a\nb"):
            assert client.refused("POST", f"{word}/set-tag", name="late", key=key, value="1", **more) == INVALID
        assert client.refused("POST", f"{word}/set-tag", name="late", key="k", value="x" * 100_001, **more) == INVALID
        for _ in range(2):
            client.send("DELETE", f"{word}/delete-tag", name="late", key="a/b", **more)
        assert "tags" not in next(iter(client.get(f"{word}/get", name="late", **more).values()))
        assert client.refused("POST", f"{word}/set-tag", name="none", key="k", value="1", **more) == ABSENT


def test_descriptions_change_and_say_when(client, run, clock):
    _model(client)
    _version(client, run)
    clock.advance(5)

    model = client.send("PATCH", "registered-models/update", name="late", description="new")["registered_model"]
    version = client.send("PATCH", "model-versions/update", name="late", version="1", description="one")[
        "model_version"
    ]

    for found, text in ((model, "new"), (version, "one")):
        assert found["description"] == text
        assert found["last_updated_timestamp"] - found["creation_timestamp"] == 5000
    assert client.refused("PATCH", "registered-models/update", name="late", description="x" * 100_001) == INVALID


def test_a_native_version_is_seen_and_one_of_mlflow_is_not_shipped(client, site, run):
    manifest = digest_of(b"m")
    native = site.db.write(lambda tx: versions.register(tx, site, name="late", manifest=manifest, run_id=run.id))

    seen = client.get("model-versions/get", name="late", version="1")["model_version"]
    _version(client, run)

    assert (seen["source"], seen["run_id"], seen["user_id"]) == (f"runs:/{run.id}/late", run.id, "ann@example.org")
    with site.db.read() as reader:
        assert versions.require_bytes(reader, versions.resolve(reader, "late", 1)) == native
        with pytest.raises(Exception, match="cannot be shipped") as caught:
            versions.require_bytes(reader, versions.resolve(reader, "late"))
    assert caught.value.fix == "ropewalk ship late/1"


def test_every_change_is_in_the_ledger_and_none_that_was_refused(client, site, run):
    _model(client)
    _version(client, run)
    client.send("POST", "registered-models/alias", name="late", alias="champion", version="1")
    with site.db.read() as reader:
        before = reader.rows("ledger.last")

    client.refused("POST", "registered-models/create", name="late", tags=[{"key": "a", "value": "b"}])
    client.refused("POST", "model-versions/create", name="late", source="/etc/passwd", run_id=run.id)
    client.refused("POST", "registered-models/alias", name="late", alias="x", version="7")

    with site.db.read() as reader:
        assert reader.rows("ledger.last") == before
        entry = reader.all(Entry, "ledger.of_subject", subject="model:late/1")[0]
    assert json.loads(entry.body)["source"] == f"runs:/{run.id}/model"
