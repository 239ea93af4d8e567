"""A canary's rollout: from a shadow over rising weights to live, or back, each decision stored with its evidence."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from ropewalk.errors import Conflict, Refused
from ropewalk.refs import canonical
from ropewalk.releases import approval, outcome, traffic, tree
from ropewalk.releases.champion import crown
from ropewalk.releases.design import check
from ropewalk.releases.release import CANARY, Release, get, move, owe_schema
from ropewalk.releases.release import FALLEN as RELEASE_FALLEN
from ropewalk.releases.traffic import WHOLE_BP, endpoint_name
from ropewalk.settings import Canary, Settings
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

WAITING, CLIMBING, LIVE, FALLEN = "waiting", "climbing", "live", "fallen"
# waiting: it shadows the champion and answers nobody. climbing: it answers a share.
MOVES: dict[str, frozenset[str]] = {
    WAITING: frozenset({CLIMBING, LIVE, FALLEN}),
    CLIMBING: frozenset({CLIMBING, LIVE, FALLEN}),
    LIVE: frozenset(),
    FALLEN: frozenset(),
}
PROMOTE, FALL_BACK, KEEP_WATCHING = "promote", "fall_back", "keep_watching"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """One candidate on its way up.

    Attributes:
        release: the candidate.
        endpoint: where.
        champion: the release it is judged against.
        state: a key of `MOVES`.
        step: position in `weights`, from 0.
        plan: JSON of `settings.Canary`, as it was when the rollout began.
        begun_us: microseconds since the epoch.
        step_us: when this step began.
        begun_generation: generation of the traffic with which it began.
        ended_us: when it ended, or None.
        decided: how many decisions were stored; who decides says how many he has seen.
        design: digest of what was to be expected of the plan when it began; empty where nobody computed it.
    """

    release: str
    endpoint: str
    champion: str
    state: str
    step: int
    plan: str
    begun_us: int
    step_us: int
    begun_generation: int
    ended_us: int | None
    decided: int
    design: str = ""

    @property
    def canary(self) -> Canary:
        """The plan as a record."""
        return msgspec.json.decode(self.plan, type=Canary)

    @property
    def weights(self) -> tuple[int, ...]:
        """Share at each step in basis points; a plan with a shadow begins at 0."""
        plan = self.canary
        return ((0,) if plan.shadow else ()) + tuple(round(weight * 100) for weight in plan.weights)

    @property
    def weight_bp(self) -> int:
        """Share at this step, in basis points."""
        return WHOLE_BP if self.state == LIVE else 0 if self.state == FALLEN else self.weights[self.step]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """One verdict as it was acted on.

    Attributes:
        release: the candidate.
        seq: position, from 1.
        at_us: microseconds since the epoch.
        step: the step it was made at.
        weight_bp: the share from then on, in basis points.
        decision: `promote`, `fall_back` or `keep_watching`.
        evidence: digest of canonical JSON with everything it was made on.
        reason: one line for people.
    """

    release: str
    seq: int
    at_us: int
    step: int
    weight_bp: int
    decision: str
    evidence: str
    reason: str


def find(reader: Reader, release: str) -> Rollout | None:
    """Return the rollout of a release, or None."""
    return reader.get(Rollout, "releases.rollout", release=release)


def active(reader: Reader) -> list[Rollout]:
    """Return every rollout that has not ended, oldest first: what `loops.climb` looks at."""
    return reader.all(Rollout, "releases.rollouts_active")


def of_endpoint(reader: Reader, endpoint: str, count: int = 20) -> list[Rollout]:
    """Return the rollouts of an endpoint, newest first."""
    return reader.all(Rollout, "releases.rollouts_of", endpoint=endpoint, count=count)


def decisions(reader: Reader, release: str) -> list[Decision]:
    """Return the decisions about a release, oldest first."""
    return reader.all(Decision, "releases.decisions", release=release)


def _free(tx: Transaction, endpoint: str) -> traffic.Traffic:
    """Return the traffic of an endpoint with a champion and no candidate beside it."""
    now = traffic.current(tx, endpoint)
    if now is None:
        raise Conflict("no-champion", "Nothing is live there to judge a canary against.", where=f"endpoint {endpoint}")
    if now.canary or now.shadow:
        raise Conflict(
            "rollout-busy",
            "Another candidate is on its way at this endpoint.",
            where=f"endpoint {endpoint}",
            why=f"{now.canary or now.shadow} is not decided yet",
            fix=f"wait for it, or type: ropewalk rollback {endpoint}",
        )
    return now


def begin(tx: Transaction, site: Site, settings: Settings, release: Release, *, design: str = "") -> Rollout:
    """Begin the rollout of a walking release beside its champion; its first share, or shadow, is on from here.

    Args:
        tx: the transaction.
        site: the project.
        settings: `ropewalk.toml`.
        release: the candidate.
        design: digest of the blob with what is to be expected of the plan.

    Raises:
        Refused: the plan has no gate, a stage has not passed, or approvals are missing.
        Conflict: nothing is live at the endpoint, or another candidate is on its way.
    """
    check(settings.canary)
    tree.admit(tx, site, release)
    approval.require(tx, site, release)
    endpoint = endpoint_name(release.name, release.environment)
    now = _free(tx, endpoint)
    plan = settings.canary
    rollout = Rollout(
        release=release.id,
        endpoint=endpoint,
        champion=now.champion,
        state=WAITING if plan.shadow else CLIMBING,
        step=0,
        plan=canonical(msgspec.to_builtins(plan)).decode(),
        begun_us=site.clock.now_us(),
        step_us=site.clock.now_us(),
        begun_generation=now.generation + 1,
        ended_us=None,
        decided=0,
        design=design,
    )
    later = ("step_us", "ended_us", "decided")
    values = {name: getattr(rollout, name) for name in Rollout.__slots__ if name not in later}
    tx.run("releases.rollout_insert", **values)
    if design:
        body = {"champion": now.champion, "endpoint": endpoint, "design": design}
        site.record(tx, "rollout.begun", f"release:{release.id}", body)
    move(tx, site, release, CANARY)
    _share(tx, site, rollout, "its rollout begins")
    return rollout


def rise(tx: Transaction, site: Site, rollout: Rollout, *, evidence: str, reason: str) -> Rollout:
    """Take the next step up; after the last weight the candidate is champion. Traffic, decision and state in one.

    Args:
        tx: the transaction.
        site: the project.
        rollout: as it was read when the decision was made.
        evidence: digest of the blob with everything that was looked at.
        reason: one line for people.

    Raises:
        Conflict: somebody decided since it was read.
        Refused: the evidence is not there: no data is never a pass.
    """
    _check_evidence(site, evidence)
    if rollout.step + 1 < len(rollout.weights):
        step = rollout.step + 1
        weight = rollout.weights[step]
        risen = _decide(
            tx,
            site,
            rollout,
            decision=PROMOTE,
            state=CLIMBING,
            step=step,
            weight_bp=weight,
            evidence=evidence,
            reason=reason,
        )
        _share(tx, site, risen, reason)
        return risen
    return _finish(tx, site, rollout, evidence=evidence, reason=reason)


def finish(tx: Transaction, site: Site, rollout: Rollout, *, evidence: str, reason: str) -> Rollout:
    """Make the candidate champion now, whatever step it is at: a person's decision, recorded as such."""
    _check_evidence(site, evidence)
    return _finish(tx, site, rollout, evidence=evidence, reason=reason)


