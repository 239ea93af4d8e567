"""The native routes by which an operator moves live traffic: a canary gets all of it, or a delivery is undone."""

from __future__ import annotations

import msgspec

from ropewalk.access.roles import OPERATE, Caller
from ropewalk.api.routes import Ask, Door, refused
from ropewalk.errors import NotFound
from ropewalk.releases import promote as moving
from ropewalk.releases import release, sqlmigrate, traffic
from ropewalk.releases.traffic import Traffic
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why it is done.

    Attributes:
        reason: for those who read it later.
        generation: of the endpoint's traffic that was looked at; what is there now when left out.
    """

    reason: str = ""
    generation: int | None = None


def promote(ask: Ask) -> Traffic:
    """Give a canary all traffic at once, without waiting for the verdict."""
    name = f"{ask.path['name']}/{ask.path['number']}"
    return promoted(ask.house.site, ask.caller, name, ask.body)


def promoted(site: Site, caller: Caller, name: str, said: Reason) -> Traffic:
    """Give a canary all traffic, for whom may operate where it is to serve.

    Raises:
        NotFound: there is no such release.
        Refused: the caller may not, or approvals are missing.
        Conflict: it is no canary, or the traffic has changed since it was looked at.
    """

    def work(tx: Transaction) -> Traffic:
        found = release.get(tx, name)
        _require(caller, found.environment, f"release {name} for {found.environment}")
        endpoint = traffic.endpoint_name(found.name, found.environment)
        traffic.require_seen(tx, endpoint, said.generation)
        return moving.promote(tx, site, name, reason=said.reason or "promoted by hand")

    return site.db.write(work)


def rollback(ask: Ask) -> Traffic:
    """Undo the newest delivery of an endpoint: its canary falls, or its champion yields to the one before."""
    return rolled_back(ask.house.site, ask.caller, ask.path["name"], ask.body)


def rolled_back(site: Site, caller: Caller, endpoint: str, said: Reason) -> Traffic:
    """Undo the newest delivery of an endpoint, for whom may operate there; its SQL goes back afterwards.

    Raises:
        NotFound: nothing was ever live there.
        Refused: the caller may not.
        Conflict: there is nothing to go back to, or the traffic has changed since it was looked at.
    """

    def work(tx: Transaction) -> Traffic:
        _require(caller, environment_of(tx, endpoint), f"endpoint {endpoint}")
        traffic.require_seen(tx, endpoint, said.generation)
        return moving.rollback(tx, site, endpoint, reason=said.reason or "rolled back by hand")

    now = site.db.write(work, urgent=True)
    sqlmigrate.settle(site)
    return now


def environment_of(rows: Reader, endpoint: str) -> str:
    """Return the environment that an endpoint serves.

    Raises:
        NotFound: nothing was ever live there.
    """
    now = traffic.current(rows, endpoint)
    if now is None:
        raise NotFound("endpoint-not-found", "There is no such endpoint.", where=endpoint[:80], fix="ropewalk status")
    return release.get(rows, now.champion).environment


def _require(caller: Caller, environment: str, where: str) -> None:
    if not caller.may(OPERATE, environment):
        raise refused(caller, OPERATE, where, environment)


DOORS = (
    Door(
        method="POST",
        path="/api/v1/releases/{name}/{number}/promote",
        summary="Give a canary all traffic at once, without waiting for the verdict",
        answer=promote,
        result=Traffic,
        action=OPERATE,
        query={},
        body=Reason,
    ),
    Door(
        method="POST",
        path="/api/v1/endpoints/{name}/rollback",
        summary="Undo the newest delivery: a canary falls, or the champion yields to the one before",
        answer=rollback,
        result=Traffic,
        action=OPERATE,
        query={},
        body=Reason,
    ),
)
