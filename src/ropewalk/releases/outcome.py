"""What each of the nine stages found, stored exactly once with its ledger entry."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.errors import Conflict
from ropewalk.releases.release import CANARY, WAITING, Release, get
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

STAGES = ("commit", "build", "test", "scan", "staging", "migrate", "qa", "canary", "live")
PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageOutcome:
    """What a stage found, stored once per attempt.

    Attributes:
        release: the release.
        stage: one of `STAGES`.
        attempt: from 1; only a failed attempt, or one whose evidence has aged, is followed by another.
        state: `passed`, `failed` or `skipped` (or `waiting` in `outcomes`, which is never stored).
        summary: one line for people.
        evidence: digest of the canonical JSON that names everything it looked at.
        started_us: microseconds since the epoch.
        ended_us: microseconds since the epoch.
    """

    release: str
    stage: str
    attempt: int
    state: str
    summary: str
    evidence: str
    started_us: int
    ended_us: int

    @property
    def holds(self) -> bool:
        """Whether the walk may go on past it."""
        return self.state in (PASSED, SKIPPED)


def stages(reader: Reader, release: str) -> list[StageOutcome]:
    """Return every stored outcome of a release, oldest first, failed attempts too."""
    found = reader.all(StageOutcome, "releases.stages", release=release)
    return sorted(found, key=lambda one: (one.ended_us, STAGES.index(one.stage), one.attempt))


def last_outcome(reader: Reader, release: str, stage: str) -> StageOutcome | None:
    """Return the newest outcome of a stage, or None."""
    return reader.get(StageOutcome, "releases.stage_last", release=release, stage=stage)


def outcomes(reader: Reader, release: str) -> tuple[StageOutcome, ...]:
    """Return the newest outcome of each stage that was reached, in the order of `STAGES`, for people to look at.

    A release that waits for approval or climbs gets one more outcome `waiting` for the canary stage.
    """
    found = get(reader, release)
    newest = {outcome.stage: outcome for outcome in stages(reader, release)}
    if found.state in (WAITING, CANARY):
        said = "waits for approval" if found.state == WAITING else "answers a share of the traffic"
        newest["canary"] = StageOutcome(
            release=release,
            stage="canary",
            attempt=1,
            state="waiting",
            summary=said,
            evidence="",
            started_us=0,
            ended_us=0,
        )
    return tuple(newest[stage] for stage in STAGES if stage in newest)


def store_outcome(
    tx: Transaction,
    site: Site,
    release: Release,
    *,
    stage: str,
    state: str,
    summary: str,
    evidence: str,
    started_us: int,
    again: bool = False,
) -> StageOutcome:
    """Store what a stage found, exactly once, with its ledger entry.

    Args:
        tx: the transaction; the caller has checked that it holds the release.
        site: the project.
        release: the release.
        stage: one of `STAGES`.
        state: `passed`, `failed` or `skipped`.
        summary: one line for people.
        evidence: digest of what it looked at.
        started_us: when it began, microseconds since the epoch.
        again: a passed stage was looked at once more, because what it had looked at has changed.

    Raises:
        Conflict: the stage has passed already.
    """
    assert stage in STAGES, stage
    before = last_outcome(tx, release.id, stage)
    if before is not None and before.holds and not again:
        raise Conflict(
            "stage-stored",
            f"The stage {stage} of this release is done already.",
            where=f"release {release.id}",
            why=f"its evidence is {before.evidence}",
        )
    outcome = StageOutcome(
        release=release.id,
        stage=stage,
        attempt=1 if before is None else before.attempt + 1,
        state=state,
        summary=summary,
        evidence=evidence,
        started_us=started_us,
        ended_us=site.clock.now_us(),
    )
    _write(tx, site, release, outcome)
    return outcome


def _write(tx: Transaction, site: Site, release: Release, outcome: StageOutcome) -> None:
    """Write row, ledger entry and event."""
    values = {name: getattr(outcome, name) for name in StageOutcome.__slots__}
    tx.run("releases.stage_insert", **values)
    told = ("stage", "state", "attempt", "summary", "evidence")
    body = {name: values[name] for name in told} | {"bundle": release.bundle}
    site.record(tx, "stage.stored", release.subject, body)
    site.announce(tx, "stage.stored", release.subject, body)
