"""A canary's evidence, counted from sealed segments."""

from __future__ import annotations

import polars as pl
import pytest

from observations.captured import ENDPOINT, capture, make_release, set_traffic
from ropewalk.errors import Corrupt
from ropewalk.models.manifest import read_manifest
from ropewalk.observations import labels
from ropewalk.observations.arms import Collected, collect
from ropewalk.observations.scores import score
from ropewalk.refs import canonical
from ropewalk.releases import release as releases
from ropewalk.releases.tally import Arm
from ropewalk.settings import Canary
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock


@pytest.fixture
def pair(site: Site, clock: SetClock) -> tuple[str, str]:
    """A champion at generation 1 and a canary with 20 % at generation 2."""
    champion = make_release(site)
    clock.advance(1)
    canary = make_release(site)
    set_traffic(site, champion)
    set_traffic(site, champion, canary=canary, canary_weight_bp=2000, salt=canary)
    return champion, canary


def look(site: Site, pair: tuple[str, str], since: int = 2, plan: Canary | None = None) -> Collected:
    return collect(site, ENDPOINT, champion=pair[0], canary=pair[1], since_generation=since, plan=plan or Canary())


def test_rows_errors_and_invalid_outputs_are_counted_by_arm(site: Site, pair: tuple[str, str]) -> None:
    capture(site, pair[0], 8, generation=2, status=["ok"] * 7 + ["error"])
    capture(site, pair[1], 4, role="canary", generation=2, status=["ok", "timeout", "invalid_output", "error"])

    (stratum,) = look(site, pair).evidence.strata

    assert stratum.share == 0.2
    assert (stratum.champion.rows, stratum.champion.errors, stratum.champion.error_units) == (8, 1, 1)
    assert stratum.canary == Arm(rows=4, errors=2, invalid=1, error_units=2, invalid_units=1)


def test_what_came_before_the_rollout_and_what_callers_chose_is_left_out(site: Site, pair: tuple[str, str]) -> None:
    capture(site, pair[0], 50, generation=1, status="error")
    capture(site, pair[1], 5, role="asked", generation=2, status="error")
    capture(site, pair[1], 3, role="canary", generation=2)

    (stratum,) = look(site, pair).evidence.strata

    assert stratum.champion == Arm()
    assert stratum.canary == Arm(rows=3)


def test_a_key_that_fails_again_and_again_is_one_unit_in_the_whole_rollout(
    site: Site, clock: SetClock, pair: tuple[str, str]
) -> None:
    capture(site, pair[1], 3, role="canary", generation=2, status="error", key=["a", "a", "b"])
    clock.advance(60)
    set_traffic(site, pair[0], canary=pair[1], canary_weight_bp=5000, salt=pair[1])
    capture(site, pair[1], 3, role="canary", generation=3, status="error", key=["a", "c", None])

    first, second = look(site, pair).evidence.strata

    assert (first.canary.errors, first.canary.error_units) == (3, 2)
    assert (second.share, second.canary.errors, second.canary.error_units) == (0.5, 3, 2)


def test_slow_is_measured_against_the_champion_and_never_below_the_floor(site: Site, pair: tuple[str, str]) -> None:
    capture(site, pair[0], 100, generation=2, latency_us=[20_000] * 90 + [30_000] * 10)
    capture(site, pair[1], 3, role="canary", generation=2, latency_us=[50_000, 60_001, 200_000])

    found = look(site, pair)
    generous = look(site, pair, plan=Canary(latency_floor_ms=100.0))

    assert found.facts["slow_from_us"] == 60_000.0
    assert found.evidence.strata[0].canary.slow == 2
    assert generous.evidence.strata[0].canary.slow == 1


def test_losses_are_means_over_the_rows_of_a_key(site: Site, clock: SetClock, pair: tuple[str, str]) -> None:
    ids = capture(site, pair[1], 3, role="canary", generation=2, probability=[0.5, 0.9, 0.1], key=["a", "a", None])
    told = [(ids[0], 1, 5), (ids[1], 1, 5), (ids[2], 0, 5)]
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, told))

    canary = look(site, pair).evidence.strata[0].canary

    assert canary.labelled == 2
    assert canary.loss_sum == pytest.approx((0.25 + 0.01) / 2 + 0.01)
    assert canary.loss_square_sum == pytest.approx(0.13**2 + 0.01**2)


