"""Schedules over HTTP, from a real server that runs what it is asked for: routes, webhooks, backfills and pages."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ropewalk.cli import main
from ropewalk.demo.server import Server
from ropewalk.house import open_house

pytestmark = pytest.mark.xdist_group("schedules")
PIPELINE = """
from pathlib import Path
from ropewalk import pipeline, step

@step
def one(gate: str, n: int) -> int:
    if gate:
        Path(gate).read_text()
    return n

@pipeline(schedule="0 0 1 * *", start="2013-01-01")
def monthly(interval_start: str = "", interval_end: str = "") -> int:
    return one("", len(interval_start))

@pipeline
def pushed(gate: str = "", payload: dict = {}) -> int:
    return one(gate, len(payload))
"""
SETTINGS = """
name = "lab"
[[schedules]]
name = "on-push"
pipeline = "pipeline.py:pushed"
webhook = true
[[schedules]]
name = "waits"
pipeline = "pipeline.py:pushed"
cron = "0 6 * * *"
overlap = "queue"
args = { gate = "gate" }
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("schedules") / "lab"
    root.mkdir()
    (root / "pipeline.py").write_text(PIPELINE)
    (root / "ropewalk.toml").write_text(SETTINGS.replace('"gate"', json.dumps(str(root / "gate"))))
    os.mkfifo(root / "gate")
    return root


@pytest.fixture(scope="module")
def secret(root: Path) -> str:
    from ropewalk.schedules import schedule as schedules
    from ropewalk.schedules.declared import renewed

    with open_house(root) as home:
        renewed(home.site, home.settings)
        return home.site.db.write(lambda tx: schedules.renew_secret(tx, home.site, "on-push"))


@pytest.fixture(scope="module")
def server(root: Path, secret: str) -> Iterator[Server]:
    with Server(root, 0) as running:
        yield running


@pytest.fixture
def web(server: Server) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, timeout=20) as client:
        yield client


def ended(web: httpx.Client, root: Path, name: str, fire: str) -> dict[str, Any]:
    """Wait until a start is over: whoever types `run --detach` beside the server is told by the same rows."""
    from threading import Event

    pause = Event()
    for _ in range(600):
        found = web.get(f"/api/v1/schedules/{name}/fires").json()["fires"]
        one = next(it for it in found if it["id"] == fire)
        if one["state"] not in ("waiting", "running"):
            return one
        pause.wait(0.1)
    raise AssertionError(f"{fire} did not end")


def test_schedules_are_listed_and_shown_with_their_next_times(web: httpx.Client) -> None:
    found = {one["name"]: one for one in web.get("/api/v1/schedules").json()}
    one = web.get("/api/v1/schedules/monthly").json()

    assert sorted(found) == ["monthly", "on-push", "waits"]
    assert (found["monthly"]["origin"], found["on-push"]["kind"]) == ("code", "webhook")
    assert len(one["next"]) == 5
    assert one["next"][0].endswith("-01T00:00:00Z")
    assert web.get("/api/v1/schedules/nobody").status_code == 404


def test_a_webhook_starts_once_for_each_key_and_its_run_is_like_any_other(
    web: httpx.Client, root: Path, secret: str
) -> None:
    head = {"Authorization": f"Bearer {secret}", "Idempotency-Key": "delivery-1"}
    first = web.post("/api/v1/triggers/on-push", json={"ref": "main", "n": 1}, headers=head)
    again = web.post("/api/v1/triggers/on-push", json={"ref": "main", "n": 1}, headers=head)

    assert first.status_code == 200, first.text
    assert first.json()["id"] == again.json()["id"]
    one = ended(web, root, "on-push", first.json()["id"])
    assert (one["state"], one["cause"], one["told"]) == ("done", "webhook", {"payload": {"ref": "main", "n": 1}})
    shown = web.get(f"/api/v1/runs/{one['run']}").json()
    assert shown["run"]["state"] == "finished"
    assert {"ropewalk.cause": "webhook", "ropewalk.schedule": "on-push"}.items() <= dict(shown["tags"]).items()
    kinds = [entry["kind"] for entry in web.get("/api/v1/ledger", params={"count": 1000}).json()]
    assert kinds.index("fire.waiting") < kinds.index("fire.started") < kinds.index("fire.done")


def test_a_signed_body_is_as_good_as_the_secret(web: httpx.Client, root: Path, secret: str) -> None:
    body = b'{"n": 2}'
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    head = {"Content-Type": "application/json", "X-GitHub-Delivery": "d-2"}

    good = web.post(
        "/api/v1/triggers/on-push", content=body, headers={**head, "X-Hub-Signature-256": f"sha256={signature}"}
    )
    bad = web.post(
        "/api/v1/triggers/on-push", content=body + b" ", headers={**head, "X-Hub-Signature-256": f"sha256={signature}"}
    )

    assert (good.status_code, bad.status_code, bad.json()["code"]) == (200, 404, "trigger-unknown")
    assert ended(web, root, "on-push", good.json()["id"])["state"] == "done"


def asked(web: httpx.Client) -> list[object]:
    """What the ledger tells of starts that were asked for: those that run meanwhile go on telling of theirs."""
    told = web.get("/api/v1/ledger", params={"count": 1000}).json()
    return [one for one in told if one["kind"] == "fire.waiting"]


