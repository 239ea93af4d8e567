"""Monitors look at windows of event time, find what was planted, and stay quiet for a year without change."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from observations.captured import ENDPOINT, capture, make_release, set_traffic
from ropewalk.errors import Invalid
from ropewalk.observations import drift, labels, monitors, quality
from ropewalk.observations.monitors import Finding, alpha_of, check, evaluate
from ropewalk.observations.windows import length_us, start_of
from ropewalk.settings import Monitor, Settings
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

DAY_US = 86_400_000_000
MONDAY_US = 1_767_225_600_000_000 // (7 * DAY_US) * 7 * DAY_US


def of(*watched: Monitor, budget: float = 1.0) -> Settings:
    return Settings(name=ENDPOINT, monitors=watched, false_alarms_per_year=budget)


CALIBRATION = Monitor(name="calibrated", kind="calibration", window="7d", threshold=0.05)
TEMPERATURE = Monitor(name="temperature", kind="drift", column="temp", window="7d", threshold=0.1)


def week(
    site: Site,
    release: str,
    number: int,
    *,
    days: float = 7.0,
    rows: int = 1400,
    late: float = 0.2,
    seed: int = 1,
    **more,
) -> list[str]:
    """Seal one week of predictions (or its first days) with labels for them."""
    dice = np.random.default_rng(seed + number)
    events = (MONDAY_US + number * 7 * DAY_US + np.sort(dice.random(rows)) * days * DAY_US).astype(int).tolist()
    ids = capture(site, release, rows, event_us=events, **more)
    told = [(one, bool(dice.random() < late), at + DAY_US) for one, at in zip(ids, events, strict=True)]
    site.db.write(lambda tx: labels.add(tx, site, ENDPOINT, told))
    return ids


@pytest.fixture
def release(site: Site) -> str:
    train = pl.DataFrame({"temp": np.random.default_rng(9).normal(10.0, 5.0, 20_000)})
    name = make_release(site, train=train)
    set_traffic(site, name)
    return name


def says(found: list[Finding]) -> list[str]:
    return [finding.seen.says for finding in found]


def test_predictions_that_are_off_the_labels_raise_an_alarm(site: Site, clock: SetClock, release: str) -> None:
    week(site, release, 0)
    week(site, release, 1, late=0.4)

    quiet, loud = evaluate(site, of(CALIBRATION), ENDPOINT, now_us=clock.now_us())

    assert (quiet.seen.says, loud.seen.says) == ("quiet", "alarm")
    assert loud.seen.reading == pytest.approx(-0.2, abs=0.05)
    assert loud.seen.start_us == MONDAY_US + 7 * DAY_US
    assert "off the labels" in loud.reason
    assert len(loud.facts["segments"]) == 2
    assert (quiet.whole, loud.whole) == (True, False)


def test_an_effect_below_the_threshold_is_no_alarm_however_sure_it_is(
    site: Site, clock: SetClock, release: str
) -> None:
    week(site, release, 0, rows=20_000, late=0.23)

    (found,) = evaluate(site, of(CALIBRATION), ENDPOINT, now_us=clock.now_us())

    assert found.seen.low is not None
    assert found.seen.low > 0.0
    assert found.seen.says == "quiet"


def test_few_rows_say_nothing(site: Site, clock: SetClock, release: str) -> None:
    week(site, release, 0, rows=150, late=1.0)

    (found,) = evaluate(site, of(CALIBRATION), ENDPOINT, now_us=clock.now_us())

    assert found.seen.says == "few"
    assert found.reason == "150 of 200 rows"


def test_the_first_days_of_a_window_alone_raises_no_alarm(site: Site, clock: SetClock, release: str) -> None:
    week(site, release, 0, days=2.0, late=0.6)

    assert says(evaluate(site, of(CALIBRATION), ENDPOINT, now_us=clock.now_us())) == ["quiet"]


def test_a_column_that_moved_away_from_training_is_found(site: Site, clock: SetClock, release: str) -> None:
    dice = np.random.default_rng(4)
    for number, mean in enumerate((10.0, 13.0)):
        week(site, release, number, inputs={"temp": dice.normal(mean, 5.0, 1400).tolist()})

    assert says(evaluate(site, of(TEMPERATURE), ENDPOINT, now_us=clock.now_us())) == ["quiet", "alarm"]


def test_predictions_are_held_against_the_first_whole_window(site: Site, clock: SetClock, release: str) -> None:
    dice = np.random.default_rng(5)
    outputs = Monitor(name="outputs", kind="output", window="7d", threshold=0.1)
    for number, mean in enumerate((0.3, 0.3, 0.5)):
        week(site, release, number, probability=dice.beta(10 * mean, 10 * (1 - mean), 1400).tolist())

    assert says(evaluate(site, of(outputs), ENDPOINT, now_us=clock.now_us())) == ["baseline", "quiet", "alarm"]


def test_losses_are_held_against_the_first_whole_window(site: Site, clock: SetClock, release: str) -> None:
    losses = Monitor(name="loss", kind="quality", window="7d", threshold=0.05)
    for number, late in enumerate((0.2, 0.2, 0.5)):
        week(site, release, number, late=late)

    assert says(evaluate(site, of(losses), ENDPOINT, now_us=clock.now_us())) == ["baseline", "quiet", "alarm"]


def test_failures_are_found_and_shadows_and_other_releases_are_not_counted(
    site: Site, clock: SetClock, release: str
) -> None:
    errors = Monitor(name="errors", kind="errors", window="7d", threshold=0.05)
    week(site, release, 0)
    week(site, release, 0, role="shadow", status="error", pair=["x"] * 1400)
    week(site, "flights/9", 0, status="error")
    first = evaluate(site, of(errors), ENDPOINT, now_us=clock.now_us())
    week(site, release, 1, status=["error"] * 2 + ["ok"] * 1398)
    week(site, release, 2, status=["error", "ok"] * 700)

    found = evaluate(site, of(errors), ENDPOINT, now_us=clock.now_us())

    assert says(first) == ["quiet"]
    assert says(found) == ["quiet", "quiet", "alarm"]


def test_late_rows_join_the_window_of_their_event(site: Site, clock: SetClock, release: str) -> None:
    week(site, release, 0, late=0.2, rows=300)
    week(site, release, 1)
    before = evaluate(site, of(CALIBRATION), ENDPOINT, now_us=clock.now_us())[0]
    clock.advance(20 * 86_400)
    week(site, release, 0, late=0.6, rows=1200, seed=50)

    after = evaluate(site, of(CALIBRATION), ENDPOINT, now_us=clock.now_us())[0]

    assert (before.seen.count, before.seen.says) == (300, "quiet")
    assert (after.seen.count, after.seen.says) == (1500, "alarm")


def test_without_traffic_or_monitors_there_is_nothing_to_find(site: Site, clock: SetClock) -> None:
    assert evaluate(site, of(CALIBRATION), "nowhere", now_us=0) == []
    set_traffic(site, make_release(site))
    assert evaluate(site, of(CALIBRATION), ENDPOINT, now_us=0) == []
    assert evaluate(site, of(), ENDPOINT, now_us=0) == []


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (Monitor(name="a", kind="mood"), "its kind is 'mood'"),
        (Monitor(name="a", kind="drift"), "needs a column"),
        (Monitor(name="a", kind="errors", window="week"), "found 'week'"),
        (Monitor(name="calibrated", kind="errors"), "two monitors have this name"),
    ],
)
def test_a_monitor_that_cannot_be_looked_at_is_named(wrong: Monitor, why: str) -> None:
    with pytest.raises(Invalid) as raised:
        check(of(CALIBRATION, wrong))

    assert why in raised.value.why


def test_a_column_that_the_training_snapshot_lacks_is_named(site: Site, clock: SetClock, release: str) -> None:
    week(site, release, 0, inputs={"wind": [1.0] * 1400})
    wind = Monitor(name="wind", kind="drift", column="wind")

    with pytest.raises(Invalid, match="does not have the column"):
        evaluate(site, of(wind), ENDPOINT, now_us=clock.now_us())


def test_the_budget_is_shared_by_all_windows_of_all_monitors() -> None:
    hourly = Monitor(name="errors", kind="errors", window="1h")
    settings = of(CALIBRATION, hourly)
    year = 365.25 * DAY_US

    spent = sum(alpha_of(settings, one) * year / length_us(one.window) for one in settings.monitors)

    assert spent == pytest.approx(0.05)
    assert alpha_of(of(CALIBRATION, budget=1e9), CALIBRATION) == 0.05
    assert alpha_of(settings, hourly, endpoints=2) == alpha_of(settings, hourly) / 2


def test_windows_are_counted_from_the_epoch_and_hold_times_before_it() -> None:
    assert start_of(DAY_US + 5, DAY_US) == DAY_US
    assert start_of(-5, DAY_US) == -DAY_US


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
def test_a_year_without_change_stays_quiet_in_95_of_100_years() -> None:
    """Four monitors with a budget of 1, two looks a window, and spells of like rows that last a clump."""
    settings = of(CALIBRATION, TEMPERATURE, *(Monitor(name=str(n), kind="errors", threshold=0.01) for n in range(2)))
    alpha = alpha_of(settings, CALIBRATION)
    dice = np.random.default_rng(17)
    held = drift.from_values(pl.Series(dice.normal(size=20_000)), 64, rows=20_000)
    clumps, said = pl.Series(np.repeat(np.arange(28), 50)), pl.Series([0.2] * 1400)
    years, noisy = 20, 0
    for _ in range(years):
        alarms = 0
        for _ in range(52):
            moods = dice.normal(0.0, 1.0, 28)[:, None]
            rate = np.clip(0.2 + 0.06 * moods, 0.01, 0.9)
            was = pl.Series((dice.random((28, 50)) < rate).astype(float).ravel())
            temperature = pl.Series((dice.normal(size=(28, 50)) * 0.95 + 0.3 * moods).ravel())
            failed = pl.Series(dice.random(1400) < 0.002)
            for rows in (1200, 1400):
                part = slice(0, rows)
                gap = quality.calibration(said[part], was[part], clumps[part], scale=0.05, alpha=alpha)
                parts = drift.count(temperature[part], clumps[part], held)
                far = drift.distance(parts, held, alpha=alpha)
                broken = quality.failures(failed[part], clumps[part], alpha=alpha)
                # Without any threshold: only chance is asked, the hardest case.
                alarms += (gap.low > 0) + (far.low > 0) + (broken.low > 0.002)
        noisy += alarms > 0

    print(f"{years - noisy} of {years} years without change were quiet")  # noqa: T201 - figures
    assert noisy <= 0.05 * years
    assert monitors.QUIET_SHARE == 0.05