def _finish(tx: Transaction, site: Site, rollout: Rollout, *, evidence: str, reason: str) -> Rollout:
    done = _decide(
        tx,
        site,
        rollout,
        decision=PROMOTE,
        state=LIVE,
        step=rollout.step,
        weight_bp=WHOLE_BP,
        evidence=evidence,
        reason=reason,
    )
    release = get(tx, rollout.release)
    _store(tx, site, release, rollout, state=outcome.PASSED, reason=reason, evidence=evidence)
    crown(tx, site, release, evidence=evidence, reason=reason)
    return done


def fall(tx: Transaction, site: Site, rollout: Rollout, *, evidence: str, reason: str) -> Rollout:
    """Give the share back to the champion and end the release as fallen; its SQL is marked to go back.

    Raises:
        Conflict: somebody decided since it was read.
        Refused: the evidence is not there.
    """
    _check_evidence(site, evidence)
    fallen = _decide(
        tx,
        site,
        rollout,
        decision=FALL_BACK,
        state=FALLEN,
        step=rollout.step,
        weight_bp=0,
        evidence=evidence,
        reason=reason,
    )
    release = get(tx, rollout.release)
    _store(tx, site, release, rollout, state=outcome.FAILED, reason=reason, evidence=evidence)
    move(tx, site, release, RELEASE_FALLEN, error=reason)
    owe_schema(tx, release)
    _share(tx, site, fallen, reason)
    return fallen


