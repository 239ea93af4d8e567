"""Live traffic moved by an operator, over HTTP and in the console: under his own name, where he may, on what he saw."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from api.asked import Answer, Asked, bearer, person
from console.pressing import Pressed, fields_of, said
from releases.small_line import Small, make_project, make_version, settings_of
from ropewalk.access.roles import Grant
from ropewalk.releases import approval, release, traffic
from ropewalk.releases.line import ship
from ropewalk.site import Site

CANARY = {"environments": {"production": {"canary": {"steps": [0.5], "min_samples": 100}}}}
PROMOTE = "/api/v1/releases/flights/2/promote"
FORMS = ("/releases/flights/2/do/promote", "/endpoints/flights/do/rollback")
ROLLBACK = "/api/v1/endpoints/flights/rollback"


def delivered(site: Site, **parts: object) -> str:
    return ship(site, settings_of(**parts), doors=Small(site=site).doors(), wait=False).state


@pytest.fixture
def climbing(site: Site) -> Site:
    """A release that is live, and a canary beside it."""
    make_project(site.root)
    make_version(site)
    assert delivered(site) == "live"
    make_version(site, slope=2.5)
    assert delivered(site) == "canary"
    return site


@pytest.fixture
def asked(site: Site) -> Iterator[Asked]:
    server = Asked(site, enabled=True)
    yield server
    server.close()


def say(asked: Asked, name: str, path: str, *roles: Grant, **body: object) -> Answer:
    return asked.ask("POST", path, body, authorization=bearer(person(asked.house.site, name, *roles)))


def now(site: Site) -> traffic.Traffic:
    with site.db.read() as rows:
        found = traffic.current(rows, "flights")
    assert found is not None
    return found


def test_an_operator_promotes_a_canary_and_rolls_back_under_his_own_name(climbing: Site, asked: Asked) -> None:
    operator = Grant(role="operator", environment="production")
    seen = now(climbing).generation
    stale = say(asked, "zoe", PROMOTE, operator, generation=seen - 1)
    promoted = say(asked, "ann", PROMOTE, operator, reason="incident 114", generation=seen)
    again = say(asked, "bea", PROMOTE, operator)
    back = say(asked, "cid", ROLLBACK, operator)

    assert (stale.status, stale.json()["code"]) == (409, "traffic-moved")
    assert promoted.status == 200
    assert promoted.json()["champion"] == "flights/2"
    assert (promoted.json()["actor"], promoted.json()["reason"]) == ("ann", "incident 114")
    assert (again.status, again.json()["code"]) == (409, "not-a-canary")
    assert (back.status, back.json()["champion"], now(climbing).actor) == (200, "flights/1", "cid")


def test_nobody_else_moves_live_traffic(climbing: Site, asked: Asked) -> None:
    before = now(climbing)
    for role, where in (("developer", "*"), ("approver", "*"), ("operator", "staging")):
        token = person(climbing, f"eve-{role}", Grant(role=role, environment=where))
        answers = [asked.ask("POST", path, {}, authorization=bearer(token)) for path in (PROMOTE, ROLLBACK)]
        eve = Pressed(asked=asked, token=token)
        forms = [
            eve.press(path, sure="1") for path in ("/releases/flights/2/do/promote", "/endpoints/flights/do/rollback")
        ]
        page = eve.look("/releases/flights/2")

        assert [answer.status for answer in (*answers, *forms)] == [403] * 4
        assert page.status == (403 if where == "staging" else 200)
        assert b"/do/promote" not in page.body
    assert now(climbing) == before


def test_an_operator_promotes_and_rolls_back_in_the_console(climbing: Site, asked: Asked) -> None:
    ann = Pressed(asked=asked, token=person(climbing, "ann", Grant(role="operator")))
    assert "/releases/flights/2/do/promote" in ann.look("/releases/flights/2").body.decode()
    sheet = fields_of(ann.look("/releases/flights/2/do/promote").body.decode())
    told = ann.done("/releases/flights/2/do/promote", **sheet, note="incident")
    stale = ann.press("/endpoints/flights/do/rollback", **sheet)
    page = ann.look("/endpoints/flights").body.decode()
    sheet = fields_of(ann.look("/endpoints/flights/do/rollback").body.decode())
    back = ann.done("/endpoints/flights/do/rollback", **sheet)

    assert told == "flights/2 answers everybody at flights."
    assert stale.status == 409
    assert "/endpoints/flights/do/rollback" in page
    assert back == "flights/1 answers everybody again."
    assert now(climbing).actor == "ann"


def test_two_people_approve_in_the_console_and_never_the_one_who_shipped_it(site: Site, asked: Asked) -> None:
    make_project(site.root)
    make_version(site)
    assert delivered(site, environments={"production": {"approvals": 2}}) == "waiting"
    path = "/releases/flights/1/do/approve"
    author = Pressed(asked=asked, token=person(site, "ann@example.org", Grant(role="admin")))
    bob = Pressed(asked=asked, token=person(site, "bob", Grant(role="approver")))
    cid = Pressed(asked=asked, token=person(site, "cid", Grant(role="approver", environment="production")))
    own = author.press(path, sure="1")
    sheet = fields_of(bob.look(path).body.decode())
    moved = cid.press(path, sure="1", seen="sha256:" + "0" * 64)

    assert own.status == 403
    assert "Nobody approves his own release" in own.body.decode()
    assert path not in author.look("/releases/flights/1").body.decode()
    assert moved.status == 409
    assert bob.done(path, **sheet, note="read it") == "You approved flights/1. 1 more must approve."
    assert bob.press(path, sure="1").status == 409
    assert cid.done(path, sure="1") == "You approved flights/1. Nobody else has to."
    with site.db.read() as rows:
        assert [word.actor for word in approval.approvals(rows, "flights/1")] == ["bob", "cid"]


def test_a_rejection_in_the_console_needs_a_reason(site: Site, asked: Asked) -> None:
    make_project(site.root)
    make_version(site)
    assert delivered(site, environments={"production": {"approvals": 1}}) == "waiting"
    bob = Pressed(asked=asked, token=person(site, "bob", Grant(role="approver")))
    bare = bob.press("/releases/flights/1/do/reject", sure="1", note=" ")
    page = bob.follow(bob.press("/releases/flights/1/do/reject", sure="1", note="leaks the label"))

    assert bare.status == 400
    assert re.search(r"A rejection needs a reason", bare.body.decode())
    assert said(page) == "You rejected flights/1."
    with site.db.read() as rows:
        assert release.get(rows, "flights/1").state == "rejected"
