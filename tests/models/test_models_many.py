"""Ten thousand versions and as many logged models are searched within the means of a request, on both stores."""

from __future__ import annotations

import pytest

from ropewalk.api.mlflow.registrywords import model_words, version_words
from ropewalk.models import logged_search, registered, search, stages
from ropewalk.models.logged_search import By, Dataset
from runs.stores import STORES, site_on

MANY = 10_000


@pytest.fixture(scope="module", params=STORES)
def site(request, tmp_path_factory):
    with site_on(request.param, tmp_path_factory.mktemp("many")) as open_:
        open_.db.write(lambda tx: _fill(tx, open_))
        yield open_


def _fill(tx, site):
    model = registered.create(tx, site, "late").id
    texts = dict.fromkeys(("manifest", "author", "run_link", "logged_model", "description"), "")
    tx.many(
        "models.insert",
        [
            {
                **texts,
                "model": model,
                "version": place,
                "name": "late",
                "run_id": f"r{place}",
                "source": "runs:/r/m",
                "storage": "runs:/r/m",
                "created_us": place * 1000,
            }
            for place in range(1, MANY + 1)
        ],
    )
    refs = [{"model": model, "version": place, "key": "k", "value": str(place % 7)} for place in range(1, MANY + 1)]
    tx.many("models.tag_put", refs)
    words = dict.fromkeys(("name", "location", "model_type", "source_run", "author"), "x")
    tx.many(
        "logged.insert",
        [
            {**words, "id": f"m-{place}", "experiment": 0, "status": "READY", "created_us": place * 1000}
            for place in range(MANY)
        ],
    )
    first = int(str(tx.rows("logged.get", id="m-0")[0]["number"]))
    tx.many("logged.param_insert", [{"model": first + at, "key": "lr", "value": str(at)} for at in range(MANY)])
    point = {"key": "auc", "run_id": "r", "dataset_name": "d", "dataset_digest": "", "is_nan": 0}
    tx.many(
        "logged.metric_insert",
        [
            {**point, "model": first + at, "at_ms": step, "step": step, "value": at + step / 10}
            for at in range(MANY)
            for step in range(3)
        ],
    )


def test_versions_are_found_whatever_is_asked(site):
    with site.db.read() as reader:
        page = search.versions(reader, "name = 'late'", count=MANY)
        assert len(version_words(reader, page.versions)) == MANY
        assert [one.version for one in search.versions(reader, "run_id = 'r77'").versions] == [77]
        third = search.versions(reader, "tags.k = '3' and version_number > 9000", order_by=["version_number"], count=2)
        assert [one.version for one in third.versions] == [9005, 9012]
        assert [one.version for one in stages.latest(reader, "late")] == [MANY]
        assert model_words(reader, search.models(reader).models)[0].latest_versions[0].version == str(MANY)


def test_logged_models_are_found_whatever_is_asked(site):
    def found(text="", *by, **more):
        with site.db.read() as reader:
            return [one.id for one in logged_search.search(reader, [0], text, order_by=by, count=2, **more).models]

    assert found() == ["m-9999", "m-9998"]
    assert found("metrics.auc > 0.5 and params.lr = '7000'") == ["m-7000"]
    assert found("metrics.auc >= 9999.2", datasets=[Dataset(name="d")]) == ["m-9999"]
    assert found("metrics.auc < 5000", By(name="metrics.auc", descending=True)) == ["m-4999", "m-4998"]
    assert found("", By(name="metrics.auc")) == ["m-0", "m-1"]
    assert found("", datasets=[Dataset(name="other")]) == []
