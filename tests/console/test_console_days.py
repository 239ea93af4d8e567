"""The calendar of schedules: days as the clocks of a zone have them, also on those on which the clocks are changed."""

from __future__ import annotations

import pytest

from console.pressing import Pressed
from ropewalk.console import days
from ropewalk.errors import Invalid
from ropewalk.schedules import fire as fires
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.fire import Cause
from schedules.clockwork import spec, us

BERLIN = "Europe/Berlin"


@pytest.fixture
def nightly(site):
    site.clock.jump((us("2026-03-27 12:00", BERLIN) - site.clock.now_us()) / 1_000_000)
    (found,) = site.db.write(lambda tx: schedules.declare(tx, site, [spec(cron="30 2 * * *", timezone=BERLIN)]))
    return found


def shown(site, nightly, **query: str):
    with site.db.read() as rows:
        return days.of_schedules(rows, [nightly], site.clock.now_us(), query, home="/schedules")


def test_a_night_without_half_past_two_has_its_start_after_the_gap_and_says_its_hours(site, nightly):
    found = shown(site, nightly, week="2026-03-29")

    sunday = found["weeks"][0][6]
    assert (sunday.name, sunday.hours) == ("Sun 29 March", 23)
    assert [(one.at, one.state) for one in sunday.entries] == [("03:00+0200", "next")]
    assert [one.at for one in found["weeks"][0][5].entries] == ["02:30"]
    assert found["changes"] == ["Sun 29 March has 23 hours"]


def test_the_night_that_has_it_twice_starts_once(site, nightly):
    found = shown(site, nightly, week="2026-10-25")

    assert [one.at for one in found["weeks"][0][6].entries] == ["02:30+0200"]
    assert found["weeks"][0][6].hours == 25


def test_a_start_stands_on_the_day_of_its_zone(site, nightly):
    due_us = us("2026-03-10 23:30", "UTC")  # in Berlin it is the next day
    cause = Cause(key="one", cause="schedule", due_us=due_us, actor="ann")
    site.db.write(lambda tx: fires.add(tx, site, "nightly", cause, {}, fires.MISSED, "nobody was there"))

    def marked(zone: str) -> list[int]:
        cells = [
            day for week in shown(site, nightly, month="2026-03", zone=zone)["weeks"] for day in week if day.inside
        ]
        return [day.number for day in cells if any(state == "missed" for state, *_ in day.marks)]

    assert marked(BERLIN) == [11]
    assert marked("UTC") == [10]


def test_the_zone_is_that_of_the_schedules_and_the_month_this_one(site, nightly):
    found = shown(site, nightly)

    assert (found["title"], found["zone"]) == ("March 2026", BERLIN)
    assert [day.number for week in found["weeks"] for day in week if day.today] == [27]
    assert sum(day.inside for week in found["weeks"] for day in week) == 31


@pytest.mark.parametrize("query", [{"month": "x"}, {"week": "2026-13-01"}, {"zone": "Mars/Base"}, {"month": "0001-01"}])
def test_what_is_no_time_is_said(site, nightly, query):
    with pytest.raises(Invalid, match="This is no"):
        shown(site, nightly, **query)


def test_a_schedule_is_paused_resumed_started_and_backfilled_from_its_page(site, nightly, one: Pressed):
    (site.root / "pipeline.py").write_text(
        "from ropewalk import pipeline\n\n@pipeline\ndef train(n: int = 1):\n    pass\n"
    )
    home = "/schedules/nightly"
    page = one.look(home).body.decode()
    for word in ("pause", "run", "backfill"):
        assert f"{home}/do/{word}" in page

    assert one.done(f"{home}/do/pause") == "nightly is paused."
    assert "Resume" in one.look(home).body.decode()
    assert one.done(f"{home}/do/resume") == "nightly starts again."
    assert one.done(f"{home}/do/run").startswith("nightly is in line")
    wrong = one.press(f"{home}/do/backfill", sure="1", begin="spring", end="2026-03-20", parallel="2")
    assert wrong.status == 400
    assert "backfill" in wrong.body.decode()
    fields = {"sure": "1", "begin": "2026-03-16", "end": "2026-03-20", "parallel": "2", "once": "a" * 32}
    first, again = one.press(f"{home}/do/backfill", **fields), one.press(f"{home}/do/backfill", **fields)
    assert first.headers["location"] == again.headers["location"]
    page = one.follow(first)
    assert "0 of 5" in page
    assert page.count("<rect") == 5

    place = first.headers["location"].partition("#")[0]
    assert "what is done stays done" in one.look(f"{place}/do/cancel").body.decode()
    assert "5 cancelled" in one.follow(one.press(f"{place}/do/cancel", sure="1"))
    assert "cancelled" in one.look("/schedules").body.decode()
    assert one.look("/backfills/nobody").status == 404


def test_a_schedule_of_every_minute_says_how_many_of_its_times_are_shown(site, nightly):
    often = [spec(name="often", cron="* * * * *", timezone=BERLIN)]
    every = site.db.write(lambda tx: schedules.declare(tx, site, often))
    (minutely,) = [one for one in every if one.name == "often"]

    found = shown(site, minutely, month="2026-04")

    assert found["cut"] == "Of often, the next 1,000 times are shown."
    assert shown(site, nightly, month="2026-04")["cut"] == ""


def test_on_a_day_of_changed_clocks_starts_of_several_schedules_stand_in_time(site, nightly):
    often = [spec(name=name, cron=cron, timezone=BERLIN) for name, cron in (("a", "0 4 * * *"), ("b", "0 1 * * *"))]
    made = site.db.write(lambda tx: schedules.declare(tx, site, often))

    with site.db.read() as rows:
        found = days.of_schedules(rows, made, site.clock.now_us(), {"week": "2026-03-29"}, home="/schedules")

    assert [one.at for one in found["weeks"][0][6].entries] == ["01:00+0100", "04:00+0200"]
