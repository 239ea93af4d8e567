"""The registry does what a few dictionaries do, on both stores, and verification agrees after each walk."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.evidence.claims import CLAIMS, Claims
from ropewalk.ledger import chain
from ropewalk.models import registered, stages, versions
from ropewalk.refs import digest_of
from runs.stores import STORES, site_on

NAMES = st.sampled_from(("a", "b"))
ALIASES = st.sampled_from(("champion", "1"))
KEYS = st.just("k")
NUMBERS = st.sampled_from((1, 2, 3, 1, 2, 1))
WHOLE = "ROPEWALK_KILLS" in os.environ  # as `make fault` says
MODEL_WORDS = ("model", "alias")


@dataclass(kw_only=True)
class Version:
    """What the dictionaries know of a version."""

    source: str
    stage: str = "None"
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Model:
    """What the dictionaries know of a model."""

    next: int = 1
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[int, Version] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)
    moves: list[tuple[int, str, int]] = field(default_factory=list)


class Registry(RuleBasedStateMachine):
    """Does each step on the store and on dictionaries."""

    site = None

    def __init__(self):
        super().__init__()
        self.models: dict[str, Model] = {}
        self.held: set[tuple[str, int]] = set()

    @initialize()
    def begin_anew(self):
        for name in self._names():
            self.site.db.write(lambda tx, gone=name: registered.delete(tx, self.site, gone, holder=lambda *_: ""))
        self.create("a", {"k": "x"})
        self.add("a", "runs:/r/a")

    def _names(self):
        with self.site.db.read() as reader:
            return versions.names(reader)

    def _holder(self, _reader, name, version):
        found = [pair for pair in sorted(self.held) if pair[0] == name and version in (0, pair[1])]
        return f"release of {found[0]}" if found else ""

    def _do(self, work, *, may=True, error=(Invalid, NotFound, Conflict)):
        """Do a step; refused exactly when it may not be done."""
        self.site.clock.advance(1)
        if may:
            return self.site.db.write(work)
        with pytest.raises(error):
            self.site.db.write(work)
        return None

    @rule(name=NAMES, tags=st.dictionaries(KEYS, st.sampled_from(("x", "")), max_size=1))
    def create(self, name, tags):
        self._do(
            lambda tx: registered.create(tx, self.site, name, tags=tags), may=name not in self.models, error=Conflict
        )
        self.models.setdefault(name, Model(tags=dict(tags)))

    @rule(name=NAMES, new=NAMES)
    def rename(self, name, new):
        held = any(pair[0] == name for pair in self.held)
        may = name in self.models and (new == name or (new not in self.models and not held))
        self._do(lambda tx: registered.rename(tx, self.site, name, new, holder=self._holder), may=may)
        if may:
            self.models[new] = self.models.pop(name)

    @rule(name=NAMES)
    def delete(self, name):
        may = name in self.models and not any(pair[0] == name for pair in self.held)
        self._do(lambda tx: registered.delete(tx, self.site, name, holder=self._holder), may=may)
        if may:
            del self.models[name]

    @rule(name=NAMES, source=st.sampled_from(("runs:/r/a", "runs:/r/b")))
    def add(self, name, source):
        made = self._do(
            lambda tx: versions.add(tx, self.site, name=name, source=source, storage=source), may=name in self.models
        )
        if made is not None:
            model = self.models[name]
            assert made.version == model.next
            model.versions[model.next] = Version(source=source)
            model.next += 1

    @rule(name=NAMES, run=st.sampled_from(("r1", "r2")))
    def register_natively(self, name, run):
        manifest = digest_of(run.encode())
        source = f"runs:/{run}/{name}"
        model = self.models.setdefault(name, Model())
        known = [number for number, one in model.versions.items() if one.source.startswith(f"runs:/{run}/")]
        made = self._do(lambda tx: versions.register(tx, self.site, name=name, manifest=manifest, run_id=run))
        if known:
            assert made.version == known[0]
            return
        assert made.version == model.next
        model.versions[model.next] = Version(source=source)
        model.next += 1

    @rule(name=NAMES, version=NUMBERS)
    def delete_version(self, name, version):
        there = version in self.models.get(name, Model()).versions
        may = there and (name, version) not in self.held
        self._do(lambda tx: versions.delete(tx, self.site, name, version, holder=self._holder), may=may)
        if may:
            model = self.models[name]
            del model.versions[version]
            for alias in [alias for alias, to in model.aliases.items() if to == version]:
                self._moved(model, alias, 0)

    @precondition(lambda self: len(self.held) < 2)
    @rule(name=NAMES, version=NUMBERS)
    def release(self, name, version):
        if version in self.models.get(name, Model()).versions:
            self.held.add((name, version))

    @rule(name=NAMES, alias=ALIASES, version=st.integers(0, 4))
    def set_alias(self, name, alias, version):
        model = self.models.get(name)
        ever = model is not None and any(move[1] == alias for move in model.moves)
        may = model is not None and (version in model.versions if version else ever)
        self._do(lambda tx: versions.set_alias(tx, self.site, name, alias, version), may=may)
        if may:
            self._moved(model, alias, version)

    def _moved(self, model, alias, version):
        if model.aliases.get(alias, 0) != version:
            model.moves.append((self.site.clock.now_us(), alias, version))
        model.aliases.pop(alias, None)
        if version:
            model.aliases[alias] = version

    @rule(name=NAMES, version=NUMBERS, stage=st.sampled_from((*stages.STAGES, "production")), archive=st.booleans())
    def move(self, name, version, stage, archive):
        stage_is = stage.capitalize() if stage != "None" else stage
        there = version in self.models.get(name, Model()).versions
        may = there and (not archive or stage_is in stages.ACTIVE)
        self._do(lambda tx: stages.transition(tx, self.site, name, version, stage, archive_existing=archive), may=may)
        if may:
            for number, other in self.models[name].versions.items():
                if archive and number != version and other.stage == stage_is:
                    other.stage = stages.ARCHIVED
            self.models[name].versions[version].stage = stage_is

    @rule(name=NAMES, key=KEYS, value=st.sampled_from(("1", "2")))
    def tag(self, name, key, value):
        self._do(lambda tx: registered.set_tag(tx, self.site, name, key, value), may=name in self.models)
        if name in self.models:
            self.models[name].tags[key] = value

    @rule(name=NAMES, key=KEYS)
    def untag(self, name, key):
        self._do(lambda tx: registered.delete_tag(tx, self.site, name, key), may=name in self.models)
        if name in self.models:
            self.models[name].tags.pop(key, None)

    @rule(name=NAMES, version=NUMBERS, key=KEYS, value=st.sampled_from(("1", None)))
    def tag_version(self, name, version, key, value):
        may = version in self.models.get(name, Model()).versions
        if value is None:
            self._do(lambda tx: versions.delete_tag(tx, self.site, name, version, key), may=may)
        else:
            self._do(lambda tx: versions.set_tag(tx, self.site, name, version, key=key, value=value), may=may)
        if may:
            tags = self.models[name].versions[version].tags
            tags.pop(key, None)
            tags.update({key: value} if value is not None else {})

    @rule(name=NAMES, version=st.integers(0, 4), text=st.sampled_from(("new", "")))
    def describe(self, name, version, text):
        model = self.models.get(name)
        if version:
            may = model is not None and version in model.versions
            self._do(lambda tx: versions.describe(tx, self.site, name, version, text), may=may)
        else:
            may = model is not None
            self._do(lambda tx: registered.describe(tx, self.site, name, text), may=may)
        if may:
            (model.versions[version] if version else model).description = text

    @invariant()
    def the_store_says_the_same(self):
        with self.site.db.read() as reader:
            assert versions.names(reader) == sorted(self.models)
            for name, model in self.models.items():
                self._compare(reader, name, model)

    def _compare(self, reader, name, model):
        kept = registered.get(reader, name)
        assert (kept.description, registered.tags(reader, kept)) == (model.description, model.tags)
        found = versions.list_versions(reader, name)
        assert [one.version for one in found] == sorted(model.versions, reverse=True)
        for one in found:
            known = model.versions[one.version]
            assert (one.stage, one.description, one.source) == (known.stage, known.description, known.source)
            assert versions.tags(reader, one) == known.tags
        assert versions.aliases(reader, name) == model.aliases
        history = [(one.at_us, one.alias, one.version) for one in versions.alias_history(reader, name)]
        assert sorted(history) == sorted(model.moves)
        for at_us, alias, _ in model.moves:
            then = [version for moved_us, word, version in model.moves if word == alias and moved_us <= at_us][-1]
            meant = versions.alias_at(reader, name, alias, at_us)
            assert (meant.version if meant else 0) == (then if then in model.versions else 0)
        newest = {}
        for number, one in sorted(model.versions.items()):
            newest[one.stage] = number
        assert {one.stage: one.version for one in stages.latest(reader, name)} == newest

    def teardown(self):
        claims = Claims(tuple(one for one in CLAIMS if one.what.split()[-1] in MODEL_WORDS))
        with self.site.db.read() as reader:
            for entry in chain.entries(reader):
                claims.hear(entry)
            assert list(claims.differences(reader)) == []


@pytest.mark.fault
@pytest.mark.parametrize("store", STORES)
def test_the_registry_walks_as_dictionaries_do(store, tmp_path):
    with site_on(store, tmp_path) as site:
        machine = type("RegistryOn", (Registry,), {"site": site})
        run_state_machine_as_test(
            machine, settings=settings(max_examples=200 if WHOLE else 30, stateful_step_count=40, deadline=None)
        )
