"""Approvals over HTTP: under the caller's own name, in the release's environment, and never to his own release."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.asked import Answer, Asked, bearer, person
from releases.small_line import Small, make_project, make_version, settings_of
from ropewalk.access.roles import Grant
from ropewalk.releases import approval
from ropewalk.releases.line import ship
from ropewalk.site import Site

TWO = {"environments": {"production": {"approvals": 2}}}
APPROVE = "/api/v1/releases/flights/1/approve"


@pytest.fixture
def waiting(site: Site) -> Site:
    """A release of ann@example.org's that waits for two people."""
    make_project(site.root)
    make_version(site)
    assert ship(site, settings_of(**TWO), doors=Small(site=site).doors()).state == "waiting"
    return site


@pytest.fixture
def asked(waiting: Site) -> Iterator[Asked]:
    server = Asked(waiting, enabled=True)
    yield server
    server.close()


def say(asked: Asked, name: str, *roles: Grant, path: str = APPROVE, **body: str) -> Answer:
    return asked.ask("POST", path, body, authorization=bearer(person(asked.house.site, name, *roles)))


def test_an_approver_approves_under_his_own_name(waiting: Site, asked: Asked) -> None:
    answer = say(asked, "bob", Grant(role="approver", environment="production"), note="read it")

    with waiting.db.read() as rows:
        words = approval.approvals(rows, "flights/1")
        entry = rows.rows("ledger.of_kind", kind="release.approve")[0]
    assert (answer.status, answer.json()["missing"]) == (200, 1)
    assert [(word.actor, word.note) for word in words] == [("bob", "read it")]
    assert entry["actor"] == "bob"


@pytest.mark.parametrize("role", ["viewer", "developer", "operator"])
def test_nobody_without_the_role_approves(waiting: Site, asked: Asked, role: str) -> None:
    answer = say(asked, "bob", Grant(role=role))

    with waiting.db.read() as rows:
        assert approval.approvals(rows, "flights/1") == []
    assert (answer.status, answer.json()["code"]) == (403, "role-insufficient")


def test_an_approver_of_another_environment_does_not_count_here(waiting: Site, asked: Asked) -> None:
    answer = say(asked, "bob", Grant(role="approver", environment="staging"))

    assert (answer.status, answer.json()["code"]) == (403, "role-insufficient")
    assert "production" in answer.json()["why"]


def test_not_even_an_administrator_approves_what_he_shipped(waiting: Site, asked: Asked) -> None:
    answer = say(asked, "Ann@Example.org", Grant(role="admin"))

    with waiting.db.read() as rows:
        assert approval.approvals(rows, "flights/1") == []
    assert (answer.status, answer.json()["code"]) == (403, "approval-own")


def test_a_body_cannot_say_who_approves(waiting: Site, asked: Asked) -> None:
    answer = say(asked, "bob", Grant(role="approver"), actor="cid")

    assert (answer.status, answer.json()["code"]) == (400, "request-malformed")


def test_a_rejection_needs_a_reason_and_ends_the_release(waiting: Site, asked: Asked) -> None:
    path = APPROVE.replace("approve", "reject")
    bare = say(asked, "bob", Grant(role="approver"), path=path)
    told = say(asked, "cid", Grant(role="approver"), path=path, note="leaks the label")
    after = say(asked, "dan", Grant(role="approver"))

    assert (bare.status, bare.json()["code"]) == (400, "reject-without-reason")
    assert told.status == 200
    assert (after.status, after.json()["code"]) == (409, "approval-not-awaited")
