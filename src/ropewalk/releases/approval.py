"""Approvals: people say yes or no to a bundle on its evidence; other evidence makes an old yes void."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.errors import Conflict, Invalid, Refused
from ropewalk.refs import canonical, digest_of
from ropewalk.releases.bundle import read_bundle
from ropewalk.releases.outcome import STAGES, last_outcome
from ropewalk.releases.release import REJECTED, WAITING, Release, get, move, owe_schema
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

APPROVE, REJECT = "approve", "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """One person's word.

    Attributes:
        release: the release.
        environment: where it is to serve.
        bundle: digest of what was approved.
        evidence: digest of all that the stages had found when the word was given.
        actor: who.
        verdict: `approve` or `reject`.
        note: his reason.
        at_us: microseconds since the epoch.
    """

    release: str
    environment: str
    bundle: str
    evidence: str
    actor: str
    verdict: str
    note: str
    at_us: int


def evidence_of(reader: Reader, release: str) -> str:
    """Return one digest over what every stage before the canary found last; it changes when any of them does."""
    found: list[object] = []
    for stage in STAGES[: STAGES.index("canary")]:
        outcome = last_outcome(reader, release, stage)
        if outcome is not None:
            found.append([stage, outcome.attempt, outcome.state, outcome.evidence])
    return digest_of(canonical(found))


def approvals(reader: Reader, release: str) -> list[Approval]:
    """Return every word that was ever given, oldest first, void ones too."""
    return reader.all(Approval, "releases.approvals", release=release)


def valid(reader: Reader, release: Release) -> list[Approval]:
    """Return the approvals that count now: same bundle, same environment, same evidence, not the author's own."""
    evidence = evidence_of(reader, release.id)
    return [
        word
        for word in approvals(reader, release.id)
        if word.verdict == APPROVE
        and word.bundle == release.bundle
        and word.environment == release.environment
        and word.evidence == evidence
        and not same_person(word.actor, release.author)
    ]


def same_person(one: str, other: str) -> bool:
    """Say whether two actors are one person: case and space at the ends do not make another."""
    return one.strip().casefold() == other.strip().casefold()


def needed(site: Site, release: Release) -> int:
    """Return how many people must approve, as the bundle's own configuration of the environment says."""
    return read_bundle(site.blobs, release.bundle).environment(release.environment).approvals


def missing(tx: Reader, site: Site, release: Release) -> int:
    """Return how many approvals are still wanted."""
    return max(0, needed(site, release) - len({word.actor.strip().casefold() for word in valid(tx, release)}))


def require(tx: Reader, site: Site, release: Release) -> None:
    """Pass only when enough people approved what is there now.

    Raises:
        Refused: approvals are missing, or the ones there are void.
    """
    wanted = missing(tx, site, release)
    if wanted:
        void = len(approvals(tx, release.id)) - len(valid(tx, release))
        raise Refused(
            "approval-missing",
            f"{wanted} more {'person' if wanted == 1 else 'people'} must approve this release.",
            where=f"release {release.id} for {release.environment}",
            why="the author cannot approve it himself" + (f"; {void} approvals are void" if void else ""),
            fix=f"ropewalk approve {release.id}",
        )


def approve(tx: Transaction, site: Site, release: str, *, seen: str = "", note: str = "") -> Approval:
    """Say yes to a waiting release, as the site's actor.

    Args:
        tx: the transaction.
        site: the project.
        release: id of the release.
        seen: digest of the evidence that was looked at; empty takes what is there now.
        note: why.

    Raises:
        Refused: the author approves himself.
        Conflict: nobody waits for it, the evidence is another one than the one seen, or he has said so already.
    """
    return _say(tx, site, release, verdict=APPROVE, seen=seen, note=note)


def reject(tx: Transaction, site: Site, release: str, *, note: str, seen: str = "") -> Approval:
    """Say no to a waiting release, as the site's actor; the author may withdraw his own.

    Raises:
        Invalid: no reason was given.
        Conflict: nobody waits for it, or the evidence is another one than the one seen.
    """
    if not note.strip():
        raise Invalid(
            "reject-without-reason",
            "A rejection needs a reason.",
            where=f"release {release}",
            fix=f'ropewalk reject {release} --note "why"',
        )
    word = _say(tx, site, release, verdict=REJECT, seen=seen, note=note)
    rejected = get(tx, release)
    owe_schema(tx, rejected)
    move(tx, site, rejected, REJECTED, error=f"{site.actor}: {note}")
    return word


def _say(tx: Transaction, site: Site, release: str, *, verdict: str, seen: str, note: str) -> Approval:
    found = get(tx, release)
    if verdict == APPROVE and same_person(site.actor, found.author):
        raise Refused(
            "approval-own",
            "Nobody approves his own release.",
            where=f"release {release}",
            why=f"{found.author} shipped it",
            fix="ask somebody else to type `ropewalk approve` there",
        )
    evidence = _seen(tx, site, found, seen)
    word = Approval(
        release=release,
        environment=found.environment,
        bundle=found.bundle,
        evidence=evidence,
        actor=site.actor,
        verdict=verdict,
        note=note,
        at_us=site.clock.now_us(),
    )
    values = {name: getattr(word, name) for name in Approval.__slots__}
    tx.run("releases.approval_insert", **values)
    body = {
        "verdict": verdict,
        "bundle": word.bundle,
        "evidence": evidence,
        "environment": word.environment,
        "note": note,
    }
    site.record(tx, f"release.{verdict}", found.subject, body)
    site.announce(tx, f"release.{verdict}", found.subject, {"actor": site.actor})
    return word


def _seen(reader: Reader, site: Site, found: Release, seen: str) -> str:
    """Return the digest of the evidence that this person may give a word on now."""
    if found.state != WAITING:
        raise Conflict(
            "approval-not-awaited",
            "This release does not wait for approval.",
            where=f"release {found.id}",
            why=f"it is {found.state}",
            fix="ropewalk status",
        )
    evidence = evidence_of(reader, found.id)
    if seen and seen != evidence:
        raise Conflict(
            "evidence-moved",
            "The evidence has changed since it was looked at.",
            where=f"release {found.id}",
            why=f"{seen} was looked at, {evidence} is there now",
            fix="ropewalk status",
        )
    if any(word.evidence == evidence and same_person(word.actor, site.actor) for word in approvals(reader, found.id)):
        raise Conflict(
            "approval-given",
            "You have given your word on this evidence already.",
            where=f"release {found.id}",
            fix="ropewalk status",
        )
    return evidence
