"""A slow model and a wrong model are each refused, and recorded traffic is played to the candidate first."""

from __future__ import annotations

import json

import polars as pl
import pytest

from releases.small_line import Small, make_project, make_version, rows, settings_of
from ropewalk.errors import Refused
from ropewalk.releases import outcome, release
from ropewalk.releases.caller import Caller
from ropewalk.releases.line import ship
from ropewalk.releases.load import run_load
from ropewalk.releases.rehearsal import paced, rehearse
from ropewalk.settings import Qa
from ropewalk.site import Site

SECOND_US = 1_000_000


@pytest.fixture
def small(site: Site) -> Small:
    make_project(site.root)
    make_version(site)
    return Small(site=site)


def refusal(small: Small, **parts) -> Refused:
    with pytest.raises(Refused) as caught:
        ship(small.site, settings_of(**parts), doors=small.doors())
    assert "stage 7, qa" in caught.value.what, caught.value.record()
    with small.site.db.read() as reader:
        assert release.get(reader, "flights/1").state == "failed"
    return caught.value


def found_by_qa(small: Small) -> dict:
    with small.site.db.read() as reader:
        return json.loads(small.site.blobs.get(outcome.last_outcome(reader, "flights/1", "qa").evidence))["found"]


def captured(count: int = 30) -> pl.DataFrame:
    inputs = rows(count, seed=9)
    return inputs.select(
        pl.int_range(pl.len()).alias("event_us") * SECOND_US, pl.col("x", "carrier").name.prefix("in.")
    )


def test_a_slow_model_is_refused_with_its_latency_and_the_budget(small: Small) -> None:
    small.slow_seconds = 0.03

    error = refusal(small, qa={"load_seconds": 0.05, "load_connections": 2, "p50_ms": 5, "p99_ms": 10})

    assert "half of the answers took longer than" in error.why
    assert "the budget is 5 ms" in error.why
    assert found_by_qa(small)["load"]["p50_ms"] >= 30


def test_a_wrong_model_is_refused_by_its_golden_rows(small: Small) -> None:
    small.wrong_by = 0.001

    assert "golden rows get the recorded answers: row 0: probability was recorded as" in refusal(small).why


def test_an_endpoint_that_takes_anything_is_refused(small: Small) -> None:
    small.takes_anything = True

    error = refusal(small)

    assert "an unknown field is refused by name: status 200 for a bad no_such_field_here" in error.why


def test_a_good_one_passes_and_its_evidence_has_the_figures(small: Small) -> None:
    small.recorded = captured()

    ship(small.site, settings_of(), doors=small.doors())

    said = found_by_qa(small)
    assert [problem for _, problem in said["functional"]] == [""] * 7
    assert said["load"]["statuses"].keys() == {"200"}
    assert (said["rehearsal"]["rows"], said["rehearsal"]["errors"]) == (30, 0)
    assert small.site.blobs.has(said["recorded"])
    assert small.served == 1


def test_recorded_rows_that_the_candidate_refuses_stop_the_line(small: Small) -> None:
    small.recorded = captured().with_columns(pl.lit(1).alias("in.carrier"))

    assert "30 of 30 recorded rows are refused, which production answered" in refusal(small).why


def test_recorded_rows_are_played_in_order_and_rhythm_within_five_seconds(small: Small) -> None:
    from ropewalk.models.manifest import read_manifest
    from ropewalk.models.versions import latest
    from ropewalk.releases.build import assemble, gather

    site = small.site
    with site.db.read() as reader:
        manifest = read_manifest(site.blobs, latest(reader, "flights").manifest)
        bundle = assemble(site, settings_of(), gather(reader, site, "flights", 1))
    with small.serve(bundle, "staging") as url:
        played = rehearse(url, "/endpoints/flights/predict", captured(5), manifest, 1_000_000.0)
        nothing = rehearse(url, "/endpoints/flights/predict", captured(5).drop("in.x"), manifest, 1.0)

    assert (played.rows, played.speed, played.problems) == (5, 1_000_000.0, ())
    assert (nothing.rows, nothing.skipped) == (0, "the recorded traffic has no x")


def test_rows_that_swapped_places_on_their_way_are_played_in_the_order_of_their_events() -> None:
    rows = captured(2000).sample(fraction=1.0, shuffle=True, seed=4)

    played, waits, speed = paced(rows, 1.0)

    assert played["event_us"].is_sorted()
    assert sum(waits) == pytest.approx(5.0)
    assert speed == pytest.approx(1999 / 5)


def test_nothing_but_this_machine_is_ever_loaded() -> None:
    for url in ("http://10.0.0.1:80", "http://example.org", "https://127.0.0.1", "http://127.0.0.1.example.org"):
        with pytest.raises(Refused, match="this machine only"):
            Caller(url)


def test_an_endpoint_that_does_not_answer_fails_the_load_without_an_exception() -> None:
    plan = Qa(load_seconds=0.01, load_connections=2)

    found = run_load("http://127.0.0.1:1", "/x", [{}], plan)

    assert found.requests == found.errors > 0
    assert "nothing was answered under load" in found.problems
