"""Experiments by the fluent calls and by the client: made, found, renamed, tagged, deleted, restored, searched."""

from __future__ import annotations

import mlflow
import pytest
from mlflow.entities import ViewType
from mlflow.exceptions import MlflowException


def test_an_experiment_is_made_and_found_by_id_and_name(client, unique):
    name = unique("made")

    made = mlflow.create_experiment(name, tags={"team": "forecast", "note": "ünïcode ✓"})

    found = mlflow.get_experiment(made)
    assert (found.name, found.lifecycle_stage) == (name, "active")
    assert found.tags["note"] == "ünïcode ✓"
    assert found.artifact_location
    assert found.creation_time
    assert found.last_update_time
    assert mlflow.get_experiment_by_name(name).experiment_id == made
    assert client.get_experiment_by_name(unique("never-made")) is None


def test_set_experiment_makes_it_once_and_takes_it_the_second_time(unique):
    name = unique("taken")

    first, second = mlflow.set_experiment(name), mlflow.set_experiment(name)

    assert first.experiment_id == second.experiment_id
    assert mlflow.set_experiment(experiment_id=first.experiment_id).name == name


def test_the_default_experiment_is_there():
    assert mlflow.get_experiment("0").name == "Default"


def test_an_artifact_location_is_kept_as_it_was_given(unique, tmp_path):
    made = mlflow.create_experiment(unique("located"), artifact_location="mlflow-artifacts:/shelf")

    assert mlflow.get_experiment(made).artifact_location.endswith("/shelf")


def test_a_rename_frees_the_old_name(client, unique):
    old, new = unique("old"), unique("new")
    made = client.create_experiment(old)

    client.rename_experiment(made, new)

    assert client.get_experiment(made).name == new
    assert client.get_experiment_by_name(old) is None
    assert client.create_experiment(old) != made


def test_tags_are_set_overwritten_and_deleted(client, experiment):
    client.set_experiment_tag(experiment, "colour", "red")
    client.set_experiment_tag(experiment, "colour", "green")
    mlflow.set_experiment_tags({"a": 1, "b": "2"})
    mlflow.delete_experiment_tag("a")

    tags = client.get_experiment(experiment).tags
    assert tags["colour"] == "green"
    assert tags["b"] == "2"
    assert "a" not in tags


def test_a_deleted_experiment_comes_back_with_its_runs(client, experiment, run):
    client.delete_experiment(experiment)

    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    assert client.search_runs([experiment], run_view_type=ViewType.ACTIVE_ONLY) == []

    client.restore_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    assert [one.info.run_id for one in client.search_runs([experiment])] == [run]


def test_a_deleted_experiment_keeps_its_name(client, unique):
    name = unique("gone")
    client.delete_experiment(client.create_experiment(name))

    with pytest.raises(MlflowException) as told:
        client.create_experiment(name)
    assert told.value.error_code == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(MlflowException):
        mlflow.set_experiment(name)


def test_no_run_begins_in_a_deleted_experiment(client, experiment):
    client.delete_experiment(experiment)

    with pytest.raises(MlflowException) as told:
        client.create_run(experiment)
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"


def test_experiments_are_searched_by_name_tag_and_view(client, unique):
    mark = unique("mark")
    names = [f"{mark}/{letter}" for letter in "abc"]
    made = [client.create_experiment(name, tags={"mark": mark, "letter": name[-1]}) for name in names]
    client.delete_experiment(made[2])

    def found(filter_string, **more):
        return [one.name for one in client.search_experiments(filter_string=filter_string, **more)]

    assert found(f"tags.mark = '{mark}'", order_by=["name ASC"]) == names[:2]
    assert found(f"name LIKE '{mark}/%'", order_by=["name DESC"]) == names[1::-1]
    assert found(f"name ILIKE '{mark.upper()}/B'") == [names[1]]
    assert found(f"tags.mark = '{mark}' AND tags.letter != 'a'") == [names[1]]
    assert found(f"tags.mark = '{mark}'", view_type=ViewType.DELETED_ONLY) == [names[2]]
    assert len(found(f"tags.mark = '{mark}'", view_type=ViewType.ALL)) == 3
    assert found(f"tags.mark = '{mark}' AND creation_time > 0", order_by=["creation_time ASC"]) == names[:2]


def test_a_search_of_experiments_comes_in_pages(client, unique):
    mark = unique("paged")
    made = [client.create_experiment(f"{mark}-{number}") for number in range(5)]

    found, token = [], None
    while True:
        page = client.search_experiments(
            filter_string=f"name LIKE '{mark}%'", max_results=2, order_by=["name ASC"], page_token=token
        )
        assert len(page) <= 2
        found += [one.experiment_id for one in page]
        token = page.token
        if not token:
            break
    assert found == made


@pytest.mark.parametrize(
    "wrong", ["name == 'a' OR name == 'b'", "nothing = 'a'", "name > 'a'", "name LIKE", "tags.a = b"]
)
def test_a_wrong_filter_of_experiments_is_refused(client, wrong):
    with pytest.raises(MlflowException) as told:
        client.search_experiments(filter_string=wrong)
    assert told.value.error_code == "INVALID_PARAMETER_VALUE"
