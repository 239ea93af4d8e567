"""Tallies kept by segment say what counting every row at once says, whatever comes late, twice or is lost."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from loops.rollouts import begin, with_plan
from observations.captured import ENDPOINT, capture, set_traffic
from ropewalk.endpoints.compact import compact
from ropewalk.observations import arms, labels, reports
from ropewalk.observations.arms import Arms
from ropewalk.refs import canonical
from ropewalk.releases.design import Baseline
from ropewalk.releases.rollout import Rollout
from ropewalk.settings import Canary
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

PLAN = Canary(output_shift=0.5, metric="revenue", metric_loss=1.0)
BASELINE = Baseline(rows=1000, edges=(0.2, 0.5, 0.8), outputs=(0.25, 0.25, 0.25, 0.25))


def arms_of(site: Site, rollout: Rollout, *, keep_from: int = 10_000) -> Arms:
    return Arms(
        site,
        ENDPOINT,
        champion=rollout.champion,
        canary=rollout.release,
        since_generation=rollout.begun_generation,
        plan=PLAN,
        baseline=BASELINE,
        keep_from=keep_from,
    )


def serve(site: Site, rollout: Rollout, dice: random.Random, generation: int) -> list[str]:
    """Let both arms and a shadow answer a few rows with every kind of event, in segments of their own."""
    ids: list[str] = []
    for release, role in ((rollout.champion, "champion"), (rollout.release, "canary")):
        rows = dice.randint(3, 9)
        ids += capture(
            site,
            release,
            rows,
            role=role,
            generation=generation,
            status=[dice.choice(["ok", "ok", "ok", "error", "invalid_output"]) for _ in range(rows)],
            key=[dice.choice(["a", "b", "c", None]) for _ in range(rows)],
            probability=[dice.random() for _ in range(rows)],
            latency_us=[dice.choice([900, 90_000]) if role == "canary" else 900 for _ in range(rows)],
        )
    return ids


def test_looks_that_remember_say_what_a_look_at_everything_says(site: Site, clock: SetClock) -> None:
    rollout, dice = begin(site, clock), random.Random(7)
    patient, ids = arms_of(site, rollout), list[str]()

    for turn in range(6):
        clock.advance(5)
        if turn == 3:
            set_traffic(site, rollout.champion, canary=rollout.release, canary_weight_bp=5000, salt=rollout.release)
        ids += serve(site, rollout, dice, rollout.begun_generation + (turn >= 3))
        told = [(one, dice.random() < 0.5, clock.now_us()) for one in dice.sample(ids, 4)]
        money = [
            reports.Report(prediction=one, metric="revenue", value=dice.gauss(10, 3), known_us=clock.now_us())
            for one in dice.sample(ids, 4)
        ]
        site.db.write(lambda tx, told=told: labels.add(tx, site, ENDPOINT, told))
        site.db.write(lambda tx, money=money: reports.add(tx, site, ENDPOINT, money))
        if turn == 4:
            by_key = labels.Label(value=1, known_us=clock.now_us(), key="a")
            site.db.write(lambda tx, keyed=by_key: labels.add(tx, site, ENDPOINT, [keyed]))
        remembered = patient.look()

    whole = arms_of(site, rollout).look()
    assert canonical(remembered.facts) == canonical(whole.facts)  # to the last bit, whatever came first
    last = whole.evidence.strata[-1].canary
    assert len(whole.evidence.strata) == 2
    assert min(last.errors, last.invalid, last.slow, last.labelled, last.reported, sum(last.outputs)) > 0


def test_pairs_meet_across_segments(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock, with_plan(shadow=True))
    found, generation = arms_of(site, rollout), rollout.begun_generation
    waiting: list[str] = []
    for turn in range(8):
        clock.advance(1)
        fresh = capture(site, rollout.champion, 5, generation=generation, probability=[0.1, 0.3, 0.6, 0.9, 0.9])
        late = waiting + fresh[:2]
        capture(
            site,
            rollout.release,
            len(late),
            role="shadow",
            pair=late,
            generation=generation,
            probability=[0.9] * len(late),
            status=["error"] + ["ok"] * (len(late) - 1),
        )
        waiting = fresh[2:]
        pairs = found.look().evidence.pairs

        assert pairs is not None
        assert pairs.champion.rows == pairs.canary.rows == 5 * (turn + 1) - 3

    assert pairs == arms_of(site, rollout).look().evidence.pairs
    assert pairs.canary.error_units == 8
    assert pairs.canary.outputs[3] == sum(pairs.champion.outputs) == 37 - 8
    assert pairs.moved_up[0] == pairs.champion.outputs[0]
    assert sum(pairs.moved_down) == 0


def test_each_segment_is_read_once_and_never_again_for_what_is_told_of_it(site: Site, clock: SetClock) -> None:
    rollout, dice = begin(site, clock), random.Random(1)
    found = arms_of(site, rollout)
    first = serve(site, rollout, dice, rollout.begun_generation)
    clock.advance(60)
    serve(site, rollout, dice, rollout.begun_generation)

    assert (found.look().facts["labelled"], found.segments_read) == (0, 4)
    told = [labels.Label(prediction=one, value=1, known_us=clock.now_us()) for one in first]
    told.append(labels.Label(key="a", value=1, known_us=clock.now_us()))
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, told))
    again = found.look()

    assert found.segments_read == 4
    assert again.facts["labelled"] > 0
    assert again == arms_of(site, rollout).look()


@pytest.mark.parametrize("held", [1, 10_000])
def test_what_is_told_of_rows_that_are_no_longer_in_memory_counts_once(
    site: Site, clock: SetClock, monkeypatch: pytest.MonkeyPatch, held: int
) -> None:
    monkeypatch.setattr(arms, "ROWS_HELD", held)
    rollout = begin(site, clock, with_plan(shadow=True))
    generation, found = rollout.begun_generation, arms_of(site, rollout)
    ids = capture(site, rollout.champion, 30, generation=generation, probability=[0.2] * 30)
    clock.advance(60)
    capture(site, rollout.release, 30, role="shadow", pair=ids, generation=generation, probability=[0.4] * 30)
    found.look()

    def look(value: int | str, rows: list[str]) -> tuple[int, float]:
        clock.advance(1)
        told = [(one, value, clock.now_us()) for one in rows]
        site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, told))
        now = found.look()
        assert now == found.look() == arms_of(site, rollout).look()
        pairs = now.evidence.pairs
        assert pairs is not None
        return pairs.labelled, pairs.difference_sum

    assert look(0, ids[:10]) == (10, pytest.approx(10 * (0.16 - 0.04)))
    assert look(1, ids[:5]) == (10, pytest.approx(5 * 0.12 + 5 * (0.36 - 0.64)))
    assert look("no class", ids[:1]) == (9, pytest.approx(5 * 0.12 + 4 * (0.36 - 0.64)))
    assert (found.segments_read > 2) == (held == 1)


def test_a_look_that_broke_off_is_made_up_for_by_the_next(
    site: Site, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout, dice = begin(site, clock), random.Random(4)
    found = arms_of(site, rollout)
    ids = serve(site, rollout, dice, rollout.begun_generation)
    found.look()
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, [(one, 1, clock.now_us()) for one in ids]))
    clock.advance(60)
    serve(site, rollout, dice, rollout.begun_generation)
    whole, make, made = arms_of(site, rollout).look(), arms.tallies.make, list[int]()

    def broken(*words: object) -> object:
        made.append(1)
        if len(made) == 2:
            raise ZeroDivisionError
        return make(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(arms.tallies, "make", broken)
    with pytest.raises(ZeroDivisionError):
        found.look()
    monkeypatch.undo()

    assert found.look() == whole


def test_a_look_asks_for_what_was_told_since_the_one_before(
    site: Site, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollout, dice = begin(site, clock), random.Random(5)
    found, since, asked = arms_of(site, rollout), labels.since, list[int]()
    ids = serve(site, rollout, dice, rollout.begun_generation)
    monkeypatch.setattr(labels, "since", lambda *words: asked.append(words[2]) or since(*words))
    found.look()
    told = [
        site.db.write(lambda tx, one=one: labels.add(tx, site, ENDPOINT, [(one, 1, clock.now_us())])).batch
        for one in ids[:2]
    ]

    assert found.look() == found.look()
    last = site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, [(ids[2], 1, clock.now_us())])).batch
    found.look()

    assert asked == [0, told[-1]]
    assert last > told[-1]


def test_segments_that_were_compacted_count_once(site: Site, clock: SetClock) -> None:
    rollout, dice = begin(site, clock), random.Random(6)
    found = arms_of(site, rollout)
    for _ in range(3):
        clock.advance(60)
        serve(site, rollout, dice, rollout.begun_generation)
    before = found.look()

    clock.advance(3 * 86_400)
    assert compact(site, ENDPOINT) is not None
    after = found.look()

    assert after.evidence == before.evidence
    assert len(after.facts["segments"]) < len(before.facts["segments"])


def test_what_is_kept_outlives_the_process_and_is_counted_again_when_it_is_lost(site: Site, clock: SetClock) -> None:
    rollout, dice = begin(site, clock), random.Random(2)
    ids: list[str] = []
    for _ in range(3):
        clock.advance(60)
        ids += serve(site, rollout, dice, rollout.begun_generation)
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, [(one, 1, clock.now_us()) for one in ids[::2]]))
    before = arms_of(site, rollout, keep_from=1).look()
    assert before.facts["labelled"] > 0

    again = arms_of(site, rollout, keep_from=1)
    assert again.look() == before
    assert again.segments_read == 0
    with site.db.read() as reader:
        kept = [str(row["tally"]) for row in reader.rows("observations.tallies", release=rollout.release)]
    path = Path(site.blobs.path_of(kept[0]))  # type: ignore[attr-defined]
    path.chmod(0o600)
    path.write_bytes(b"not a tally")
    Path(site.blobs.path_of(kept[1])).unlink()  # type: ignore[attr-defined]
    lost = arms_of(site, rollout, keep_from=1)
    assert lost.look() == before
    assert lost.segments_read == 2
    # What was told since it was kept is heard by whoever takes it up.
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, [(one, 0, clock.now_us()) for one in ids[:3]]))
    told = again.look()
    assert told == arms_of(site, rollout, keep_from=1).look() == arms_of(site, rollout).look()
    assert told.evidence != before.evidence


def test_other_bins_or_another_metric_are_other_tallies(site: Site, clock: SetClock) -> None:
    rollout = begin(site, clock)
    serve(site, rollout, random.Random(3), rollout.begun_generation)
    arms_of(site, rollout, keep_from=1).look()
    other = Arms(
        site,
        ENDPOINT,
        champion=rollout.champion,
        canary=rollout.release,
        since_generation=rollout.begun_generation,
        plan=PLAN,
        baseline=replace(BASELINE, edges=(0.5,), outputs=(0.5, 0.5)),
        keep_from=1,
    )

    assert len(other.look().evidence.strata[0].canary.outputs) == 2
    assert other.segments_read == 2
