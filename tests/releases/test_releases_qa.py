"""A slow model and a wrong model are each refused, and recorded traffic is played to the candidate first."""

from __future__ import annotations

import json
import threading

import polars as pl
import pytest

from releases.small_line import Small, answer, make_project, make_version, rows, settings_of
from ropewalk.errors import Refused
from ropewalk.models.manifest import read_manifest
from ropewalk.models.versions import latest
from ropewalk.releases import outcome, release
from ropewalk.releases.build import assemble, gather
from ropewalk.releases.caller import Caller
from ropewalk.releases.line import ship
from ropewalk.releases.load import run_load
from ropewalk.releases.rehearsal import Rehearsed, paced, rehearse
from ropewalk.releases.rehearsalpage import to_html
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
    assert [problem for _, problem in said["functional"]] == [""] * 8
    assert said["load"]["statuses"].keys() == {"200"}
    assert (said["rehearsal"]["rows"], said["rehearsal"]["errors"]) == (30, 0)
    assert small.site.blobs.has(said["recorded"])
    assert small.served == 1


def test_recorded_rows_that_the_candidate_refuses_stop_the_line(small: Small) -> None:
    small.recorded = captured().with_columns(pl.lit(1).alias("in.carrier"))

    assert "30 of 30 recorded rows are refused, which production answered" in refusal(small).why


def test_recorded_rows_are_played_in_order_and_rhythm_within_five_seconds(small: Small) -> None:
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

    played, offsets, speed = paced(rows, 1.0)

    assert played["event_us"].is_sorted()
    assert offsets == sorted(offsets)
    assert (offsets[0], offsets[-1]) == (0.0, pytest.approx(5.0))
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


def played(small: Small, recorded: pl.DataFrame, speed: float = 1e9, **plan: float) -> Rehearsed:
    site = small.site
    with site.db.read() as reader:
        manifest = read_manifest(site.blobs, latest(reader, "flights").manifest)
        bundle = assemble(site, settings_of(), gather(reader, site, "flights", 1))
    with small.serve(bundle, "staging") as url:
        return rehearse(url, "/endpoints/flights/predict", recorded, manifest, speed, plan=Qa(**plan))


def answered(count: int = 30) -> pl.DataFrame:
    """Rows as they are captured: with their answers, three of them to each request."""
    inputs = rows(count, seed=9)
    said = answer({"slope": 2.0, "offset": 0.0}, inputs)
    return captured(count).with_columns(
        (pl.int_range(pl.len()) // 3 * SECOND_US).alias("at_us"),
        pl.lit(2000).alias("latency_us"),
        *(said[name].alias(f"out.{name}") for name in said.columns),
    )


def test_a_rehearsal_sends_requests_as_they_came_and_compares_every_answer(small: Small) -> None:
    same = played(small, answered())
    small.wrong_by = 0.5
    other = played(small, answered(), rehearsal_changed=0.01, rehearsal_shift=0.01)
    judged_by_none = played(small, answered())

    assert (same.rows, same.requests, same.compared, same.changed, same.recorded_p99_ms) == (30, 10, 30, 0, 2.0)
    assert same.shifts == {"probability": (0.0, 0.0)}
    assert same.problems == ()
    mean, most = other.shifts["probability"]
    assert 0 < mean < most
    assert other.changed > 0
    assert f"{other.changed} of 30 recorded rows get another label; rehearsal_changed allows 1.00%" in other.problems
    assert f"probability moves by {mean:.4g} in the mean; rehearsal_shift allows 0.01" in other.problems
    assert judged_by_none.problems == ()


def test_a_rehearsal_judges_latency_and_errors_by_their_thresholds(small: Small) -> None:
    bad = answered().with_columns(
        pl.when(pl.int_range(pl.len()) < 3).then(None).otherwise(pl.col("in.carrier")).alias("in.carrier")
    )
    strict, mild = played(small, bad), played(small, bad, rehearsal_errors=0.1)
    small.slow_seconds = 0.02
    slow = played(small, answered(6), rehearsal_latency=1.5)

    assert "3 of 30 recorded rows are refused, which production answered" in strict.problems[0]
    assert (mild.refused, mild.problems) == (3, ())
    assert "1.5 times of what was recorded is 3.0 ms" in slow.problems[0]


def test_requests_go_out_at_their_times_whether_the_ones_before_were_answered_or_not(small: Small) -> None:
    small.meet = threading.Barrier(6)

    found = played(small, answered(18), speed=50.0)

    assert (found.requests, found.errors, found.speed) == (6, 0, 50.0)


def test_the_page_of_a_rehearsal_tells_figures_and_problems_and_escapes_what_others_wrote() -> None:
    found = Rehearsed(rows=2, requests=1, compared=2, changed=1, shifts={"p": (0.1, 0.2)}, problems=("<b>bad</b>",))

    page = to_html(found, "churn/4 <on> churn")

    assert "&lt;b&gt;bad&lt;/b&gt;" in page
    assert "churn/4 &lt;on&gt; churn" in page
    assert "1 of 2 rows" in page
    assert "0.1 in the mean, 0.2 at most" in page
