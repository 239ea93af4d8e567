"""Models are numbered without gaps, and aliases remember where they pointed."""

import json

import pytest

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.ledger import chain
from ropewalk.models import versions
from ropewalk.refs import digest_of

ONE, TWO = digest_of(b"one"), digest_of(b"two")


def _register(site, name, manifest, run_id):
    return site.db.write(lambda tx: versions.register(tx, site, name=name, manifest=manifest, run_id=run_id))


def test_each_run_gets_the_next_number_and_the_ledger_says_so(site):
    first = _register(site, "late", ONE, "run-1")
    second = _register(site, "late", TWO, "run-2")
    other = _register(site, "early", ONE, "run-2")

    assert [item.ref for item in (first, second, other)] == ["late/1", "late/2", "early/1"]
    with site.db.read() as reader:
        entries = reader.all(chain.Entry, "ledger.of_subject", subject="model:late/2")
        assert [item.kind for item in entries] == ["model.registered"]
        assert json.loads(entries[0].body) == {
            "manifest": TWO,
            "model": first.model,
            "run": "run-2",
            "source": "runs:/run-2/late",
            "version": 2,
        }
        assert versions.names(reader) == ["early", "late"]
        assert versions.list_versions(reader, "late") == [second, first]
        assert versions.list_versions(reader, "late", before=2) == [first]
        assert versions.of_run(reader, "run-2") == [other, second]
        assert versions.of_manifest(reader, ONE) == [other, first]
        assert len(versions.all_versions(reader)) == 3


def test_the_same_run_and_name_again_is_the_same_version(site):
    first = _register(site, "late", ONE, "run-1")

    assert _register(site, "late", ONE, "run-1") == first
    with pytest.raises(Conflict, match="other bytes"):
        _register(site, "late", TWO, "run-1")
    with site.db.read() as reader:
        assert versions.latest(reader, "late") == first
        assert len(reader.all(chain.Entry, "ledger.of_subject", subject="model:late/1")) == 1


def test_a_name_or_digest_that_is_none_changes_nothing(site):
    for name, manifest in (("../x", ONE), ("late", "sha256:short")):
        with pytest.raises(Invalid):
            _register(site, name, manifest, "run-1")
    with site.db.read() as reader:
        assert versions.names(reader) == []


def test_an_alias_moves_and_its_past_can_be_asked(site, clock):
    _register(site, "late", ONE, "run-1")
    _register(site, "late", TWO, "run-2")
    before = clock.now_us()
    clock.advance(10)
    site.db.write(lambda tx: versions.set_alias(tx, site, "late", "champion", 1))
    clock.advance(10)
    site.db.write(lambda tx: versions.set_alias(tx, site, "late", "champion", 2))
    moved = clock.now_us()
    clock.advance(10)
    site.db.write(lambda tx: versions.set_alias(tx, site, "late", "champion", 0))

    with site.db.read() as reader:
        assert versions.alias_at(reader, "late", "champion", before) is None
        assert versions.alias_at(reader, "late", "champion", moved - 1).version == 1
        assert versions.alias_at(reader, "late", "champion", moved).version == 2
        assert versions.alias_at(reader, "late", "champion", clock.now_us()) is None
        assert versions.aliases(reader, "late") == {}
        with pytest.raises(NotFound):
            versions.resolve(reader, "late", "champion")
        kinds = [entry.kind for entry in reader.all(chain.Entry, "ledger.of_subject", subject="model:late@champion")]
        assert kinds == ["model.alias"] * 3


def test_versions_are_found_by_number_alias_and_as_the_latest(site):
    _register(site, "late", ONE, "run-1")
    second = _register(site, "late", TWO, "run-2")
    site.db.write(lambda tx: versions.set_alias(tx, site, "late", "canary", 1))
    same = site.db.write(lambda tx: versions.set_alias(tx, site, "late", "canary", 1))

    assert same.seq == 1
    with site.db.read() as reader:
        assert versions.resolve(reader, "late").version == 2
        assert versions.resolve(reader, "late", 2) == second
        assert versions.resolve(reader, "late", "1").manifest == ONE
        assert versions.resolve(reader, "late", "canary").version == 1
        assert versions.aliases(reader, "late") == {"canary": 1}
        for name, wanted in (("late", 3), ("late", "none"), ("none", "latest")):
            with pytest.raises(NotFound):
                versions.resolve(reader, name, wanted)


def test_words_that_mean_something_else_are_no_aliases(site):
    _register(site, "late", ONE, "run-1")

    for alias in ("latest", "Latest", "v3", "a b", "a.b", "", "a" * 256):
        with pytest.raises(Invalid):
            site.db.write(lambda tx, alias=alias: versions.set_alias(tx, site, "late", alias, 1))
    with pytest.raises(NotFound):
        site.db.write(lambda tx: versions.set_alias(tx, site, "late", "champion", 2))
    with pytest.raises(NotFound):
        site.db.write(lambda tx: versions.set_alias(tx, site, "late", "champion", 0))
