"""What the records say for `/metrics`: what stands open, what fell, what failed, each 0 where nothing has yet."""

from __future__ import annotations

from msgspec.structs import replace

from ropewalk.api.standing import FRESH_SECONDS, Standing
from ropewalk.house import House
from ropewalk.settings import Monitor, Settings

ALERT = {
    "endpoint": "churn", "monitor": "seen", "kind": "drift", "release": "churn/1", "retrain": 0, "window_us": 0,
    "reading": 0.5, "threshold": 0.1, "reason": "", "evidence": "",
}  # fmt: skip


def values(standing: Standing) -> dict[tuple[str, ...], float]:
    return {(one.name, *one.labels.values()): one.value for family in standing() for one in family.samples}


def test_what_monitors_watch_is_there_before_they_say_anything_and_what_they_say_follows(site, clock):
    settings = replace(Settings(name="churn"), monitors=(Monitor(name="seen", kind="drift", column="x"),))
    standing = Standing(House(site=site, settings=settings), lambda: ("churn",))
    quiet = values(standing)
    for number, opened_us in (("1", 1), ("2", 2)):
        site.db.write(
            lambda tx, n=number, at=opened_us: tx.run("observations.alert_insert", id=n, opened_us=at, **ALERT)
        )
        site.db.write(lambda tx, n=number: n == "1" and close(tx, n))
    soon = values(standing)
    clock.advance(FRESH_SECONDS)

    later = values(standing)

    watched = ("churn", "seen", "drift")
    assert (quiet["ropewalk_alert_open", *watched], quiet["ropewalk_alerts_opened", *watched]) == (0, 0)
    assert quiet["ropewalk_rollouts", "churn", "fallen"] == quiet["ropewalk_jobs", "delivery", "failed"] == 0
    assert soon == quiet
    assert (later["ropewalk_alert_open", *watched], later["ropewalk_alerts_opened", *watched]) == (1, 2)
    assert 0 < later["ropewalk_disk_free_bytes",] < later["ropewalk_disk_bytes",]


def close(tx, number: str) -> None:
    tx.run("observations.alert_close", id=number, closed_us=2, why="", evidence="")


def test_streams_and_sealed_predictions_are_summed(site):
    segment = {"endpoint": "churn", "first_id": "a", "last_id": "b", "first_us": 0, "last_us": 1, "sealed_us": 1}
    segment |= {"event_first_us": 0, "event_last_us": 1}

    def work(tx) -> None:
        for number, rows in (("1", 40), ("2", 2)):
            tx.run("endpoints.segment_insert", digest=number, path=number, rows=rows, bytes=rows * 10, **segment)
        tx.run("streams.seen", name="orders", position="", lag=7, seen_us=1, problem="")
        tx.run("streams.pause", name="quiet", paused=1)

    site.db.write(work)

    found = values(Standing(House(site=site, settings=Settings(name="churn")), tuple))

    assert (found["ropewalk_captured_rows", "churn"], found["ropewalk_captured_bytes", "churn"]) == (42, 420)
    assert found["ropewalk_stream_lag", "orders"] == 7
    assert ("ropewalk_stream_lag", "quiet") not in found
    assert (found["ropewalk_stream_paused", "orders"], found["ropewalk_stream_paused", "quiet"]) == (0, 1)
