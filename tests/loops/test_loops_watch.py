"""Alarms open once, close by themselves, and start one retraining."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest

from observations.captured import ENDPOINT, capture, make_release, set_traffic
from ropewalk.errors import Conflict, NotFound, Unavailable
from ropewalk.loops.watch import Watch
from ropewalk.observations import alert as alerts
from ropewalk.observations import windows
from ropewalk.observations.alert import Alert
from ropewalk.schedules import fire as fires
from ropewalk.schedules.fire import Fire
from ropewalk.schedules.spec import ALARM, QUEUE, Spec
from ropewalk.settings import Monitor, Settings
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock
from schedules.clockwork import Works

DAY_US = 86_400_000_000
START_US = 1_767_225_600_000_000 // (7 * DAY_US) * 7 * DAY_US
ERRORS = Monitor(name="errors", kind="errors", window="7d", threshold=0.05, retrain=True)
SETTINGS = Settings(name=ENDPOINT, monitors=(ERRORS,))


def week(site: Site, release: str, number: int, failing: int, rows: int = 700) -> None:
    events = (START_US + number * 7 * DAY_US + np.linspace(0, 7 * DAY_US - 1, rows)).astype(int).tolist()
    status = ["error" if at * failing // rows != (at + 1) * failing // rows else "ok" for at in range(rows)]
    capture(site, release, rows, event_us=events, status=status)


@pytest.fixture
def release(site: Site) -> str:
    name = make_release(site)
    set_traffic(site, name)
    return name


def all_alerts(site: Site) -> list[Alert]:
    with site.db.read() as reader:
        return alerts.listed(reader, endpoint=ENDPOINT)


def raised(site: Site, release: str) -> Alert:
    """Raise one alarm."""
    week(site, release, 0, failing=200)
    Watch(site, SETTINGS).turn()
    (found,) = all_alerts(site)
    return found


def test_an_alarm_opens_once_with_its_evidence_and_its_event(site: Site, release: str) -> None:
    watch = Watch(site, SETTINGS)
    week(site, release, 0, failing=200)

    watch.turn()
    week(site, release, 0, failing=200)
    watch.turn()
    Watch(site, SETTINGS).turn()

    (found,) = all_alerts(site)
    assert (found.monitor, found.state, found.retrain, found.window_us) == ("errors", "open", True, START_US)
    assert found.reason == "28.57% of the requests failed (700 rows, threshold 0.05)"
    account = json.loads(site.blobs.get(found.evidence))
    assert account["window"]["count"] == 700
    assert len(account["segments"]) == 1
    with site.db.read() as reader:
        events = reader.rows("events.after", seq=0, count=100)
    assert [row["subject"] for row in events if row["kind"] == "alert.opened"] == [found.subject]


def test_it_closes_when_a_later_whole_window_is_quiet(site: Site, release: str) -> None:
    watch = Watch(site, SETTINGS)
    for number, failing in enumerate((200, 150, 0)):
        week(site, release, number, failing)
        watch.turn()
        assert [one.state for one in all_alerts(site)] == ["open"]

    week(site, release, 3, 0)
    watch.turn()

    (found,) = all_alerts(site)
    assert (found.state, found.closed_why[:24]) == ("closed", "a later window is quiet:")
    assert json.loads(site.blobs.get(found.closed_evidence))["window"]["says"] == "quiet"


def test_a_closed_alarm_is_not_opened_again_by_its_own_past_but_by_a_new_window(site: Site, release: str) -> None:
    watch = Watch(site, SETTINGS)
    week(site, release, 0, failing=200)
    watch.turn()
    (found,) = all_alerts(site)
    site.db.write(lambda tx: alerts.close(tx, site, found.id, why="closed by hand"))

    week(site, release, 0, failing=100)
    watch.turn()
    assert len(all_alerts(site)) == 1
    week(site, release, 1, failing=100)
    watch.turn()

    assert [one.state for one in all_alerts(site)] == ["open", "closed"]


def test_a_new_champion_closes_the_alarm_of_the_old_one(site: Site, clock: SetClock, release: str) -> None:
    raised(site, release)
    clock.advance(1)
    set_traffic(site, make_release(site))

    Watch(site, SETTINGS).turn()

    (found,) = all_alerts(site)
    assert found.closed_why == "flights/1 does not answer any more; flights/2 does"


def test_what_was_seen_is_kept_for_the_plot(site: Site, release: str) -> None:
    for number, failing in enumerate((0, 7, 200)):
        week(site, release, number, failing)
    Watch(site, SETTINGS).turn()

    with site.db.read() as reader:
        seen = windows.listed(reader, ENDPOINT, "errors")

    assert [(one.says, round(one.reading or 0.0, 2)) for one in seen] == [
        ("alarm", 0.29),
        ("quiet", 0.01),
        ("quiet", 0),
    ]


def test_nothing_new_is_not_looked_at_again(site: Site, release: str, monkeypatch: pytest.MonkeyPatch) -> None:
    watch = Watch(site, SETTINGS)
    week(site, release, 0, failing=0)
    watch.turn()
    looked: list[str] = []
    monkeypatch.setattr(Watch, "look", lambda self, endpoint: looked.append(endpoint))

    watch.turn()
    week(site, release, 1, failing=0)
    watch.turn()

    assert looked == [ENDPOINT]


def test_an_alarm_cannot_close_twice_and_a_stranger_is_not_found(site: Site, release: str) -> None:
    found = raised(site, release)
    site.db.write(lambda tx: alerts.close(tx, site, found.id, why="by hand"))

    with pytest.raises(Conflict, match="closed already"):
        site.db.write(lambda tx: alerts.close(tx, site, found.id, why="again"))
    with pytest.raises(NotFound):
        site.db.write(lambda tx: alerts.close(tx, site, "nobody", why="again"))


RETRAIN = Spec(name="retrain", pipeline="pipeline.py:train", kind=ALARM, overlap=QUEUE, args={"n": 3})


def test_an_alarm_starts_its_retraining_once_and_is_told_the_run(site: Site, release: str) -> None:
    found = raised(site, release)
    works = Works(site, [RETRAIN])

    works.turn()
    works.turn()
    Works(site, [RETRAIN]).turn()

    (one,) = works.all("retrain")
    assert (one.cause, one.state, one.actor, one.key) == ("alarm", "done", "alert:errors", f"alarm {found.id}")
    assert one.arguments() == {"n": 3}
    assert len(works.started) == 1


def test_the_run_of_a_retraining_stands_with_its_alarm(site: Site, release: str) -> None:
    raised(site, release)

    def start(fire: Fire, halt: threading.Event) -> str:
        site.db.write(lambda tx: fires.attach(tx, site, fire.id, fire.fence, "run-1"))
        return "run-1"

    Works(site, [RETRAIN], start).turn()
    Works(site, [RETRAIN], start).turn()

    assert all_alerts(site)[0].run == "run-1"


def test_a_monitor_that_does_not_ask_starts_nothing(site: Site, release: str) -> None:
    import msgspec

    week(site, release, 0, failing=200)
    silent = msgspec.structs.replace(ERRORS, retrain=False)
    Watch(site, Settings(name=ENDPOINT, monitors=(silent,))).turn()
    works = Works(site, [RETRAIN])

    works.turn()

    assert len(all_alerts(site)) == 1
    assert works.all("retrain") == []


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (Unavailable("disk-full", "The disk is full."), "failed: disk-full: The disk is full."),
        (BlockingIOError(11, "no more"), "failed: internal: BlockingIOError: [Errno 11] no more"),
    ],
)
def test_a_retraining_that_fails_is_noted_and_not_tried_again(
    site: Site, release: str, error: Exception, told: str
) -> None:
    raised(site, release)

    def start(fire: Fire, halt: threading.Event) -> str:
        raise error

    works = Works(site, [RETRAIN], start)
    works.turn()
    works.turn()
    Works(site, [RETRAIN]).turn()

    assert all_alerts(site)[0].run == told
    assert len(works.all("retrain")) == 1


def test_two_alarms_are_retrained_one_after_the_other(site: Site, clock: SetClock, release: str) -> None:
    raised(site, release)
    clock.advance(1)
    site.db.write(lambda tx: alerts.close(tx, site, all_alerts(site)[0].id, why="by hand"))
    week(site, release, 1, failing=200)
    Watch(site, SETTINGS).turn()
    works = Works(site, [RETRAIN])

    works.turn()

    assert [one.state for one in works.all("retrain")] == ["done", "done"]


def test_whoever_notes_a_run_second_is_told_so(site: Site, release: str) -> None:
    found = raised(site, release)
    site.db.write(lambda tx: alerts.note_run(tx, site, found, "run-1"))

    with pytest.raises(Conflict, match="Somebody else"):
        site.db.write(lambda tx: alerts.note_run(tx, site, found, "run-2"))
