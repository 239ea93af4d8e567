"""What clients write into runs and registry holds, and no word of theirs can make it look broken."""

from __future__ import annotations

import sqlite3  # noqa: TID251 - somebody who edits the file does not use our adapter

import pytest

from ropewalk.evidence.verify import verify
from ropewalk.models import logged, registered, stages, versions
from ropewalk.models.source import settle
from ropewalk.refs import digest_of
from ropewalk.runs import experiments, remote
from ropewalk.site import HIDDEN

LOOKS_LIKE_A_FILE = digest_of(b"nothing of ours")


@pytest.fixture
def registered_site(site):
    """A site on which a client has done all that he can."""

    def work(tx):
        home = experiments.create(tx, site, LOOKS_LIKE_A_FILE, tags={"k": LOOKS_LIKE_A_FILE})
        experiments.set_tag(tx, site, home.id, LOOKS_LIKE_A_FILE, LOOKS_LIKE_A_FILE)
        run = remote.create(tx, site, experiment=home.id, name=LOOKS_LIKE_A_FILE)
        made = logged.create(
            tx, site, experiment=home.id, root=home.location, name="m", source_run=LOOKS_LIKE_A_FILE,
            params=[(LOOKS_LIKE_A_FILE, "x")], tags=[(LOOKS_LIKE_A_FILE, LOOKS_LIKE_A_FILE)],
        )  # fmt: skip
        logged.log_params(tx, site, made.id, [(LOOKS_LIKE_A_FILE, "x")])
        registered.create(tx, site, "late", tags={LOOKS_LIKE_A_FILE: "v"}, description=LOOKS_LIKE_A_FILE)
        for uri, run_id in ((f"runs:/{run.id}/model", run.id), (f"models:/{made.id}", None)):
            found = settle(tx, uri, run_id=run_id, logged_model=None if run_id else made.id)
            versions.add(
                tx, site, name="late", source=found.uri, storage=found.storage, run_id=found.run_id,
                logged_model=found.logged_model,
            )  # fmt: skip
        versions.set_tag(tx, site, "late", 1, key=LOOKS_LIKE_A_FILE, value=LOOKS_LIKE_A_FILE)
        versions.delete_tag(tx, site, "late", 1, LOOKS_LIKE_A_FILE)
        versions.set_tag(tx, site, "late", 2, key="mlflow.prompt.text", value="Hello")
        stages.transition(tx, site, "late", 1, "Production")
        versions.set_alias(tx, site, "late", "best", 1)
        registered.rename(tx, site, "late", "later", holder=lambda *_: "")
        versions.delete(tx, site, "later", 1, holder=lambda *_: "")
        registered.create(tx, site, "gone")
        registered.delete(tx, site, "gone", holder=lambda *_: "")

    site.db.write(work)
    return site


def test_what_clients_write_holds(registered_site):
    assert verify(registered_site).findings == ()


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("update registered_models set name = 'evil' where name = 'later'", "registered model"),
        ("update registered_models set deleted_us = null where name = 'gone'", "registered model"),
        ("delete from registered_model_tags", "tag of model"),
        ("update model_version_tags set value = 'Evil' where key = 'mlflow.prompt.text'", "tag of model"),
        ("insert into model_version_tags values (1, 2, 'a', 'b')", "tag of model"),
        ("update model_versions set source = 'models:/m-evil' where version = 2", "model late/2"),
        ("update model_versions set stage = 'Production' where version = 2", "state of model"),
        ("update model_versions set deleted_us = null where version = 1", "state of model"),
        ("update model_aliases set version = 2 where seq = 1", "alias"),
        ("insert into model_aliases values (1, 'best', 3, 2, 'eve', 1)", "alias"),
    ],
)
def test_what_somebody_edits_afterwards_is_named(registered_site, statement, word):
    raw = sqlite3.connect(registered_site.root / HIDDEN / "ropewalk.db")
    with raw:
        raw.execute(statement)
    raw.close()

    found = [finding.what for finding in verify(registered_site).findings]

    assert any(what.startswith(word) for what in found), found
