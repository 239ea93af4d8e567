"""What a client registered cannot be shipped, and what was released stays as long as its release."""

from __future__ import annotations

import pytest

from ropewalk.errors import Conflict
from ropewalk.leases import take
from ropewalk.models import registered, versions
from ropewalk.refs import digest_of
from ropewalk.releases import line, release
from ropewalk.settings import Settings


def _registered(site, name="late"):
    """Register a version as a client does, then one of our own."""

    def work(tx):
        registered.create(tx, site, name)
        versions.add(tx, site, name=name, source="runs:/r/m", storage="runs:/r/m", run_id="r")

    site.db.write(work)


def test_a_version_without_a_manifest_is_refused_before_anything_is_begun(site):
    _registered(site)

    with pytest.raises(Conflict) as caught:
        line.ship(site, Settings(name="late"), doors=None, wait=False)  # type: ignore[arg-type]

    assert caught.value.code == "model-without-manifest"
    assert "ropewalk run" in caught.value.fix
    with site.db.read() as reader:
        assert release.listed(reader) == []


def test_a_released_version_is_neither_deleted_nor_renamed_and_the_error_names_the_release(site):
    _registered(site)
    manifest = digest_of(b"m")
    site.db.write(lambda tx: versions.register(tx, site, name="late", manifest=manifest, run_id="r2"))
    begun = site.db.write(
        lambda tx: release.begin(
            tx,
            site,
            name="late",
            version=2,
            manifest=manifest,
            environment="production",
            intent="i",
            lease=take(site.clock.now_us(), 1),
        )
    )

    for work in (
        lambda tx: versions.delete(tx, site, "late", 2, holder=release.of_model),
        lambda tx: registered.delete(tx, site, "late", holder=release.of_model),
        lambda tx: registered.rename(tx, site, "late", "later", holder=release.of_model),
    ):
        with pytest.raises(Conflict) as caught:
            site.db.write(work)
        assert caught.value.code == "model-released"
        assert begun.id in caught.value.why
    site.db.write(lambda tx: versions.delete(tx, site, "late", 1, holder=release.of_model))
    with site.db.read() as reader:
        assert [one.version for one in versions.list_versions(reader, "late")] == [2]
