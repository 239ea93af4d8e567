"""A workspace that nobody asks for does what it has to do by itself: it is opened for it, and rests again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.doorway import Door
from ropewalk.access.roles import Grant
from ropewalk.api import resting
from ropewalk.cli import main
from ropewalk.clock import SystemClock
from ropewalk.errors import Conflict
from ropewalk.house import House, open_house
from ropewalk.settings import Settings
from ropewalk.site import HIDDEN, Site
from ropewalk.testing.fakes import SetClock
from ropewalk.webhooks import delivery, webhook
from ropewalk.webhooks.events import event_of
from ropewalk.webhooks.webhook import Wish
from ropewalk.workspaces import account, workspace
from ropewalk.workspaces.quota import Quota

PIPELINE = """
from ropewalk import pipeline, step

@step
def one(n: int) -> int:
    return n

@pipeline
def pushed(payload: dict = {}) -> int:
    return one(len(payload))
"""
SETTINGS = """
name = "team-a"
[[schedules]]
name = "on-push"
pipeline = "pipeline.py:pushed"
webhook = true
"""


def as_the_machine(clock: SetClock) -> None:
    """Set the host's clock to the machine's, which the workspaces go by."""
    clock.jump((SystemClock().now_us() - clock.now_us()) / 1e6)


@pytest.fixture
def door(site: Site, clock: SetClock) -> Iterator[Door]:
    as_the_machine(clock)
    made = Door(site)
    yield made
    made.close()


def folder(site: Site, name: str) -> Path:
    found = site.hidden / "workspaces" / name
    found.mkdir(parents=True, exist_ok=True)
    return found


def tend(door: Door) -> list[str]:
    door.asked._runner.run(door.asked.app.tend())
    opened = door.asked.app.openings
    return sorted(one.found.name for one in opened._open.values())


def hooked(root: Path) -> None:
    """Make a webhook, which nothing answers, and an event that it is to be told of."""
    with open_house(root, guest=True) as house:
        site = house.site

        def work(tx) -> None:
            wish = Wish(name="hook", url="https://127.0.0.1:9/x", events=[event_of("registered_model.created")])
            webhook.create(tx, site, wish, "h" * 8)
            site.announce(tx, "registered_model.created", "model:m", {"name": "m", "tags": {}, "description": ""})

        site.db.write(work)


def test_what_has_nothing_to_do_is_never_opened(door: Door, site: Site) -> None:
    for name in ("team-a", "team-b"):
        with open_house(folder(site, name), guest=True):
            pass

    assert [tend(door) for _ in range(3)] == [[], [], []]


def test_a_message_that_waits_is_sent_and_the_workspace_rests_again(door: Door, site: Site, clock: SetClock) -> None:
    assert tend(door) == []
    root = folder(site, "team-a")
    hooked(root)

    assert tend(door) == ["team-a"]

    (opened,) = door.asked.app.openings._open.values()
    (turning,) = [one for one in opened._turning if one.name == "deliver"]
    assert turning.wait_turns(2, 30)
    with opened.site.db.read() as rows:
        (found,), _ = delivery.of_webhook(rows, "h" * 8)
    assert found.attempts == 1  # it was tried, and is to be tried again
    clock.advance(25)
    assert tend(door) == ["team-a"]  # soon
    ended = {"id": found.id, "attempts": found.attempts, "state": "failed", "next_us": 0, "ended_us": 1}
    opened.site.db.write(lambda tx: tx.run("webhooks.settle", **ended))
    clock.advance(25)
    assert tend(door) == []


def test_a_schedule_is_started_in_its_workspace_by_its_secret_alone(site: Site, clock: SetClock, capsys) -> None:
    as_the_machine(clock)
    root = folder(site, "team-a")
    (root / "pipeline.py").write_text(PIPELINE)
    (root / "ropewalk.toml").write_text(SETTINGS)
    door = Door(site, enabled=True)
    try:
        door.let_in("root", Grant(role="admin"))
        assert main(["--project", str(root), "schedule", "secret", "on-push", "--json"]) == 0
        secret = json.loads(capsys.readouterr().out)["result"]["secret"]
        path = "/workspaces/team-a/api/v1/triggers/on-push"

        fine = door.ask("POST", path, {"a": 1}, authorization=f"Bearer {secret}")
        wrong = door.ask("POST", path, {"a": 1}, authorization="Bearer nothing")
        absent = door.ask("POST", path.replace("team-a", "team-x"), {"a": 1}, authorization=f"Bearer {secret}")
        other = door.ask("POST", path.replace("team-a", "team-b"), {"a": 1}, authorization=f"Bearer {secret}")
        reading = door.ask("GET", "/workspaces/team-a/api/v1/schedules", authorization=f"Bearer {secret}")
    finally:
        door.close()

    assert fine.status in (200, 201, 202), fine.body
    assert (wrong.status, absent.status, other.status, reading.status) == (404, 404, 404, 401)
    assert wrong.body == absent.body == other.body


def test_who_guesses_secrets_takes_no_request_from_those_whose_workspace_it_is(site: Site, clock: SetClock) -> None:
    as_the_machine(clock)
    folder(site, "team-a")
    door = Door(site, enabled=True)
    try:
        door.let_in("root", Grant(role="admin"))
        door.changed(lambda tx: workspace.set_quota(tx, site, "team-a", Quota(requests_max=3)))
        path = "/workspaces/team-a/api/v1/triggers/on-push"

        guesses = [door.ask("POST", path, {}, authorization=f"Bearer {at}").status for at in range(5)]
        asked = door.ask("GET", "/workspaces/team-a/api/v1/schedules", by="root")
    finally:
        door.close()

    assert (guesses, asked.status) == ([404] * 5, 200), asked.body


def test_what_is_written_while_a_resting_workspace_is_looked_at_is_seen_the_next_time(
    door: Door, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = folder(site, "team-a")
    with open_house(root, guest=True):
        pass
    looked = resting.wake.next_us

    def interrupted(*given) -> int | None:
        found = looked(*given)
        monkeypatch.undo()
        hooked(root)
        return found

    monkeypatch.setattr(resting.wake, "next_us", interrupted)

    assert tend(door) == []
    assert tend(door) == ["team-a"]


def test_a_workspace_that_somebody_has_open_is_not_purged(site: Site) -> None:
    house = House(site=site, settings=Settings(name="churn"))
    site.db.write(lambda tx: workspace.add(tx, site, "team-a", host="churn"))
    root = folder(site, "team-a")
    with open_house(root, guest=True):
        site.db.write(lambda tx: workspace.move(tx, site, "team-a", workspace.DELETED))
        with pytest.raises(Conflict) as caught:
            resting.purge(house, "team-a")
        assert (root / HIDDEN / "ropewalk.db").exists()

    assert caught.value.code == "store-in-use"
    resting.purge(house, "team-a")
    assert not root.exists()


def test_traces_and_captured_predictions_count_as_bytes(door: Door, site: Site) -> None:
    door.changed(lambda tx: workspace.set_quota(tx, site, "team-a", Quota(bytes_max=3000)))
    span = {
        "traceId": "ab" * 16,
        "spanId": "cd" * 8,
        "name": "ask",
        "startTimeUnixNano": "1",
        "endTimeUnixNano": "2",
        "attributes": [{"key": "text", "value": {"stringValue": "x" * 2000}}],
    }
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    said = {"x_mlflow_experiment_id": "0", "inside": "team-a"}

    first = door.ask("POST", "/v1/traces", body, **said)
    second = door.ask("POST", "/v1/traces", body, **said)
    site.clock.advance(2)
    third = door.ask("POST", "/v1/traces", body, **said)

    assert (first.status, second.status, third.status) == (200, 507, 507), third.body
    assert door.ask("GET", "/api/3.0/mlflow/traces/get?trace_id=tr-" + "ab" * 16, inside="team-a").status == 200
    (opened,) = door.asked.app.openings._open.values()
    assert counted(opened.site) > 2000
    captured(opened.site, 500)
    assert counted(opened.site) > 2500


def counted(site: Site) -> int:
    with site.db.read() as rows:
        return account.count(rows).bytes


def captured(site: Site, count: int) -> None:
    """Note a segment of captured predictions of so many bytes."""
    numbers = dict.fromkeys(("first_us", "last_us", "event_first_us", "event_last_us", "sealed_us", "rows"), 1)
    texts = {"digest": "sha256:" + "0" * 64, "endpoint": "e", "path": "p", "first_id": "a", "last_id": "b"}
    site.db.write(lambda tx: tx.run("endpoints.segment_insert", **texts, **numbers, bytes=count))
