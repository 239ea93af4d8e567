"""Canaries climb on evidence and fall on harm; what is not decided yet is said."""

from __future__ import annotations

import json

import pytest

from loops.rollouts import begin, now, with_plan
from observations.captured import ENDPOINT, capture
from ropewalk.errors import Corrupt
from ropewalk.loops.climb import Climb
from ropewalk.observations import labels
from ropewalk.releases import outcome, traffic
from ropewalk.releases import release as releases
from ropewalk.releases import rollout as rollouts
from ropewalk.releases.promote import promote
from ropewalk.releases.rollout import Rollout
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock


def serve(site: Site, rollout: Rollout, *, failing: int = 0, rows: int = 300) -> list[str]:
    """Let both arms answer at the present generation; so many of the canary's rows fail."""
    with site.db.read() as reader:
        here = traffic.current(reader, ENDPOINT)
    assert here is not None
    capture(site, rollout.champion, 10 * rows, generation=here.generation)
    status = ["error"] * failing + ["ok"] * (rows - failing)
    return capture(site, rollout.release, rows, role="canary", generation=here.generation, status=status)


def share(site: Site) -> tuple[str, str, int]:
    with site.db.read() as reader:
        here = traffic.current(reader, ENDPOINT)
    assert here is not None
    return here.champion, here.canary, here.canary_weight_bp


def test_a_good_candidate_climbs_every_step_to_live(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock)
    climb = Climb(site)
    shares = [share(site)]

    for _ in range(2):
        serve(site, rollout)
        assert climb.turn()
        shares.append(share(site))

    assert shares == [
        (rollout.champion, rollout.release, 1000),
        (rollout.champion, rollout.release, 5000),
        (rollout.release, "", 0),
    ]
    assert now(site, rollout).state == rollouts.LIVE
    with site.db.read() as reader:
        assert releases.get(reader, rollout.release).state == releases.LIVE
        assert [one.decision for one in rollouts.decisions(reader, rollout.release)] == ["promote"] * 2
        assert outcome.last_outcome(reader, rollout.release, "canary").holds
    assert not climb.turn()


def test_a_failing_candidate_falls_and_the_champion_has_all_traffic_again(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock)
    serve(site, rollout, rows=40, failing=20)

    Climb(site).turn()

    assert share(site) == (rollout.champion, "", 0)
    with site.db.read() as reader:
        release = releases.get(reader, rollout.release)
        decision = rollouts.decisions(reader, rollout.release)[-1]
    assert release.state == releases.FALLEN
    assert "50.00% of 40 failed" in release.error
    account = json.loads(site.blobs.get(decision.evidence))
    assert account["verdict"]["decision"] == "fall_back"
    assert account["counts"]["strata"][0]["canary"]["errors"] == 20
    assert len(account["segments"]) == 2


def test_without_traffic_it_waits_and_says_so_once(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock)
    climb = Climb(site)

    for _ in range(5):
        clock.advance(60)
        assert not climb.turn()

    with site.db.read() as reader:
        (decision,) = rollouts.decisions(reader, rollout.release)
    assert decision.decision == rollouts.KEEP_WATCHING
    assert decision.reason == "0 of 100 answered rows at this step"
    assert now(site, rollout).weight_bp == 1000


def test_it_writes_down_what_it_waits_for_but_not_at_every_look(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock)
    climb = Climb(site)

    for _ in range(8):
        serve(site, rollout, rows=5)
        climb.turn()
        clock.advance(4)

    with site.db.read() as reader:
        made = rollouts.decisions(reader, rollout.release)
    assert [one.reason.split()[0] for one in made] == ["5", "20", "35"]


def test_what_it_keeps_of_a_long_wait_grows_slower_than_the_wait(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock)
    climb = Climb(site)
    clock.advance(10_000)

    for _ in range(10):
        serve(site, rollout, rows=5)
        climb.turn()
        clock.advance(200)

    with site.db.read() as reader:
        assert len(rollouts.decisions(reader, rollout.release)) == 2


def test_a_shadow_takes_its_first_share_from_pairs(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock, with_plan(shadow=True))
    assert share(site)[1:] == ("", 0)
    ids = capture(site, rollout.champion, 150, generation=rollout.begun_generation)
    capture(site, rollout.release, 150, role="shadow", pair=ids, generation=rollout.begun_generation)

    Climb(site).turn()

    assert share(site) == (rollout.champion, rollout.release, 1000)


def test_it_waits_for_labels_and_then_rises(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock, with_plan(wait_labels=True, labels_min=50, loss_increase=0.05))
    generation = rollout.begun_generation
    first = capture(site, rollout.champion, 2000, generation=generation, probability=[0.1, 0.3] * 1000)
    second = capture(site, rollout.release, 300, role="canary", generation=generation, probability=[0.1, 0.3] * 150)
    climb = Climb(site)

    assert not climb.turn()
    told = [(one, at % 5 == 0, clock.now_us()) for ids in (first, second) for at, one in enumerate(ids)]
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, told))
    assert climb.turn()

    with site.db.read() as reader:
        reasons = [one.reason for one in rollouts.decisions(reader, rollout.release)]
    assert reasons[0] == "0 of 50 labelled in the smaller arm"
    assert "loss" in reasons[1]


def test_a_wall_clock_that_jumps_ahead_makes_nobody_lose_patience(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock, with_plan(patience_seconds=100.0))
    climb = Climb(site)

    climb.turn()
    clock.jump(400 * 86_400)
    climb.turn()
    assert now(site, rollout).state == rollouts.CLIMBING
    clock.jump(-800 * 86_400)
    climb.turn()
    assert now(site, rollout).state == rollouts.CLIMBING
    clock.jump(400 * 86_400)
    clock.advance(101)
    climb.turn()

    assert now(site, rollout).state == rollouts.FALLEN


def test_a_person_who_decides_first_wins(site: Site, clock: SetClock, monkeypatch: pytest.MonkeyPatch) -> None:
    rollout = begin(site, clock)
    serve(site, rollout, rows=40, failing=20)
    climb = Climb(site)
    site.db.write(lambda tx: promote(tx, site, rollout.release))
    monkeypatch.setattr(rollouts, "active", lambda _: [rollout])

    assert not climb.turn()

    assert share(site) == (rollout.release, "", 0)


def test_evidence_that_was_tampered_with_decides_nothing(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock)
    serve(site, rollout, failing=150)
    path = next((site.hidden / "capture" / ENDPOINT).glob("*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(Corrupt, match="no longer holds"):
        Climb(site).turn()

    assert now(site, rollout).decided == 0
