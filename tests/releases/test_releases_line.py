"""One release walks the nine stages, stops where it fails, and never stores an outcome twice."""

from __future__ import annotations

import json
import os

import pytest

from releases.small_line import Small, make_project, make_version, settings_of, told
from ropewalk import leases
from ropewalk.errors import Conflict, Refused
from ropewalk.releases import outcome, release, rollout, traffic, tree
from ropewalk.releases.line import resume, ship
from ropewalk.site import Site


def shipped(site: Site, **parts):
    return ship(site, settings_of(**parts), doors=Small(site=site).doors(), wait=False)


def test_the_first_release_walks_all_nine_stages_and_is_live(site: Site) -> None:
    make_project(site.root, tests=True)
    make_version(site)
    lines, say = told()

    found = ship(site, settings_of(), doors=Small(site=site).doors(), on_progress=say)

    assert (found.id, found.state) == ("flights/1", "live")
    with site.db.read() as reader:
        stages = outcome.outcomes(reader, found.id)
        assert tuple(one.stage for one in stages) == outcome.STAGES
        assert {one.stage: one.state for one in stages if one.state != "passed"} == {
            "canary": "skipped",
            "migrate": "skipped",
        }
        assert all(one.holds and site.blobs.has(one.evidence) for one in stages)
        now = traffic.current(reader, "flights")
        assert now is not None
        assert (now.champion, now.generation) == ("flights/1", 1)
        assert (
            tree.leaf(reader, "dev", found.id).bundle == tree.leaf(reader, "release", found.id).bundle == found.bundle
        )
    said = [(one.stage, one.state) for one in lines if one.state != "doing"]
    assert said[:4] == [("commit", "begins"), ("commit", "passed"), ("build", "begins"), ("build", "passed")]
    assert said[-1] == ("live", "passed")
    assert "1 tests of the project" in next(one.summary for one in stages if one.stage == "test")


def test_every_outcome_has_its_ledger_entry_and_evidence_names_digests(site: Site) -> None:
    make_project(site.root)
    make_version(site)

    found = shipped(site)

    with site.db.read() as reader:
        stored = outcome.stages(reader, found.id)
        entries = reader.rows("ledger.of_kind", kind="stage.stored")
    facts = [json.loads(str(row["body"])) for row in entries]
    assert sorted(fact["evidence"] for fact in facts) == sorted(one.evidence for one in stored)
    for one in stored:
        assert "sha256:" in site.blobs.get(one.evidence).decode()


