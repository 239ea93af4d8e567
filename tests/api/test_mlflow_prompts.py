"""Prompts ride on the registry: marked by tags, kept out of the searches for models, told of under their own names."""

from __future__ import annotations

import json

import pytest

from api.asking import Client
from ropewalk.api.mlflow import modelversions, registry

INVALID = (400, "INVALID_PARAMETER_VALUE")
EXISTS = (400, "RESOURCE_ALREADY_EXISTS")
MARK = {"key": "mlflow.prompt.is_prompt", "value": "true"}
ONLY_PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"


@pytest.fixture
def client(site):
    return Client(site, (*registry.ROUTES, *modelversions.ROUTES))


def _prompt(client, name="greet", **more):
    return client.send("POST", "registered-models/create", name=name, tags=[MARK, {"key": "a", "value": "b"}], **more)


def _text(client, text, name="greet", source="dummy-source"):
    tags = [MARK, {"key": "mlflow.prompt.text", "value": text}]
    return client.send("POST", "model-versions/create", name=name, source=source, tags=tags)["model_version"]


def _events(site):
    with site.db.read() as reader:
        rows = reader.rows("events.after", seq=0, count=100)
    return [(row["kind"], json.loads(row["body"])) for row in rows]


def test_a_prompt_has_versions_with_texts_and_aliases(client):
    _prompt(client)
    _text(client, "Hello {{name}}!")
    second = _text(client, "Hi {{name}}!", source="prompt-template")
    client.send("POST", "registered-models/alias", name="greet", alias="best", version="2")

    found = client.get("registered-models/alias", name="greet", alias="best")["model_version"]

    assert second["version"] == "2"
    assert {one["key"]: one["value"] for one in found["tags"]}["mlflow.prompt.text"] == "Hi {{name}}!"


def test_a_search_leaves_prompts_out_unless_they_are_asked_for(client):
    _prompt(client)
    _text(client, "Hello")
    client.send("POST", "registered-models/create", name="late", tags=[{"key": "a", "value": "b"}])

    def models(text):
        found = client.get("registered-models/search", filter=text).get("registered_models", [])
        return [one["name"] for one in found]

    def versions(text):
        return [one["name"] for one in client.get("model-versions/search", filter=text).get("model_versions", [])]

    assert models("") == models("tags.a = 'b'") == ["late"]
    assert models("tags.`mlflow.prompt.is_prompt` != 'true'") == ["late"]
    assert models("tags.`mlflow.prompt.is_prompt` = 'false'") == ["late"]
    assert models(ONLY_PROMPTS) == models(f"{ONLY_PROMPTS} AND name LIKE 'gr%' AND tags.a = 'b'") == ["greet"]
    assert models(f"{ONLY_PROMPTS} AND tags.a = 'c'") == []
    assert versions("") == []
    assert versions(f"{ONLY_PROMPTS} AND name = 'greet'") == ["greet"]


def test_a_prompt_smuggles_in_no_address_and_shares_no_name_with_a_model(client):
    _prompt(client)
    body = {"name": "greet", "tags": [MARK]}

    for source in ("file:///etc/passwd", "runs:/x/y", "", "models:/m-1"):
        assert client.refused("POST", "model-versions/create", source=source, **body) == INVALID
    assert client.refused("POST", "registered-models/create", name="greet") == EXISTS
    plain = [{"key": "mlflow.prompt.is_prompt", "value": "false"}]
    refused = client.refused("POST", "model-versions/create", name="greet", source="dummy-source", tags=plain)
    assert refused == INVALID


def test_a_text_may_be_long_but_not_without_end(client):
    _prompt(client)

    assert _text(client, "x" * 100_000)["version"] == "1"
    tags = [MARK, {"key": "mlflow.prompt.text", "value": "x" * 100_001}]
    refused = client.refused("POST", "model-versions/create", name="greet", source="dummy-source", tags=tags)
    assert refused == INVALID


def test_what_happens_to_a_prompt_is_told_under_its_own_names(client, site):
    _prompt(client, description="says hello")
    _text(client, "Hello")
    client.send("POST", "registered-models/set-tag", name="greet", key="k", value="v")
    client.send("POST", "model-versions/set-tag", name="greet", version="1", key="k", value="v")
    client.send("POST", "registered-models/alias", name="greet", alias="best", version="1")
    client.send("DELETE", "registered-models/alias", name="greet", alias="best")
    client.send("DELETE", "registered-models/delete-tag", name="greet", key="k")
    client.send("DELETE", "model-versions/delete-tag", name="greet", version="1", key="k")

    assert _events(site) == [
        ("prompt.created", {"name": "greet", "tags": {"a": "b"}, "description": "says hello"}),
        (
            "prompt_version.created",
            {"name": "greet", "version": "1", "template": "Hello", "tags": {}, "description": None},
        ),
        ("prompt_tag.set", {"name": "greet", "key": "k", "value": "v"}),
        ("prompt_version_tag.set", {"name": "greet", "version": "1", "key": "k", "value": "v"}),
        ("prompt_alias.created", {"name": "greet", "alias": "best", "version": "1"}),
        ("prompt_alias.deleted", {"name": "greet", "alias": "best"}),
        ("prompt_tag.deleted", {"name": "greet", "key": "k"}),
        ("prompt_version_tag.deleted", {"name": "greet", "version": "1", "key": "k"}),
    ]


def test_what_happens_to_a_model_is_told_in_mlflows_words(client, site):
    client.send("POST", "registered-models/create", name="late")
    client.send("POST", "registered-models/set-tag", name="late", key="k", value="v")
    from ropewalk.runs import remote

    run = site.db.write(lambda tx: remote.create(tx, site))
    body = {"name": "late", "source": f"runs:/{run.id}/m", "run_id": run.id, "tags": [{"key": "a", "value": "b"}]}
    client.send("POST", "model-versions/create", **body)
    client.send("POST", "model-versions/set-tag", name="late", version="1", key="k", value="v")
    for _ in range(2):
        client.send("POST", "registered-models/alias", name="late", alias="best", version="1")
    client.send("DELETE", "model-versions/delete", name="late", version="1")

    told = [one for one in _events(site) if not one[0].startswith(("run.", "experiment."))]
    assert told == [
        ("registered_model.created", {"name": "late", "tags": {}, "description": ""}),
        (
            "model_version.created",
            {
                "name": "late",
                "version": "1",
                "source": f"runs:/{run.id}/m",
                "run_id": run.id,
                "tags": {"a": "b"},
                "description": None,
            },
        ),
        ("model_version_tag.set", {"name": "late", "version": "1", "key": "k", "value": "v"}),
        ("model_version_alias.created", {"name": "late", "alias": "best", "version": "1"}),
        ("model_version_alias.deleted", {"name": "late", "alias": "best"}),
    ]
