"""The registry's calls: models, versions, stages, aliases, tags, searches and what they refuse."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.exceptions import MlflowException

pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def model(client, unique) -> str:
    return client.create_registered_model(unique("model"), tags={"team": "a"}, description="first words").name


@pytest.fixture
def version(client, model, run) -> str:
    """A model with one version, of a run; its name."""
    client.create_model_version(model, f"runs:/{run}/model", run, tags={"colour": "red"}, description="first")
    return model


def test_a_model_is_made_and_found(client, model):
    found = client.get_registered_model(model)

    assert (found.name, found.description, found.tags) == (model, "first words", {"team": "a"})
    assert found.creation_timestamp
    assert found.last_updated_timestamp
    assert found.latest_versions == []
    with pytest.raises(MlflowException) as told:
        client.create_registered_model(model)
    assert told.value.error_code == "RESOURCE_ALREADY_EXISTS"


def test_a_model_is_renamed_described_and_deleted(client, version, unique):
    new = unique("renamed")

    client.rename_registered_model(version, new)
    client.update_registered_model(new, description="second words")

    assert client.get_registered_model(new).description == "second words"
    assert client.get_model_version(new, "1").name == new
    with pytest.raises(MlflowException) as told:
        client.get_registered_model(version)
    assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"
    client.delete_registered_model(new)
    with pytest.raises(MlflowException):
        client.get_model_version(new, "1")


def test_a_name_that_is_taken_takes_no_rename(client, model, unique):
    other = client.create_registered_model(unique("other")).name

    with pytest.raises(MlflowException) as told:
        client.rename_registered_model(model, other)
    assert told.value.error_code == "RESOURCE_ALREADY_EXISTS"
    assert client.get_registered_model(model).name == model


def test_versions_count_up(client, version, run):
    second = client.create_model_version(version, f"runs:/{run}/model", run)
    client.delete_model_version(version, second.version)
    third = client.create_model_version(version, f"runs:/{run}/model", run)

    assert int(second.version) == 2
    assert int(third.version) in (2, 3)
    with pytest.raises(MlflowException):
        client.get_model_version(version, "99")


def test_a_version_holds_what_it_was_made_of(client, version, run):
    found = client.get_model_version(version, "1")

    assert (found.run_id, found.description, found.tags) == (run, "first", {"colour": "red"})
    assert found.source == f"runs:/{run}/model"
    assert (found.status, found.current_stage) == ("READY", "None")
    assert client.get_model_version_download_uri(version, "1")
    client.update_model_version(version, "1", description="second")
    assert client.get_model_version(version, "1").description == "second"
    assert client.get_model_version_stages(version, "1")


def test_tags_of_models_and_versions_change(client, version):
    client.set_registered_model_tag(version, "team", "b")
    client.set_registered_model_tag(version, "more", "x")
    client.delete_registered_model_tag(version, "more")
    client.set_model_version_tag(version, "1", "colour", "blue")
    client.set_model_version_tag(version, "1", "gone", "soon")
    client.delete_model_version_tag(version, "1", "gone")

    assert client.get_registered_model(version).tags == {"team": "b"}
    assert client.get_model_version(version, "1").tags == {"colour": "blue"}


def test_an_alias_names_one_version_and_moves(client, version, run):
    client.create_model_version(version, f"runs:/{run}/model", run)
    client.set_registered_model_alias(version, "champion", "1")
    client.set_registered_model_alias(version, "champion", "2")
    client.set_registered_model_alias(version, "challenger", "1")

    assert int(client.get_model_version_by_alias(version, "champion").version) == 2
    assert {key: int(one) for key, one in client.get_registered_model(version).aliases.items()} == {
        "champion": 2,
        "challenger": 1,
    }
    assert list(client.get_model_version(version, "2").aliases) == ["champion"]
    client.delete_registered_model_alias(version, "champion")
    with pytest.raises(MlflowException):
        client.get_model_version_by_alias(version, "champion")


@pytest.mark.parametrize("alias", ["latest", "v3", "with space", "semi;colon", "a" * 256, ""])
def test_a_word_that_may_not_be_an_alias_is_refused(client, version, alias):
    with pytest.raises(MlflowException) as told:
        client.set_registered_model_alias(version, alias, "1")
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_stages_move_and_archive_the_ones_before(client, version, run):
    client.create_model_version(version, f"runs:/{run}/model", run)
    client.transition_model_version_stage(version, "1", "Production")
    client.transition_model_version_stage(version, "2", "production", archive_existing_versions=True)

    assert client.get_model_version(version, "1").current_stage == "Archived"
    assert client.get_model_version(version, "2").current_stage == "Production"
    assert [int(one.version) for one in client.get_latest_versions(version, ["Production"])] == [2]
    assert {one.current_stage for one in client.get_latest_versions(version)} == {"Production", "Archived"}
    with pytest.raises(MlflowException) as told:
        client.transition_model_version_stage(version, "1", "Nowhere")
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_models_are_searched(client, unique):
    mark = unique("mark")
    for letter in "cab":
        client.create_registered_model(f"{mark}-{letter}", tags={"letter": letter, "mark": mark})

    def found(wanted, **more):
        return [one.name[-1] for one in client.search_registered_models(wanted, **more)]

    assert found(f"name LIKE '{mark}%'", order_by=["name ASC"]) == ["a", "b", "c"]
    assert found(f"name ILIKE '{mark.upper()}%'", order_by=["name DESC"]) == ["c", "b", "a"]
    assert found(f"name = '{mark}-a'") == ["a"]
    assert found(f"tags.mark = '{mark}' and tags.letter = 'b'") == ["b"]
    assert found(f"tags.mark = '{mark}'", order_by=["last_updated_timestamp DESC"]) == ["b", "a", "c"]
    first = client.search_registered_models(f"tags.mark = '{mark}'", max_results=2, order_by=["name ASC"])
    rest = client.search_registered_models(
        f"tags.mark = '{mark}'", max_results=2, order_by=["name ASC"], page_token=first.token
    )
    assert [one.name[-1] for one in [*first, *rest]] == ["a", "b", "c"]
    assert not rest.token


def test_versions_are_searched(client, version, run):
    client.create_model_version(version, f"runs:/{run}/other", run, tags={"colour": "blue"})

    def found(wanted, **more):
        return [int(one.version) for one in client.search_model_versions(wanted, **more)]

    assert sorted(found(f"name = '{version}'")) == [1, 2]
    assert found(f"name = '{version}'", order_by=["version_number ASC"]) == [1, 2]
    assert found(f"name = '{version}'", order_by=["version_number DESC"], max_results=1) == [2]
    assert sorted(found(f"run_id = '{run}'")) == [1, 2]
    assert found(f"name = '{version}' and tags.colour = 'blue'") == [2]
    assert found(f"source_path = 'runs:/{run}/other'") == [2]
    assert found(f"name LIKE '{version[:12]}%' and run_id IN ('{run}')", order_by=["version_number"]) == [1, 2]
    assert found(f"name = '{version}' and version_number = 2") == [2]


def test_the_fluent_searches_give_all_pages(client, version):
    assert [one.name for one in mlflow.search_registered_models(filter_string=f"name = '{version}'")] == [version]
    assert len(mlflow.search_model_versions(filter_string=f"name = '{version}'")) == 1
    mlflow.set_model_version_tag(version, "1", key="fluent", value="yes")
    assert client.get_model_version(version, "1").tags["fluent"] == "yes"


@pytest.mark.parametrize("wrong", ["colour = 'a'", "name > 'a'", "name = a", "name = 'a' OR name = 'b'"])
def test_a_wrong_filter_of_models_is_refused(client, wrong):
    for search in (client.search_registered_models, client.search_model_versions):
        with pytest.raises(MlflowException) as told:
            search(wrong)
        assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_version_of_an_unknown_model_is_refused(client, run, unique):
    with pytest.raises(MlflowException) as told:
        client.create_model_version(unique("never"), f"runs:/{run}/model", run)
    assert told.value.error_code == "RESOURCE_DOES_NOT_EXIST"


@pytest.mark.parametrize("source", ["file:///etc", "/etc/passwd", "mlflow-artifacts:/../../etc", "http:///#/../../etc"])
def test_a_source_that_leads_elsewhere_is_refused(client, model, run, source):
    with pytest.raises(MlflowException) as told:
        client.create_model_version(model, source, run)
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


@pytest.mark.parametrize("name", ["", "a/b", "a:b"])
def test_a_word_that_may_not_be_a_model_is_refused(client, name):
    with pytest.raises(MlflowException) as told:
        client.create_registered_model(name)
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_a_version_is_copied_to_another_model(client, version, unique):
    client.set_registered_model_alias(version, "champion", "1")

    copied = client.copy_model_version(f"models:/{version}@champion", unique("production"))

    assert int(copied.version) == 1
    assert copied.source == f"models:/{version}/1"
