"""The native routes by which an approver says yes or no to a release, as himself and never to his own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ropewalk.access.roles import APPROVE
from ropewalk.api.routes import Ask, Door, refused
from ropewalk.releases import approval, release
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
    return _say(
        ask, lambda tx, name: approval.approve(tx, ask.house.site, name, seen=ask.body.seen, note=ask.body.note)
    )


def reject(ask: Ask) -> Given:
    """Say no, with a reason."""
    return _say(ask, lambda tx, name: approval.reject(tx, ask.house.site, name, seen=ask.body.seen, note=ask.body.note))


def _say(ask: Ask, word: Callable[[Transaction, str], approval.Approval]) -> Given:
    """Give a word in the transaction that also looks whether the caller may, where this very release is to serve."""
    site, name = ask.house.site, f"{ask.path['name']}/{ask.path['number']}"

    def work(tx: Transaction) -> Given:
        found = release.get(tx, name)
        if not ask.caller.may(APPROVE, found.environment):
            raise refused(ask.caller, APPROVE, f"release {name} for {found.environment}", found.environment)
        said = word(tx, name)
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
