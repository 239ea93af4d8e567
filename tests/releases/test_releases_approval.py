"""Four eyes: nobody approves his own release, a yes counts for one bundle and its evidence, races change nothing."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace
from threading import Barrier, Thread

import pytest

from releases.small_line import Small, make_project, make_version, settings_of
from ropewalk.errors import Conflict, Invalid, Refused, RopewalkError
from ropewalk.releases import approval, outcome, promote, release, rollout, traffic
from ropewalk.releases.line import resume, ship
from ropewalk.site import Site

TWO = {"environments": {"production": {"approvals": 2}}}


def by(site: Site, actor: str) -> Site:
    return replace(site, actor=f"{actor}@example.org")


@pytest.fixture
def waiting(site: Site) -> Site:
    """A release of ann's that waits for two people."""
    make_project(site.root)
    make_version(site)
    assert ship(site, settings_of(**TWO), doors=Small(site=site).doors()).state == "waiting"
    return site


def approve(site: Site, actor: str, **words):
    one = by(site, actor)
    return one.db.write(lambda tx: approval.approve(tx, one, "flights/1", **words))


def test_the_author_cannot_approve_his_own_release_however_he_writes_himself(waiting: Site) -> None:
    for actor in ("ann@example.org", "ANN@Example.org", " ann@example.org "):
        one = replace(waiting, actor=actor)
        with pytest.raises(Refused) as caught:
            one.db.write(lambda tx, one=one: approval.approve(tx, one, "flights/1"))
        assert caught.value.code == "approval-own"

    with waiting.db.read() as reader:
        assert approval.approvals(reader, "flights/1") == []


def test_as_many_people_as_are_asked_for_let_the_release_go_on(waiting: Site) -> None:
    doors = Small(site=waiting).doors()
    approve(waiting, "bob")
    assert resume(waiting, settings_of(**TWO), "flights/1", doors=doors).state == "waiting"
    with pytest.raises(Conflict) as caught:
        approve(waiting, "bob")
    assert caught.value.code == "approval-given"

    approve(waiting, "cid")

    assert resume(waiting, settings_of(**TWO), "flights/1", doors=doors).state == "live"


def test_an_approval_names_bundle_evidence_and_environment(waiting: Site) -> None:
    word = approve(waiting, "bob", note="looked at the slices")

    with waiting.db.read() as reader:
        found = release.get(reader, "flights/1")
        assert (word.bundle, word.environment) == (found.bundle, "production")
        assert word.evidence == approval.evidence_of(reader, "flights/1")
        entry = reader.rows("ledger.of_kind", kind="release.approve")[0]
    assert word.evidence in str(entry["body"])
    assert entry["actor"] == "bob@example.org"


def test_a_yes_to_other_evidence_than_is_there_is_refused(waiting: Site) -> None:
    with pytest.raises(Conflict) as caught:
        approve(waiting, "bob", seen="sha256:" + "0" * 64)

    assert caught.value.code == "evidence-moved"


def test_other_evidence_makes_an_approval_void(waiting: Site) -> None:
    approve(waiting, "bob")
    approve(waiting, "cid")

    def again(tx):
        found = release.get(tx, "flights/1")
        assert approval.missing(tx, waiting, found) == 0
        return outcome.store_outcome(
            tx,
            waiting,
            found,
            stage="scan",
            state="passed",
            summary="again",
            evidence=waiting.blobs.put(b'{"other":1}'),
            started_us=0,
            again=True,
        )

    waiting.db.write(again)

    with waiting.db.read() as reader:
        assert approval.missing(reader, waiting, release.get(reader, "flights/1")) == 2


def test_a_rejection_needs_a_reason_and_ends_the_release(waiting: Site) -> None:
    bob = by(waiting, "bob")
    with pytest.raises(Invalid):
        bob.db.write(lambda tx: approval.reject(tx, bob, "flights/1", note=" "))

    bob.db.write(lambda tx: approval.reject(tx, bob, "flights/1", note="unfair to small carriers"))

    with waiting.db.read() as reader:
        assert release.get(reader, "flights/1").state == "rejected"
    with pytest.raises(Conflict) as caught:
        approve(waiting, "cid")
    assert caught.value.code == "approval-not-awaited"
    with pytest.raises(Conflict, match="it is over"):
        ship(waiting, settings_of(**TWO), doors=Small(site=waiting).doors())


def test_a_canary_needs_the_approvals_too(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    doors = Small(site=site).doors()
    ship(site, settings_of(), doors=doors)
    make_version(site, slope=2.1)
    assert ship(site, settings_of(**TWO), doors=doors).state == "waiting"

    with site.db.read() as reader:
        assert traffic.current(reader, "flights").canary == ""
    with pytest.raises(Conflict):
        site.db.write(lambda tx: promote.promote(tx, site, "flights/2"))
    with pytest.raises(RopewalkError):
        site.db.write(lambda tx: rollout.begin(tx, site, settings_of(**TWO), release.get(tx, "flights/2")))
    with site.db.read() as reader:
        assert rollout.active(reader) == []


def test_racing_people_give_each_one_word(waiting: Site) -> None:
    barrier = Barrier(6)
    found: list[str] = []

    def say(actor: str) -> None:
        barrier.wait()
        with contextlib.suppress(Conflict, Refused):
            found.append(approve(waiting, actor).actor)

    threads = [Thread(target=say, args=(actor,)) for actor in ("bob", "bob", "bob", "cid", "cid", "ann")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == ["bob@example.org", "cid@example.org"]
    with waiting.db.read() as reader:
        assert sorted(word.actor for word in approval.approvals(reader, "flights/1")) == sorted(found)


def test_who_waited_while_another_became_champion_is_judged_against_that_one_and_approved_anew(site: Site) -> None:
    gates = [{"metric": "roc_auc", "at_least": 0.5, "champion_margin": 0.02}]
    settings = settings_of(gates=gates, environments={"production": {"approvals": 1}})
    doors, bob = Small(site=site).doors(), by(site, "bob")

    def shipped(slope: float) -> str:
        make_version(site, slope=slope)
        return ship(site, settings, doors=doors, wait=False).id

    def approved(name: str) -> str:
        bob.db.write(lambda tx: approval.approve(tx, bob, name))
        return resume(site, settings, name, doors=doors, wait=False).state

    make_project(site.root)
    assert approved(shipped(2.0)) == "live"
    second, third = shipped(2.1), shipped(2.2)
    assert approved(second) == "canary"
    site.db.write(lambda tx: promote.promote(tx, site, second))

    assert approved(third) == "waiting"

    with site.db.read() as reader:
        judged = outcome.last_outcome(reader, third, "test")
        champion = release.get(reader, second).bundle
    assert judged.attempt == 2
    assert json.loads(site.blobs.get(judged.evidence))["found"]["quality"]["champion"] == champion
    assert approved(third) == "canary"