@pytest.mark.parametrize("name", ["on-push", "monthly", "nobody"])
@pytest.mark.parametrize("head", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Bearer"}])
def test_without_the_secret_nothing_starts_and_nothing_is_told(
    web: httpx.Client, name: str, head: dict[str, str]
) -> None:
    before = asked(web)

    answer = web.post(f"/api/v1/triggers/{name}", json={}, headers=head)

    assert (answer.status_code, answer.json()["code"]) == (404, "trigger-unknown")
    assert asked(web) == before


@pytest.mark.parametrize(
    ("body", "head", "code"),
    [
        ([], {}, "request-malformed"),
        ({"x": "y" * 70_000}, {}, "trigger-too-large"),
        ({}, {"Idempotency-Key": "k" * 201}, "trigger-key-long"),
    ],
)
def test_what_a_webhook_cannot_take_is_refused_in_words(
    web: httpx.Client, secret: str, body: object, head: dict[str, str], code: str
) -> None:
    answer = web.post("/api/v1/triggers/on-push", json=body, headers={"Authorization": f"Bearer {secret}", **head})

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_a_paused_schedule_takes_no_webhook(web: httpx.Client, secret: str) -> None:
    assert web.post("/api/v1/schedules/on-push/pause").json()["state"] == "paused"
    refused = web.post("/api/v1/triggers/on-push", json={}, headers={"Authorization": f"Bearer {secret}"})
    assert web.post("/api/v1/schedules/on-push/resume").json()["state"] == "active"

    assert (refused.status_code, refused.json()["code"]) == (409, "schedule-paused")


ASKED = {"begin": "2013-01", "end": "2013-02", "parallel": 2}


@pytest.fixture
def filled(web: httpx.Client, root: Path) -> dict[str, Any]:
    """A backfill of two months that is done; asked for again it is the same one."""
    made = web.post("/api/v1/schedules/monthly/backfills", json=ASKED).json()
    for one in made["fires"]:
        ended(web, root, "monthly", one["id"])
    return made


def test_a_backfill_is_made_by_the_server_and_found_again(web: httpx.Client, filled: dict[str, Any]) -> None:
    made, asked = filled, ASKED
    dry = web.post("/api/v1/schedules/monthly/backfills", json={**asked, "dry_run": True}).json()
    same = web.post("/api/v1/schedules/monthly/backfills", json=asked).json()
    whole = web.get(f"/api/v1/backfills/{made['backfill']['id']}").json()

    assert dry["intervals"] == [
        {"interval_start": "2013-01-01T00:00:00Z", "interval_end": "2013-02-01T00:00:00Z"},
        {"interval_start": "2013-02-01T00:00:00Z", "interval_end": "2013-03-01T00:00:00Z"},
    ]
    assert same["backfill"]["id"] == made["backfill"]["id"]
    assert (whole["backfill"]["state"], whole["backfill"]["intervals"]) == ("done", {"done": 2})
    assert [one["args"] for one in whole["fires"]] == dry["intervals"]
    assert web.get("/api/v1/backfills", params={"schedule": "monthly"}).json() == [whole["backfill"]]


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("monthly", {"begin": "2013-13", "end": "2013-12"}),
        ("monthly", {"begin": "2013-05", "end": "2013-01"}),
        ("monthly", {"begin": "9999-01", "end": "9999-12"}),
        ("monthly", {"begin": "2013-01", "end": "2013-02", "parallel": 0}),
        ("on-push", {"begin": "2013-01", "end": "2013-02"}),
    ],
)
def test_a_backfill_that_makes_no_sense_is_refused(web: httpx.Client, name: str, asked: dict[str, object]) -> None:
    answer = web.post(f"/api/v1/schedules/{name}/backfills", json=asked)

    assert answer.status_code == 400, answer.text
    assert answer.json()["code"] in ("backfill-invalid", "request-malformed")


def test_the_pages_show_the_calendar_what_ran_and_the_backfill(web: httpx.Client, filled: dict[str, Any]) -> None:
    page = web.get("/schedules", params={"month": "2013-02"}, headers={"Accept": "text/html"}).text
    one = web.get("/schedules/monthly", headers={"Accept": "text/html"}).text
    now = web.get("/schedules", params={"month": "2040-01"}, headers={"Accept": "text/html"}).text
    wrong = web.get("/schedules", params={"month": "2013-99"}, headers={"Accept": "text/html"})

    assert "February 2013" in page
    assert '<span aria-hidden="true">✓</span> 1 done</span>' in page
    assert "2 of 2 intervals are done" in page
    assert "pipeline.py:monthly" in one
    assert "2013-02-01T00:00:00Z" in one
    assert '<span aria-hidden="true">○</span> 1 next</span>' in now
    assert wrong.status_code == 400


def test_a_server_that_is_killed_while_it_runs_something_is_followed_by_one_that_ends_it(
    server: Server, web: httpx.Client, root: Path
) -> None:
    asked = web.post("/api/v1/schedules/waits/run").json()
    held = (root / "gate").open("w")  # opens once the step reads
    assert server._process is not None
    server._process.kill()
    server._process.wait()
    with Server(root, 0) as second, httpx.Client(base_url=second.url, timeout=20) as web2:
        held.close()  # who read it is gone by now, with the server
        with (root / "gate").open("w") as gate:
            gate.write("go")
        one = ended(web2, root, "waits", asked["id"])
        runs = web2.get("/api/v1/runs", params={"filter": "pipeline = 'pipeline.py:pushed'"})
        runs = runs.json()["runs"]

    mine = [run for run in runs if json.loads(run["args"])["gate"]]
    assert one["state"] == "done"
    assert [(run["id"], run["state"]) for run in mine] == [(one["run"], "finished")]
    assert main(["--project", str(root), "verify"]) == 0