def keep(tx: Transaction, site: Site, rollout: Rollout, *, evidence: str, reason: str) -> Rollout:
    """Note that the evidence was looked at and says nothing yet; traffic stays.

    Raises:
        Conflict: somebody decided since it was read.
    """
    _check_evidence(site, evidence)
    return _decide(
        tx,
        site,
        rollout,
        decision=KEEP_WATCHING,
        state=rollout.state,
        step=rollout.step,
        weight_bp=rollout.weight_bp,
        evidence=evidence,
        reason=reason,
    )


def _check_evidence(site: Site, evidence: str) -> None:
    if not evidence or not site.blobs.has(evidence):
        raise Refused(
            "decision-without-evidence",
            "A decision about a canary needs its evidence.",
            why=f"there is no blob {evidence!r}",
            fix="ropewalk verify",
        )


def _decide(
    tx: Transaction,
    site: Site,
    rollout: Rollout,
    *,
    decision: str,
    state: str,
    step: int,
    weight_bp: int,
    evidence: str,
    reason: str,
) -> Rollout:
    """Write a decision if nobody has decided since the rollout was read."""
    now_us = site.clock.now_us()
    legal = state in MOVES[rollout.state] or (decision == KEEP_WATCHING and rollout.ended_us is None)
    changed = 0
    if legal:
        changed = tx.run(
            "releases.rollout_move",
            release=rollout.release,
            state=state,
            step=step,
            step_us=rollout.step_us if step == rollout.step else now_us,
            ended_us=now_us if not MOVES[state] else None,
            decided=rollout.decided + 1,
            seen=rollout.decided,
        )
    if changed != 1:
        raise Conflict(
            "rollout-moved",
            "This canary was decided on in the meantime.",
            where=f"release {rollout.release}",
            why=f"{rollout.decided} decisions were seen; it was {rollout.state}",
            fix="ropewalk status",
        )
    words: dict[str, int | str] = {"seq": rollout.decided + 1, "step": rollout.step, "weight_bp": weight_bp}
    words |= {"decision": decision, "evidence": evidence, "reason": reason}
    tx.run("releases.decision_insert", release=rollout.release, at_us=now_us, **words)
    site.record(tx, "rollout.decided", f"release:{rollout.release}", words)
    now = find(tx, rollout.release)
    assert now is not None, rollout.release
    return now


def _share(tx: Transaction, site: Site, rollout: Rollout, reason: str) -> None:
    """Write the traffic that the rollout's state asks for."""
    now = traffic.current(tx, rollout.endpoint)
    assert now is not None, rollout.endpoint
    on = rollout.state == CLIMBING
    traffic.change(
        tx,
        site,
        rollout.endpoint,
        seen=now.generation,
        champion=now.champion,
        canary=rollout.release if on else "",
        canary_weight_bp=rollout.weight_bp if on else 0,
        shadow=rollout.release if rollout.state == WAITING else "",
        previous=now.previous,
        salt=rollout.release if on else "",
        reason=reason,
    )


def _store(
    tx: Transaction, site: Site, release: Release, rollout: Rollout, *, state: str, reason: str, evidence: str
) -> None:
    outcome.store_outcome(
        tx,
        site,
        release,
        stage="canary",
        state=state,
        summary=reason,
        evidence=evidence,
        started_us=rollout.begun_us,
    )
