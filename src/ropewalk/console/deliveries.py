"""What the console shows of releases: the line of each delivery, its stages and their evidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ropewalk.access.roles import APPROVE, OPERATE, Caller, everything
from ropewalk.console.words import at, share, span
from ropewalk.errors import RopewalkError
from ropewalk.house import House
from ropewalk.releases import approval, outcome, release, rollout
from ropewalk.releases.bundle import read_bundle
from ropewalk.releases.traffic import endpoint_name
from ropewalk.store.database import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One knot of the line, ready to be shown."""

    name: str
    state: str
    summary: str
    evidence: str
    took: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A release, ready to be shown."""

    release: str
    state: str
    model: str
    commit: str
    bundle: str
    author: str
    created: str
    told: str
    stages: tuple[Stage, ...]


def delivery(house: House, rows: Reader, found: release.Release) -> Delivery:
    """Return one release with its nine stages."""
    reached = {item.stage: item for item in outcome.outcomes(rows, found.id)}
    stages: list[Stage] = []
    for name in outcome.STAGES:
        item = reached.get(name)
        if item is not None:
            took = span(item.started_us, item.ended_us)
            stages.append(Stage(name=name, state=item.state, summary=item.summary, evidence=item.evidence, took=took))
            continue
        state = "ahead"
        if found.state == release.WALKING and (not stages or stages[-1].state in (outcome.PASSED, outcome.SKIPPED)):
            state = "running"
        stages.append(Stage(name=name, state=state, summary="", evidence="", took=""))
    return Delivery(
        release=found.id,
        state=found.state,
        model=f"{found.model}/{found.version}",
        commit=_commit(house, found.bundle),
        bundle=found.bundle,
        author=found.author,
        created=at(found.created_us),
        told=found.error,
        stages=tuple(stages),
    )


def _commit(house: House, bundle: str) -> str:
    if not bundle:
        return ""
    try:
        return read_bundle(house.site.blobs, bundle).commit
    except RopewalkError:
        return "damaged"


def deliveries(house: House, rows: Reader, count: int) -> list[Delivery]:
    """Return the newest releases, newest first."""
    return [delivery(house, rows, found) for found in release.listed(rows, count=count)]


def decisions(rows: Reader, release_id: str) -> list[dict[str, str]]:
    """Return what was decided about a canary, newest first; looks that changed nothing are left out but the last."""
    every = rollout.decisions(rows, release_id)
    told = [look for look in every if look.decision != rollout.KEEP_WATCHING or look is every[-1]]
    return [
        {"at": at(look.at_us), "weight": share(look.weight_bp), "decision": look.decision, "reason": look.reason}
        for look in reversed(told)
    ]


def approvals(rows: Reader, found: release.Release) -> list[dict[str, str]]:
    """Return every word given about a release; void ones say so."""
    holding = {(word.actor, word.at_us) for word in approval.valid(rows, found)}
    return [
        {
            "who": word.actor,
            "verdict": word.verdict,
            "at": at(word.at_us),
            "told": word.note
            if word.verdict == approval.REJECT or (word.actor, word.at_us) in holding
            else f"void: the evidence has changed since. {word.note}",
        }
        for word in approval.approvals(rows, found.id)
    ]


def offers(house: House, rows: Reader, found: release.Release, caller: Caller | None) -> dict[str, Any]:
    """Return what a caller may do with a release now, and whom it waits for."""
    caller = caller or everything(house.site.actor)
    offered: list[tuple[str, str]] = []
    waits = ""
    if found.state == release.WAITING and found.bundle:
        own = approval.same_person(caller.name, found.author)
        if caller.may(APPROVE, found.environment):
            offered = [*([] if own else [("approve", "Approve")]), ("reject", "Reject")]
        missing = approval.missing(rows, house.site, found)
        waits = f"{missing} more must approve" if missing else "Enough people approved: it goes on with the next ship"
        waits += "; nobody approves what he shipped himself." if own and missing else "."
    if found.state == release.CANARY and caller.may(OPERATE, found.environment):
        offered.append(("promote", "Promote now"))
    endpoint = endpoint_name(found.name, found.environment)
    return {"offered": offered, "waits": waits, "endpoint": endpoint}
