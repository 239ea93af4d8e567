"""Prompts, which ride on the registry: versions, aliases, tags, searches, and prompts of runs."""

from __future__ import annotations

import json

import mlflow
import pytest
from mlflow.exceptions import MlflowException

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def prompt(unique) -> str:
    name = unique("prompt")
    mlflow.genai.register_prompt(name, "Say {{ word }}.", commit_message="first", tags={"task": "say"})
    return name


def test_a_prompt_is_registered_and_filled(prompt):
    found = mlflow.genai.load_prompt(f"prompts:/{prompt}/1")

    assert found.template == "Say {{ word }}."
    assert found.format(word="yes") == "Say yes."
    assert found.commit_message == "first"
    assert found.variables == {"word"}


def test_a_chat_prompt_keeps_its_messages(unique):
    name = unique("chat")
    messages = [{"role": "system", "content": "You are {{ who }}."}, {"role": "user", "content": "{{ asked }}"}]

    mlflow.genai.register_prompt(name, messages)

    found = mlflow.genai.load_prompt(name, version=1)
    assert found.format(who="a cat", asked="hi")[0]["content"] == "You are a cat."


def test_versions_and_aliases_of_a_prompt(prompt):
    second = mlflow.genai.register_prompt(prompt, "Shout {{ word }}!")
    mlflow.genai.set_prompt_alias(prompt, "live", second.version)

    assert int(second.version) == 2
    assert mlflow.genai.load_prompt(f"prompts:/{prompt}@live").template == "Shout {{ word }}!"
    assert mlflow.genai.load_prompt(f"prompts:/{prompt}@latest").version == 2
    mlflow.genai.delete_prompt_alias(prompt, "live")
    assert mlflow.genai.load_prompt(f"prompts:/{prompt}@live", allow_missing=True, cache_ttl_seconds=0) is None


def test_tags_of_prompts_and_their_versions(client, prompt):
    mlflow.genai.set_prompt_tag(prompt, "team", "a")
    mlflow.genai.set_prompt_version_tag(prompt, 1, "state", "ready")

    assert mlflow.genai.get_prompt_tags(prompt)["team"] == "a"
    assert client.get_prompt_version(prompt, "1").tags["state"] == "ready"
    mlflow.genai.delete_prompt_tag(prompt, "team")
    mlflow.genai.delete_prompt_version_tag(prompt, 1, "state")
    assert "team" not in mlflow.genai.get_prompt_tags(prompt)


def test_prompts_are_searched_and_are_no_models(client, prompt):
    assert [one.name for one in mlflow.genai.search_prompts(filter_string=f"name = '{prompt}'")] == [prompt]
    assert client.search_registered_models(f"name = '{prompt}'") == []
    with pytest.raises(MlflowException):
        client.create_registered_model(prompt)


def test_an_unknown_prompt_is_nothing_or_an_error(unique):
    name = unique("never")

    assert mlflow.genai.load_prompt(f"prompts:/{name}/1", allow_missing=True) is None
    with pytest.raises(MlflowException):
        mlflow.genai.load_prompt(f"prompts:/{name}/1")


def test_a_prompt_that_a_run_loads_is_linked_to_it(client, experiment, prompt):
    with mlflow.start_run() as run:
        mlflow.genai.load_prompt(f"prompts:/{prompt}/1")
    other = client.create_run(experiment).info.run_id
    client.link_prompt_version_to_run(other, f"prompts:/{prompt}/1")

    for one in (run.info.run_id, other):
        assert json.loads(client.get_run(one).data.tags["mlflow.linkedPrompts"]) == [{"name": prompt, "version": "1"}]


def test_a_prompt_s_versions_are_deleted(client, prompt):
    client.delete_prompt_version(prompt, "1")
    client.delete_prompt(prompt)

    assert client.get_prompt(prompt) is None
