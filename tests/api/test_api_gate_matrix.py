"""Every route that the app has, for every verb and every kind of caller: no address was forgotten."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from starlette.routing import Mount, Route

from api.asked import Asked, bearer, person
from ropewalk.access import tokens, users
from ropewalk.access.roles import ACTIONS, ADMIN, KNOWN, ROLES, Grant
from ropewalk.api.app import HOST_DOORS as DOORS
from ropewalk.api.mlflow.server import NOT_OFFERED
from ropewalk.api.mlflow.table import ROUTES
from ropewalk.api.policy import is_public, is_served
from ropewalk.console.app import Console
from ropewalk.site import Site
from ropewalk.testing.fakes import SetClock

VERBS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
ENVIRONMENTS = ("dev", "staging", "production")
GATEWAY = (
    ("GET", "/v2", "read"),
    ("GET", "/metrics", "read"),
    ("GET", "/docs", "read"),
    ("GET", "/openapi.json", "read"),
    ("GET", "/v2/models/churn", "read"),
    ("POST", "/v2/models/churn/infer", "read"),
    ("POST", "/v2/models/churn/versions/1/infer", "read"),
    ("POST", "/endpoints/churn/predict", "read"),
)
# What is not offered answers 501 to whoever may read; one of the eight stands for all.
SPARED = tuple(f"/mlflow/{name}" for name in NOT_OFFERED[1:])


def filled(path: str) -> str:
    return re.sub(r"{[^}]+}", "x", path)


def table(asked: Asked) -> list[tuple[str, str, str]]:
    """Return method, path and action of everything that the app serves."""
    found = [
        (route.method, filled(path), str(route.action))
        for route in ROUTES
        for path in route.paths()
        if not route.path.startswith(SPARED)
    ]
    found += [(door.method, filled(door.path), door.action) for door in DOORS]
    for page in Console(asked.house).routes():
        if isinstance(page, Route):
            found += [
                (
                    method,
                    filled(page.path),
                    getattr(page.endpoint, "look", "read") if method in ("GET", "HEAD") else str(page.endpoint.action),
                )
                for method in page.methods or ()
            ]
    return [*found, *GATEWAY]


@pytest.fixture
def asked(site: Site) -> Iterator[Asked]:
    server = Asked(site, enabled=True)
    yield server
    server.close()


def test_every_route_says_what_it_wants_of_a_role(asked: Asked) -> None:
    assert {str(route.action) for route in ROUTES} <= {*ACTIONS, KNOWN}
    assert {door.action for door in DOORS} <= {*ACTIONS, KNOWN}
    for page in Console(asked.house).routes():
        assert isinstance(page, Route | Mount), "a page of a kind that the policy does not know"
        if isinstance(page, Route) and set(page.methods or ()) - {"GET", "HEAD"}:
            assert getattr(page.endpoint, "action", "") in ACTIONS, f"{page.path} changes something: say what it wants"


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
def test_no_address_lets_in_who_is_not_known(site: Site, asked: Asked, clock: SetClock) -> None:
    expired = person(site, "eve", Grant(role="admin"), days=1)
    clock.advance(86_400)
    revoked = person(site, "rob", Grant(role="admin"))
    site.db.write(lambda tx: users.disable(tx, site, "rob"))
    gone = person(site, "gus", Grant(role="admin"))
    with site.db.read() as rows:
        made = next(one.id for one in tokens.listed(rows) if one.user_name == "gus")
    site.db.write(lambda tx: tokens.revoke(tx, site, made))
    strangers = [{}, {"authorization": bearer("rw_" + "A" * 43)}]
    strangers += [{"authorization": bearer(secret)} for secret in (expired, revoked, gone)]
    paths = sorted({path for _, path, _ in table(asked)} | {"/", "/nothing", "/static/", "/static/x/y.css", "/logout"})

    wrong = [
        (verb, path, who, answer.status)
        for path in paths
        for verb in VERBS
        for who, headers in enumerate(strangers)
        for answer in [asked.ask(verb, path, **headers)]
        if not is_public(verb, path) and path != "/login" and answer.status != 401
    ]

    assert len(paths) > 30
    assert wrong == []


@pytest.mark.no_cover  # many repetitions of what other tests have counted already
def test_every_role_gets_what_the_table_of_roles_says_and_no_more(site: Site, asked: Asked) -> None:
    wrong = []
    for role in ROLES:
        for environment in ENVIRONMENTS:
            name = f"{role}-{environment}"
            token = person(site, name, Grant(role=role, environment=environment))
            for method, path, action in table(asked):
                where = "production" if is_served(path) else "dev"
                # An approver of another environment is told that there is no release x/x; test_api_approvals tries one.
                allowed = (action in ROLES[role] and (environment == where or action == "approve")) or action == KNOWN
                answer = asked.ask(method, path, authorization=bearer(token))
                if (answer.status not in (401, 403)) is not (allowed or is_public(method, path)):
                    wrong.append((name, method, path, action, answer.status, answer.body[:200]))
                if answer.status >= 500 and answer.status not in (501, 503):
                    wrong.append((name, method, path, action, answer.status, answer.body[:200]))

    assert wrong == []


def test_a_verb_that_no_route_has_is_served_to_nobody(site: Site, asked: Asked) -> None:
    token = person(site, "root", Grant(role=ADMIN))
    known = {(method, path) for method, path, _ in table(asked)}
    paths = sorted({path for _, path, _ in table(asked)})

    served = [
        (verb, path, answer.status)
        for path in paths
        for verb in (*VERBS, "TRACE", "PROPFIND")
        if (verb, path) not in known and not (verb == "HEAD" and ("GET", path) in known)
        for answer in [asked.ask(verb, path, authorization=bearer(token))]
        if answer.status < 400
    ]

    assert served == []
