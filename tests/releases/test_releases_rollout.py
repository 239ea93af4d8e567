"""A canary rises with evidence or falls, traffic follows in the same transaction, and a table says what may happen."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from releases.small_line import Small, make_project, make_version, settings_of
from ropewalk.errors import Conflict, Refused, RopewalkError
from ropewalk.releases import champion, design, outcome, promote, release, rollout, traffic
from ropewalk.releases.line import ship
from ropewalk.site import Site

PLAN = {"canary": {"weights": [10.0, 50.0]}}


@pytest.fixture
def climbing(site: Site) -> Site:
    """`flights/1` is live and `flights/2` climbs beside it."""
    make_project(site.root)
    make_version(site)
    doors = Small(site=site).doors()
    ship(site, settings_of(**PLAN), doors=doors)
    make_version(site, slope=2.1)
    ship(site, settings_of(**PLAN), doors=doors, wait=False)
    return site


def evidence(site: Site, words: bytes = b"{}") -> str:
    return site.blobs.put(words)


def now(site: Site) -> traffic.Traffic:
    with site.db.read() as reader:
        found = traffic.current(reader, "flights")
    assert found is not None
    return found


def state_of(site: Site, name: str) -> str:
    with site.db.read() as reader:
        return release.get(reader, name).state


def only(site: Site) -> rollout.Rollout:
    with site.db.read() as reader:
        (found,) = rollout.active(reader)
    return found


def test_it_climbs_step_by_step_and_is_champion_after_the_last(climbing: Site) -> None:
    seen = evidence(climbing)
    shares = [now(climbing).canary_weight_bp]
    while state_of(climbing, "flights/2") == "canary":
        one = only(climbing)
        climbing.db.write(lambda tx, one=one: rollout.rise(tx, climbing, one, evidence=seen, reason="no worse"))
        shares.append(now(climbing).canary_weight_bp)

    assert shares == [1000, 5000, 0]
    at = now(climbing)
    assert (at.champion, at.canary, at.previous, at.generation) == ("flights/2", "", "flights/1", 4)
    assert state_of(climbing, "flights/1") == "retired"
    with climbing.db.read() as reader:
        assert [one.decision for one in rollout.decisions(reader, "flights/2")] == ["promote", "promote"]
        stored = {one.stage: one.state for one in outcome.outcomes(reader, "flights/2")}
    assert (stored["canary"], stored["live"]) == ("passed", "passed")


def test_it_falls_and_the_champion_has_everything_again(climbing: Site) -> None:
    seen = evidence(climbing)
    one = only(climbing)

    climbing.db.write(lambda tx: rollout.fall(tx, climbing, one, evidence=seen, reason="it errs more"))

    at = now(climbing)
    assert (at.champion, at.canary, at.canary_weight_bp) == ("flights/1", "", 0)
    assert (state_of(climbing, "flights/1"), state_of(climbing, "flights/2")) == ("live", "fallen")
    with climbing.db.read() as reader:
        assert rollout.active(reader) == []
        last = outcome.last_outcome(reader, "flights/2", "canary")
    assert (last.state, last.summary, last.evidence) == ("failed", "it errs more", seen)


def test_watching_on_changes_no_traffic_and_is_kept(climbing: Site) -> None:
    one, before = only(climbing), now(climbing)

    kept = climbing.db.write(
        lambda tx: rollout.keep(tx, climbing, one, evidence=evidence(climbing), reason="too few rows")
    )

    assert (kept.decided, kept.step, now(climbing)) == (1, 0, before)


def test_nobody_decides_on_what_somebody_else_has_decided(climbing: Site) -> None:
    seen, one = evidence(climbing), only(climbing)
    climbing.db.write(lambda tx: rollout.rise(tx, climbing, one, evidence=seen, reason="first"))
    before = now(climbing)

    for decide in (rollout.rise, rollout.fall, rollout.keep):
        with pytest.raises(Conflict) as caught:
            climbing.db.write(lambda tx, decide=decide: decide(tx, climbing, one, evidence=seen, reason="late"))
        assert caught.value.code == "rollout-moved"

    assert now(climbing) == before


@pytest.mark.parametrize("digest", ["", "sha256:" + "0" * 64])
def test_nothing_rises_without_stored_evidence(climbing: Site, digest: str) -> None:
    one, before = only(climbing), now(climbing)

    with pytest.raises(Refused) as caught:
        climbing.db.write(lambda tx: rollout.rise(tx, climbing, one, evidence=digest, reason="trust me"))

    assert caught.value.code == "decision-without-evidence"
    assert now(climbing) == before


@pytest.mark.parametrize(
    "plan",
    [
        {"weights": []},
        {"weights": [0.0, 10.0]},
        {"weights": [10.0, 10.0]},
        {"weights": [50.0, 100.0]},
        {"rows_min": 0},
    ],
)
def test_a_canary_that_nothing_judges_is_refused(site: Site, plan: dict) -> None:
    with pytest.raises(Refused) as caught:
        design.check(settings_of(canary=plan).canary)

    assert caught.value.code == "canary-without-gate"


def test_a_plan_with_a_shadow_answers_nobody_at_first(site: Site) -> None:
    make_project(site.root)
    make_version(site)
    plan = {"canary": {"weights": [10.0], "shadow": True}}
    doors = Small(site=site).doors()
    ship(site, settings_of(**plan), doors=doors)
    make_version(site, slope=2.1)
    ship(site, settings_of(**plan), doors=doors, wait=False)
    at = now(site)
    assert (at.shadow, at.canary, at.canary_weight_bp) == ("flights/2", "", 0)
    assert only(site).state == "waiting"

    one, seen = only(site), evidence(site)
    site.db.write(lambda tx: rollout.rise(tx, site, one, evidence=seen, reason="pairs agree"))

    at = now(site)
    assert (at.shadow, at.canary, at.canary_weight_bp) == ("", "flights/2", 1000)


def test_a_second_candidate_waits_until_the_first_is_decided(climbing: Site) -> None:
    make_version(climbing, slope=2.2)

    with pytest.raises(Conflict) as caught:
        ship(climbing, settings_of(**PLAN), doors=Small(site=climbing).doors(), wait=False)

    assert caught.value.code == "rollout-busy"
    assert state_of(climbing, "flights/3") == "interrupted"
    climbing.db.write(lambda tx: promote.rollback(tx, climbing, "flights"))
    assert ship(climbing, settings_of(**PLAN), doors=Small(site=climbing).doors(), wait=False).id == "flights/3"


def test_a_person_promotes_a_canary_and_rolls_it_back_again(climbing: Site) -> None:
    climbing.db.write(lambda tx: promote.promote(tx, climbing, "flights/2", reason="incident 114"))
    assert (now(climbing).champion, now(climbing).reason) == ("flights/2", "incident 114")

    climbing.db.write(lambda tx: promote.rollback(tx, climbing, "flights"))

    assert now(climbing).champion == "flights/1"
    assert (state_of(climbing, "flights/1"), state_of(climbing, "flights/2")) == ("live", "rolled-back")
    with pytest.raises(Conflict) as caught:
        climbing.db.write(lambda tx: promote.rollback(tx, climbing, "flights"))
    assert caught.value.code == "nothing-to-roll-back"


def test_a_failing_promotion_changes_nothing_at_all(climbing: Site, monkeypatch) -> None:
    before = now(climbing)

    def broken(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(champion.traffic, "change", broken)
    with pytest.raises(ZeroDivisionError):
        climbing.db.write(lambda tx: promote.promote(tx, climbing, "flights/2"))

    assert now(climbing) == before
    assert (state_of(climbing, "flights/1"), state_of(climbing, "flights/2")) == ("live", "canary")
    with climbing.db.read() as reader:
        assert rollout.decisions(reader, "flights/2") == []


def test_traffic_at_a_time_is_what_answered_then(climbing: Site, clock) -> None:
    then = clock.now_us()
    clock.advance(60)
    climbing.db.write(lambda tx: promote.promote(tx, climbing, "flights/2"))

    with climbing.db.read() as reader:
        assert traffic.at(reader, "flights", then).champion == "flights/1"
        assert traffic.at(reader, "flights", clock.now_us()).champion == "flights/2"
        assert traffic.at(reader, "flights", 0) is None
        assert [one.generation for one in traffic.since(reader, "flights", 2)] == [2, 3]


@pytest.mark.parametrize("state", release.MOVES)
def test_the_table_of_moves_is_the_only_way(climbing: Site, state: str) -> None:
    with climbing.db.read() as reader:
        found = release.get(reader, "flights/2")
    if state in release.MOVES["canary"]:
        moved = climbing.db.write(lambda tx: release.move(tx, climbing, found, state))
        assert moved.state == state
        with pytest.raises(Conflict, match="at the same moment"):
            climbing.db.write(lambda tx: release.move(tx, climbing, found, state))
    else:
        with pytest.raises(Conflict, match="cannot become"):
            climbing.db.write(lambda tx: release.move(tx, climbing, found, state))


class Deliveries(RuleBasedStateMachine):
    """Releases, canaries, promotions and roll-backs in any order, against a model of a few words."""

    site: Site
    doors: Small

    def __init__(self) -> None:
        super().__init__()
        self.champions: list[str] = []
        self.canary = ""
        self.made = 0

    @rule(slope=st.integers(1, 9))
    def ship(self, slope: int) -> None:
        make_version(self.site, slope=2.0 + slope / 10 + self.made / 1000, name=self.name())
        self.made += 1
        try:
            found = ship(
                self.site,
                settings_of(model=self.name(), **PLAN),
                doors=self.doors.doors(),
                wait=False,
            )
        except Conflict as error:
            refused = error.code
        else:
            refused = ""
        assert refused == ("rollout-busy" if self.canary else "")
        if refused:
            return
        if self.champions:
            self.canary = found.id
        else:
            self.champions = [found.id]

    @precondition(lambda self: self.canary)
    @rule(up=st.booleans())
    def decide(self, up: bool) -> None:
        with self.site.db.read() as reader:
            one = rollout.find(reader, self.canary)
        last = one.step + 1 == len(one.weights)
        decide = rollout.rise if up else rollout.fall
        seen = evidence(self.site)
        self.site.db.write(lambda tx: decide(tx, self.site, one, evidence=seen, reason="so"))
        if up and last:
            self.champions.append(self.canary)
        if last or not up:
            self.canary = ""

    @rule()
    def roll_back(self) -> None:
        try:
            self.site.db.write(lambda tx: promote.rollback(tx, self.site, self.name()))
        except RopewalkError as error:
            refused = error.code
        else:
            refused = ""
        possible = self.canary or len(self.champions) > 1
        assert refused == ("" if possible else "nothing-to-roll-back")
        if refused:
            return
        if self.canary:
            self.canary = ""
        else:
            self.champions.pop()

    @precondition(lambda self: self.canary)
    @rule()
    def promote(self) -> None:
        self.site.db.write(lambda tx: promote.promote(tx, self.site, self.canary))
        self.champions.append(self.canary)
        self.canary = ""

    @invariant()
    def traffic_is_what_it_should_be(self) -> None:
        with self.site.db.read() as reader:
            at = traffic.current(reader, self.name())
            live = [one.id for one in release.listed(reader, name=self.name()) if one.state == "live"]
            busy = [one.id for one in release.listed(reader, name=self.name()) if one.state == "canary"]
        assert (at.champion if at else "") == (self.champions[-1] if self.champions else "")
        assert (at.canary if at else "") == self.canary
        assert live == self.champions[-1:]
        assert busy == ([self.canary] if self.canary else [])

    def name(self) -> str:
        return f"m{id(self)}"


def test_deliveries_in_any_order_keep_one_champion_and_one_canary_at_most(site: Site) -> None:
    make_project(site.root)

    class Here(Deliveries):
        pass

    Here.site = site
    Here.doors = Small(site=site)
    case = Here.TestCase
    case.settings = settings(
        max_examples=6, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
    )
    case().runTest()
