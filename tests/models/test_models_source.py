"""A version comes from a run, a logged model or another version of ours; nothing else is even looked at."""

from __future__ import annotations

import pytest

from ropewalk.errors import Invalid, NotFound
from ropewalk.models import logged, registered, versions
from ropewalk.models.source import settle
from ropewalk.runs import remote


@pytest.fixture
def run(site):
    return site.db.write(lambda tx: remote.create(tx, site))


@pytest.fixture
def model(site, run):
    return site.db.write(
        lambda tx: logged.create(tx, site, experiment=0, root="mlflow-artifacts:/0", name="m", source_run=run.id)
    )


def _settle(site, uri, **named):
    with site.db.read() as reader:
        return settle(reader, uri, **named)


def test_what_lies_among_the_artifacts_of_the_named_run_is_taken(site, run):
    for uri in (f"runs:/{run.id}/model", f"{run.location}/model", f"{run.location}/a%20b", run.location):
        found = _settle(site, uri, run_id=run.id)

        assert (found.uri, found.storage, found.run_id) == (uri, uri, run.id)


def test_a_logged_model_is_taken_by_its_id_and_by_its_files(site, run, model):
    by_id = _settle(site, f"models:/{model.id}", logged_model=model.id)
    by_files = _settle(site, f"{model.location}/data", logged_model=model.id)

    assert (by_id.storage, by_id.run_id, by_id.logged_model) == (model.location, run.id, model.id)
    assert (by_files.storage, by_files.run_id) == (f"{model.location}/data", run.id)


def test_another_version_is_taken_with_what_it_was_made_of(site, run):
    def made(tx):
        registered.create(tx, site, "late")
        uri = f"runs:/{run.id}/model"
        versions.add(tx, site, name="late", source=uri, storage=uri, run_id=run.id)
        versions.set_alias(tx, site, "late", "champion", 1)

    site.db.write(made)

    for uri in ("models:/late/1", "models:/late@champion", "models:/late/latest", "models:/late/None"):
        found = _settle(site, uri)
        assert (found.uri, found.storage, found.run_id) == ("models:/late/1", f"runs:/{run.id}/model", run.id)
    assert _settle(site, "models:/late/1", run_id=run.id).run_id == run.id
    with pytest.raises(Invalid, match="Invalid model version source"):
        _settle(site, "models:/late/1", run_id="another")
    for uri in ("models:/late/2", "models:/none/1", "models:/late/Production"):
        with pytest.raises(NotFound):
            _settle(site, uri)


def test_a_prompt_is_no_model(site):
    site.db.write(lambda tx: registered.create(tx, site, "p", tags={"mlflow.prompt.is_prompt": "true"}))
    site.db.write(lambda tx: versions.add(tx, site, name="p", source="dummy-source", storage="dummy-source"))

    with pytest.raises(Invalid) as caught:
        _settle(site, "models:/p/1")
    assert caught.value.why == "a prompt is no model"


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/etc/passwd",
        "//etc/passwd",
        "etc/passwd",
        "C:/windows/win.ini",
        "C:\\windows",
        "file:///etc/passwd",
        "FILE:/etc/passwd",
        "http://127.0.0.1/x",
        "http:///#/../../../etc/",
        "https://host/api/2.0/mlflow-artifacts/artifacts/0/RUN/artifacts/model",
        "ftp://host/x",
        "data:text/plain,x",
        "javascript:alert(1)",
        "s3://bucket/model",
        "dbfs:/x?/../../../etc/passwd",
        "runs:/RUN",
        "runs:/RUN/",
        "runs:/RUN/../other/model",
        "runs:/RUN/%2e%2e/other",
        "runs:/RUN/%252e%252e/other",
        "runs:/RUN/%25252525252e%25252525252e/other",
        "runs:/RUN/a\\..\\b",
        "runs:/RUN/a\0b",
        "runs:/RUN/a%00b",
        "runs://host/RUN/model",
        "runs:RUN/model",
        "runs:/other/model",
        "mlflow-artifacts:/0/other/artifacts/model",
        "mlflow-artifacts:/0/RUN/artifacts/../../other/artifacts",
        "mlflow-artifacts:/0/RUN/artifactsX/model",
        "mlflow-artifacts://host/0/RUN/artifacts/model",
        "mlflow-artifacts:/0/RUN/artifacts/model?x=../../..",
        "mlflow-artifacts:/0/RUN/artifacts/model#/../..",
        "models:/m-1",
        "models://host/late/1",
        "models:/late/1/2",
        "models:/late/",
        "models:/",
        "http://[::1/x",
        "x" * 3000,
    ],
)
def test_everything_else_is_refused(site, run, uri):
    with pytest.raises(Invalid):
        _settle(site, uri.replace("RUN", run.id), run_id=run.id)


def test_a_run_or_model_that_is_not_named_or_not_there_owns_nothing(site, run, model):
    for uri, named in (
        (f"runs:/{run.id}/model", {}),
        (f"runs:/{run.id}/model", {"run_id": ""}),
        (f"runs:/{run.id}/model", {"run_id": run.id, "logged_model": model.id}),
        (f"{run.location}/model", {}),
        ("runs:/none/model", {"run_id": "none"}),
        (f"{run.location}/model", {"run_id": "none"}),
        (f"models:/{model.id}", {"run_id": run.id}),
        (f"models:/{model.id}", {"logged_model": "m-other"}),
        ("models:/m-other", {"logged_model": "m-other"}),
        (f"{run.location}/model", {"logged_model": model.id}),
        (f"{model.location}x", {"logged_model": model.id}),
    ):
        with pytest.raises(Invalid, match="Invalid model version source"):
            _settle(site, uri, **named)
