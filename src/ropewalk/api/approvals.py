"""The native routes by which an approver says yes or no to a release, as himself and never to his own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ropewalk.access.roles import APPROVE, Caller
from ropewalk.api.routes import Ask, Door, refused
from ropewalk.releases import approval, release, sqlmigrate
from ropewalk.site import Site
from ropewalk.store.database import Transaction


class Word(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an approver says.

    Attributes:
        seen: digest of the evidence that he looked at; what is there now when left out.
        note: why; a rejection needs it.
    """

    seen: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A word that was given, and how many more the release waits for."""

    approval: approval.Approval
    missing: int


def approve(ask: Ask) -> Given:
    """Say yes, on the evidence that is there now."""
    return approved(ask.house.site, ask.caller, f"{ask.path['name']}/{ask.path['number']}", ask.body)


def approved(site: Site, caller: Caller, name: str, said: Word) -> Given:
    """Say yes to a release as the caller.

    Raises:
        NotFound: there is no such release.
        Refused: the caller may not approve where it is to serve, or shipped it himself.
        Conflict: nobody waits for it, the evidence has changed, or he has said so already.
    """
    return _say(site, caller, name, lambda tx: approval.approve(tx, site, name, seen=said.seen, note=said.note))


def reject(ask: Ask) -> Given:
    """Say no, with a reason."""
    return rejected(ask.house.site, ask.caller, f"{ask.path['name']}/{ask.path['number']}", ask.body)


def rejected(site: Site, caller: Caller, name: str, said: Word) -> Given:
    """Say no to a release as the caller; its SQL goes back afterwards.

    Raises:
        NotFound: there is no such release.
        Refused: the caller may not approve where it is to serve.
        Invalid: no reason was given.
        Conflict: nobody waits for it, or the evidence has changed.
    """
    given = _say(site, caller, name, lambda tx: approval.reject(tx, site, name, seen=said.seen, note=said.note))
    sqlmigrate.settle(site)
    return given


def _say(site: Site, caller: Caller, name: str, word: Callable[[Transaction], approval.Approval]) -> Given:
    """Give a word in the transaction that also looks whether the caller may, where this very release is to serve."""

    def work(tx: Transaction) -> Given:
        found = release.get(tx, name)
        if not caller.may(APPROVE, found.environment):
            raise refused(caller, APPROVE, f"release {name} for {found.environment}", found.environment)
        said = word(tx)
        return Given(approval=said, missing=approval.missing(tx, site, release.get(tx, name)))

    return site.db.write(work)


DOORS = (
    Door(
        method="POST",
        path="/api/v1/releases/{name}/{number}/approve",
        summary="Say yes to a release that waits, on the evidence that is there now",
        answer=approve,
        result=Given,
        action=APPROVE,
        query={},
        body=Word,
    ),
    Door(
        method="POST",
        path="/api/v1/releases/{name}/{number}/reject",
        summary="Say no to a release that waits, with a reason",
        answer=reject,
        result=Given,
        action=APPROVE,
        query={},
        body=Word,
    ),
)
