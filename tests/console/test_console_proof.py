"""A canary's page draws the evidence as it grew, with the band of each signal and the line at which it falls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from api.asked import Asked
from loops.rollouts import begin, now, with_plan
from observations.captured import ENDPOINT, capture
from ropewalk.console import proof
from ropewalk.loops.climb import Climb
from ropewalk.observations import labels
from ropewalk.releases import rollout as rollouts
from ropewalk.releases.promote import rollback
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

LOOKS = 8


@pytest.fixture
def asked(site: Site) -> Iterator[Asked]:
    with closing(Asked(site)) as asked:
        yield asked


def climb_on(site: Site, clock: SetClock, turns: int = LOOKS) -> str:
    """Let a candidate that fails now and then, and loses more, answer for a while; return its release."""
    rollout = begin(site, clock, with_plan(wait_labels=True, labels_min=30, rows_min=100_000))
    climb, generation = Climb(site), rollout.begun_generation
    for turn in range(turns):
        if turn == turns // 2:
            climb = Climb(site)  # another server goes on
        champion = capture(site, rollout.champion, 180, generation=generation, probability=[0.1, 0.3] * 90)
        failed = ["error"] * (turn == 5) + ["ok"] * (20 - (turn == 5))
        canary = capture(
            site, rollout.release, 20, role="canary", generation=generation, status=failed, probability=[0.2, 0.3] * 10
        )
        told = [(one, at % 5 == 0, clock.now_us()) for ids in (champion, canary) for at, one in enumerate(ids)]
        site.db.write(lambda tx, told=told: labels.add(tx, site, ENDPOINT, told))
        climb.turn()
        clock.advance(20)
    assert now(site, rollout).state == rollouts.CLIMBING
    return rollout.release


def drawn(asked: Asked, release: str) -> dict[str, str]:
    """Return the charts of a release's page by their names for screen readers."""
    answer = asked.ask("GET", f"/releases/{release}", accept="text/html")
    assert answer.status == 200
    return dict(re.findall(r'<svg class="chart"[^>]*aria-label="([^"]*)">(.*?)</svg>', answer.body.decode(), re.DOTALL))


def test_the_evidence_of_every_look_is_drawn_with_its_band_and_limits(
    site: Site, clock: SetClock, asked: Asked
) -> None:
    release = climb_on(site, clock)

    charts = drawn(asked, release)

    names = ["errors", "invalid", "latency", "quality"]
    assert list(charts) == ["evidence that the canary is worse", *(f"{one}: canary minus champion" for one in names)]
    # Looks from before the other server went on are there too; labels are too few at the first one.
    assert [len(re.findall("<circle", svg)) for svg in charts.values()] == [LOOKS, LOOKS, LOOKS, LOOKS, LOOKS - 1]
    assert all('class="limit"' in svg for svg in charts.values())
    assert all('class="band' in svg for name, svg in charts.items() if "minus" in name)
    assert "160 rows</text>" in charts["quality: canary minus champion"]


def test_the_evidence_stays_there_when_a_person_has_decided(site: Site, clock: SetClock, asked: Asked) -> None:
    release = climb_on(site, clock, turns=3)

    before = drawn(asked, release)
    site.db.write(lambda tx: rollback(tx, site, ENDPOINT))

    assert drawn(asked, release) == before
    assert len(before) > 1


def test_a_decision_holds_the_course_that_is_drawn(site: Site, clock: SetClock) -> None:
    release = climb_on(site, clock, turns=3)

    with site.db.read() as reader:
        last = rollouts.decisions(reader, release)[-1]
    account = json.loads(site.blobs.get(last.evidence))

    assert [point["rows"] for point in account["course"]] == [20, 40, 60]
    assert account["course"][-1]["e_value"] == account["verdict"]["e_value"]


def test_without_looks_or_with_lost_evidence_nothing_is_drawn(site: Site, clock: SetClock, asked: Asked) -> None:
    rollout = begin(site, clock)
    assert drawn(asked, rollout.release) == {}
    Climb(site).turn()
    assert drawn(asked, rollout.release) == {}
    capture(site, rollout.release, 20, role="canary", generation=rollout.begun_generation)
    clock.advance(60)
    Climb(site).turn()
    with site.db.read() as reader:
        last = rollouts.decisions(reader, rollout.release)[-1]
        assert len(proof.charts(asked.house, reader, rollout.release)) == 4

    site.blobs.path_of(last.evidence).unlink()  # type: ignore[attr-defined]
    assert drawn(asked, rollout.release) == {}

    capture(site, rollout.release, 10, role="canary", generation=rollout.begun_generation)
    clock.advance(60)
    Climb(site).turn()  # what is lost is drawn no more, and keeps nobody from being judged
    assert "30 rows</text>" in drawn(asked, rollout.release)["errors: canary minus champion"]