def test_a_shadow_is_compared_on_the_same_requests(site: Site, clock: SetClock) -> None:
    champion = make_release(site)
    clock.advance(1)
    candidate = make_release(site)
    set_traffic(site, champion, shadow=candidate)
    ids = capture(site, champion, 4, probability=[0.5, 0.5, 0.5, 0.5], status=["ok", "ok", "error", "error"])
    capture(
        site,
        candidate,
        4,
        role="shadow",
        pair=ids,
        probability=[0.9, 0.2, 0.5, 0.5],
        status=["ok", "ok", "error", "ok"],
    )
    capture(site, candidate, 1, role="shadow", pair=["0190b1f0-0000-7000-8000-000000000000"], status="error")
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, [(ids[0], 1, 5), (ids[1], 1, 5)]))

    pairs = look(site, (champion, candidate), since=1).evidence.pairs

    assert pairs is not None
    assert (pairs.champion.rows, pairs.champion.errors, pairs.champion.error_units) == (4, 2, 1)
    assert (pairs.canary.rows, pairs.canary.errors, pairs.canary.error_units) == (4, 1, 0)
    assert pairs.labelled == 2
    assert pairs.difference_sum == pytest.approx((0.01 - 0.25) + (0.64 - 0.25))


def test_the_account_names_all_segments_and_labels_and_is_the_same_again(site: Site, pair: tuple[str, str]) -> None:
    capture(site, pair[0], 2, generation=2)
    (one, _) = capture(site, pair[1], 2, role="canary", generation=2)
    unlabelled = look(site, pair)
    batch = site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, [(one, 1, 5)])).batch

    first, again = look(site, pair), look(site, pair)

    assert len(first.facts["segments"]) == 2
    assert (unlabelled.facts["labels"], first.facts["labels"]) == (0, batch)
    assert canonical(first.facts) == canonical(again.facts)


def test_a_segment_that_was_tampered_with_is_no_evidence(site: Site, pair: tuple[str, str]) -> None:
    capture(site, pair[0], 2, generation=2)
    path = next((site.hidden / "capture" / ENDPOINT).glob("*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)

    with pytest.raises(Corrupt, match="no longer holds"):
        look(site, pair)


def test_no_traffic_is_no_evidence(site: Site, pair: tuple[str, str]) -> None:
    found = look(site, pair)

    assert found.evidence.strata[0].canary == Arm()
    assert found.evidence.pairs is None
    assert look(site, pair, since=9).evidence.strata == ()


def test_scores_follow_the_task(site: Site, clock: SetClock) -> None:
    rows = pl.DataFrame(
        {
            "status": ["ok", "ok", "ok", "error"],
            "label": ["true", "0", '"c"', "1"],
            "out.probability": [0.75, 0.5, 0.5, 0.5],
            "out.prediction": [2.0, 1.0, 1.0, 1.0],
            "out.probability.a": [0.5, 0.0, 0.25, 0.5],
            "out.probability.b": [0.25, 0.0, 0.25, 0.5],
            "out.probability.c": [0.25, 1.0, 0.5, 0.0],
        }
    )

    def by(task: str) -> list[tuple[float | None, ...]]:
        clock.advance(1)
        name = make_release(site, task=task)
        with site.db.read() as reader:
            manifest = read_manifest(site.blobs, releases.get(reader, name).manifest)
        return score(rows, manifest).select("said", "was", "loss").rows()

    assert by("binary") == [(0.75, 1.0, 0.0625), (0.5, 0.0, 0.25), (0.5, None, None), (None, None, None)]
    assert by("regression") == [(2.0, None, None), (1.0, 0.0, 1.0), (1.0, None, None), (None, None, None)]
    assert by("multiclass") == [
        (0.5, None, None),
        (1.0, None, None),
        (0.5, 1.0, (0.0625 + 0.0625 + 0.25) / 2),
        (None, None, None),
    ]