def test_shipping_again_what_is_live_changes_nothing(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    small = Small(site=site)
    first = ship(site, settings_of(), doors=small.doors())
    with site.db.read() as reader:
        before = reader.value("ledger.last")

    again = ship(site, settings_of(), doors=small.doors())

    assert again == first
    assert small.served == 1
    with site.db.read() as reader:
        assert reader.value("ledger.last") == before


def test_another_gate_on_the_same_bundle_is_refused_while_it_is_live(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    shipped(site)

    with pytest.raises(Refused) as caught:
        shipped(site, gates=[{"metric": "roc_auc", "at_least": 0.6}])

    assert caught.value.code == "stage-failed"
    assert "flights/1 is live with this very bundle" in caught.value.why


def test_a_failed_stage_stops_the_walk_and_the_same_command_tries_it_once_more(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    small = Small(site=site, wrong_by=0.5)
    with pytest.raises(Refused) as caught:
        ship(site, settings_of(), doors=small.doors())
    assert "stage 7, qa" in caught.value.what
    with site.db.read() as reader:
        assert release.get(reader, "flights/1").state == "failed"

    small.wrong_by = 0.0
    found = ship(site, settings_of(), doors=small.doors())

    assert (found.id, found.state) == ("flights/1", "live")
    with site.db.read() as reader:
        attempts = [(one.stage, one.attempt, one.state) for one in outcome.stages(reader, found.id)]
    assert attempts.count(("qa", 1, "failed")) == attempts.count(("qa", 2, "passed")) == 1
    assert [stage for stage, attempt, _ in attempts if attempt == 2] == ["qa"]


def test_a_second_release_begins_a_canary_and_is_not_live_yet(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    shipped(site)
    make_version(site, slope=2.2)

    found = shipped(site)

    assert (found.id, found.state) == ("flights/2", "canary")
    with site.db.read() as reader:
        now = traffic.current(reader, "flights")
        assert now is not None
        assert (now.champion, now.canary, now.canary_weight_bp) == ("flights/1", "flights/2", 500)
        assert [one.release for one in rollout.active(reader)] == ["flights/2"]
        assert outcome.outcomes(reader, found.id)[-1].state == "waiting"


def test_a_canary_that_fell_cannot_be_shipped_again(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    shipped(site)
    make_version(site, slope=2.2)
    shipped(site)
    evidence = site.blobs.put(b'{"errors":9}')

    def fall(tx):
        return rollout.fall(tx, site, rollout.active(tx)[0], evidence=evidence, reason="it errs more")

    site.db.write(fall)

    with pytest.raises(Conflict) as caught:
        shipped(site)

    assert caught.value.code == "release-over"
    assert "it errs more" in caught.value.why


def test_a_release_that_a_living_process_walks_is_not_walked_twice(site: Site) -> None:
    make_project(site.root)
    version = make_version(site)
    settings = settings_of()
    from ropewalk.releases.build import intent_of

    site.db.write(
        lambda tx: release.begin(
            tx,
            site,
            name="flights",
            environment="production",
            version=1,
            manifest=version.manifest,
            intent=intent_of(settings, version, "production"),
            lease=leases.take(site.clock.now_us(), 1),
        )
    )

    with pytest.raises(Conflict) as caught:
        ship(site, settings, doors=Small(site=site).doors())

    assert caught.value.code == "release-held"
    assert str(os.getpid()) in caught.value.why


def test_a_holder_that_lost_its_release_stores_nothing_more(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    small = Small(site=site)

    def steal(progress) -> None:
        if (progress.stage, progress.state) == ("staging", "begins"):
            site.db.write(take_over)

    def take_over(tx) -> None:
        now = release.get(tx, "flights/1")
        release.hold(tx, now, leases.take(site.clock.now_us(), now.lease.fence + 1))

    with pytest.raises(Exception, match="took over") as caught:
        ship(site, settings_of(), doors=small.doors(), on_progress=steal)

    assert caught.value.code == "release-lost"
    with site.db.read() as reader:
        assert [one.stage for one in outcome.stages(reader, "flights/1")] == ["commit", "build", "test", "scan"]


def test_a_broken_door_leaves_no_release_that_says_it_is_walked(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    doors = Small(site=site).doors()

    def broken(bundle, inputs):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ship(site, settings_of(), doors=type(doors)(serve=doors.serve, predict=broken, recorded=doors.recorded))
    with site.db.read() as reader:
        assert release.get(reader, "flights/1").state == "interrupted"

    assert resume(site, settings_of(), "flights/1", doors=doors).state == "live"


def test_a_dead_holder_is_declared_interrupted_by_whoever_looks(site: Site) -> None:
    make_project(site.root)
    version = make_version(site)
    lease = leases.Lease(host="", boot="another boot", pid=1, born=1, expires_us=0, fence=1)
    site.db.write(
        lambda tx: release.begin(
            tx,
            site,
            name="flights",
            environment="production",
            version=1,
            manifest=version.manifest,
            intent="x",
            lease=lease,
        )
    )

    found = site.db.write(lambda tx: release.interrupt_dead(tx, site))

    assert [(one.id, one.state) for one in found] == [("flights/1", "interrupted")]


def test_two_environments_have_endpoints_of_their_own(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    small = Small(site=site)

    ship(site, settings_of(), environment="staging", doors=small.doors())
    ship(site, settings_of(), doors=small.doors())

    with site.db.read() as reader:
        assert traffic.endpoints(reader) == ("flights", "flights.staging")
