"""The line: one release walks the nine stages, and the same command goes on where a killed one stopped."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ropewalk import leases
from ropewalk.errors import Conflict, Interrupted, NotFound, Refused, RopewalkError
from ropewalk.models import versions
from ropewalk.models.versions import ModelVersion
from ropewalk.refs import canonical
from ropewalk.releases import approval, build, checks, outcome, qa, release, rollout, scan, sqlmigrate, traffic
from ropewalk.releases.champion import crown
from ropewalk.releases.design import check, design, lines
from ropewalk.releases.outcome import STAGES, StageOutcome
from ropewalk.releases.release import Release
from ropewalk.releases.walk import Doors, Found, Progress, Walk, failed
from ropewalk.settings import Settings
from ropewalk.site import Site
from ropewalk.store.database import Transaction

LEASE_SECONDS = 900.0
LOOK_SECONDS = 0.2
Say = Callable[[Progress], None]
Stage = Callable[[Walk], Found]
BEFORE_CANARY: tuple[tuple[str, Stage], ...] = (
    ("commit", build.commit_stage),
    ("build", build.build_stage),
    ("test", checks.run),
    ("scan", scan.run),
    ("staging", qa.staging_stage),
    ("migrate", sqlmigrate.run),
    ("qa", qa.qa_stage),
)
# What a release in such a state says to the command that would ship it again.
OVER = {
    release.FALLEN: "it fell back as a canary",
    release.ROLLED_BACK: "it was rolled back",
    release.REJECTED: "it was rejected",
}


def _silent(_: Progress) -> None:
    """Say nothing."""


def ship(
    site: Site,
    settings: Settings,
    *,
    version: ModelVersion | None = None,
    environment: str = traffic.FIRST_ENVIRONMENT,
    doors: Doors,
    on_progress: Say = _silent,
    wait: bool = True,
) -> Release:
    """Walk a model version through the nine stages; a killed or failed walk goes on at its first open stage.

    Args:
        site: the project.
        settings: `ropewalk.toml`.
        version: what to ship; None for the newest version of the project's model.
        environment: where it is to serve.
        doors: what the rooms above can do.
        on_progress: takes a line of progress.
        wait: stay until the canary is decided (by `ropewalk up`); without it the release is returned in state `canary`.

    Returns:
        The release: `live`, `waiting` for approval, or `canary`. The same command on a release that is live, or on its
        way as a canary, changes nothing.

    Raises:
        Refused: a stage failed (code `stage-failed`); the error says what to do next.
        Conflict: another process walks it, it has fallen, was rolled back or rejected before, or an MLflow client has
            registered the version, so that no manifest names its bytes.
    """
    with site.db.read() as reader:
        wanted = version or versions.latest(reader, settings.model_name)
        if wanted is not None:
            versions.require_bytes(reader, wanted)
    if wanted is None:
        raise NotFound(
            "nothing-to-ship",
            "There is no model to ship yet.",
            where=f"model {settings.model_name}",
            why="no run has logged a model of this name",
            fix="ropewalk run",
        )
    intent = build.intent_of(settings, wanted, environment)
    site.db.write(lambda tx: release.interrupt_dead(tx, site))
    sqlmigrate.settle(site)
    taken, mine = site.db.write(lambda tx: _take(tx, site, wanted, environment, intent))
    return _go(site, settings, taken, mine=mine, doors=doors, say=on_progress, wait=wait)


def resume(
    site: Site, settings: Settings, name: str, *, doors: Doors, on_progress: Say = _silent, wait: bool = True
) -> Release:
    """Go on with a release by its id, as after an approval; arguments and errors are those of `ship`."""
    site.db.write(lambda tx: release.interrupt_dead(tx, site))
    taken, mine = site.db.write(lambda tx: _hold(tx, site, release.get(tx, name)))
    return _go(site, settings, taken, mine=mine, doors=doors, say=on_progress, wait=wait)


def _take(tx: Transaction, site: Site, version: ModelVersion, environment: str, intent: str) -> tuple[Release, bool]:
    """Return the release that the command means and whether this process walks it now."""
    found = release.of_intent(tx, version.name, environment, intent)
    if found is not None and found.state != release.RETIRED:
        return _hold(tx, site, found)
    versions.get(tx, version.name, version.version)  # it may have been deleted meanwhile
    begun = release.begin(
        tx,
        site,
        name=version.name,
        environment=environment,
        version=version.version,
        manifest=version.manifest,
        intent=intent,
        lease=leases.take(site.clock.now_us(), 1, LEASE_SECONDS),
    )
    return begun, True


def _hold(tx: Transaction, site: Site, found: Release) -> tuple[Release, bool]:
    """Take a release over, if there is anything left to walk.

    Raises:
        Conflict: another process walks it, or it is over.
    """
    if found.state in OVER:
        raise Conflict(
            "release-over",
            f"{found.id} is this very release, and it is over.",
            where=f"release {found.id}",
            why=f"{OVER[found.state]}: {found.error}",
            fix="ropewalk run, with another code or other data, then: ropewalk ship",
        )
    if found.state == release.WALKING:
        raise Conflict(
            "release-held",
            "Another process walks this release.",
            where=f"release {found.id}",
            why=f"process {found.lease.pid} on {found.lease.host} lives",
            fix="ropewalk status",
        )
    if found.state not in (release.INTERRUPTED, release.FAILED, release.WAITING):
        return found, False
    lease = leases.take(site.clock.now_us(), found.lease.fence + 1, LEASE_SECONDS)
    return release.move(tx, site, release.hold(tx, found, lease), release.WALKING), True


def _go(site: Site, settings: Settings, taken: Release, *, mine: bool, doors: Doors, say: Say, wait: bool) -> Release:
    walk = Walk(site=site, settings=settings, release=taken, doors=doors, say=say)
    if mine:
        try:
            _stages(walk)
        except BaseException:
            _let_go(walk)
            raise
        finally:
            walk.close()
    else:
        say(Progress(release=taken.id, stage="live", state="doing", text=f"{taken.id} is {taken.state} already"))
    with site.db.read() as reader:
        now = release.get(reader, taken.id)
    return _watch(walk, now) if wait and now.state == release.CANARY else now


def _stages(walk: Walk) -> None:
    for name, stage in BEFORE_CANARY:
        with walk.site.db.read() as reader:
            before = outcome.last_outcome(reader, walk.release.id, name)
        again = before is not None and before.holds
        if before is not None and again and not _is_stale(walk, name, before):
            continue
        _one(walk, name, stage, again=again)
    if sqlmigrate.is_stale(walk):  # a canary that fell during qa took a step along that this one stands on
        _one(walk, sqlmigrate.STAGE, sqlmigrate.run, again=True)
    _canary(walk)


def _is_stale(walk: Walk, name: str, before: StageOutcome) -> bool:
    """Say whether a stage that has passed must be walked again, because what it looked at is another thing now."""
    if name == "test":
        return checks.is_stale(walk, before)
    if name == "scan":
        return scan.is_stale(walk, before)
    return name == "migrate" and sqlmigrate.is_stale(walk)


def _one(walk: Walk, name: str, stage: Stage, *, again: bool) -> None:
    """Walk one stage and store its outcome, once, with everything else that belongs to it.

    Raises:
        Refused: the stage failed.
        Interrupted: another process took the release over.
    """
    site, started_us = walk.site, walk.site.clock.now_us()
    walk.say(Progress(release=walk.release.id, stage=name, state="begins", text=""))
    try:
        found = stage(walk)
    except Interrupted:
        raise
    except RopewalkError as error:
        said = ": ".join(part for part in (error.where, error.what.rstrip("."), error.why) if part)
        found = failed(said, {"error": error.record()}, error.fix or "ropewalk ship")
    whole = {"schema": 1, "release": walk.release.id, "stage": name, "state": found.state, "found": found.evidence}
    evidence = site.blobs.put(canonical(whole))

    def store(tx: Transaction) -> Release:
        held = release.check_fence(tx, walk.release.id, walk.release.lease.fence)
        lease = leases.take(site.clock.now_us(), held.lease.fence, LEASE_SECONDS)
        now = release.hold(tx, held, lease)
        if found.also is not None:
            found.also(tx, now)
            now = release.get(tx, now.id)
        outcome.store_outcome(
            tx,
            site,
            now,
            stage=name,
            state=found.state,
            summary=found.summary,
            evidence=evidence,
            started_us=started_us,
            again=again,
        )
        if found.state == outcome.FAILED:
            now = release.move(tx, site, now, release.FAILED, error=f"{name}: {found.summary}")
        return now

    walk.release = site.db.write(store)
    walk.say(Progress(release=walk.release.id, stage=name, state=found.state, text=found.summary))
    if found.state == outcome.FAILED:
        raise _stopped(walk.release, name, found.summary, found.fix)


def _stopped(stopped: Release, stage: str, why: str, fix: str) -> Refused:
    return Refused(
        "stage-failed",
        f"{stopped.id} stopped at stage {STAGES.index(stage) + 1}, {stage}.",
        where=f"release {stopped.id} for {stopped.environment}",
        why=why,
        fix=fix,
    )


def _canary(walk: Walk) -> None:
    """Wait for people where the environment wants them; then climb beside the champion, or be the first."""
    site, name = walk.site, walk.release.id
    walk.say(Progress(release=name, stage="canary", state="begins", text=""))
    endpoint = traffic.endpoint_name(walk.release.name, walk.release.environment)
    alone = _alone(walk, endpoint)

    def enter(tx: Transaction) -> tuple[Release, str] | None:
        held = release.check_fence(tx, name, walk.release.lease.fence)
        wanted = approval.missing(tx, site, held)
        if wanted:
            return release.move(tx, site, held, release.WAITING), f"{wanted} must approve: ropewalk approve {name}"
        now = traffic.current(tx, endpoint)
        if now is not None:
            if now.champion != champion or not expected:
                return None
            climbing = rollout.begin(tx, site, walk.settings, held, design=expected)
            share = f"{climbing.weight_bp / 100:g} % of {endpoint}" if climbing.weight_bp else f"shadow of {endpoint}"
            return release.get(tx, name), share
        first = "the first release of its endpoint: there is no champion to be judged against"
        outcome.store_outcome(
            tx,
            site,
            held,
            stage="canary",
            state=outcome.SKIPPED,
            summary=first,
            evidence=alone,
            started_us=site.clock.now_us(),
        )
        crown(tx, site, held, evidence=alone, reason=f"{name} is the first release of {endpoint}")
        return release.get(tx, name), first

    entered = None
    while entered is None:  # another champion than the one that the design was made for: once more
        champion, expected = _design(walk, endpoint)
        entered = site.db.write(enter)
    walk.release, said = entered
    if walk.release.state == release.LIVE:
        walk.say(Progress(release=name, stage="canary", state=outcome.SKIPPED, text=said))
        walk.say(Progress(release=name, stage="live", state=outcome.PASSED, text=f"all traffic of {endpoint}"))
    else:
        walk.say(Progress(release=name, stage="canary", state="waiting", text=said))


def _alone(walk: Walk, endpoint: str) -> str:
    """Return the digest of the evidence that nobody was there to be judged against."""
    found = {"bundle": walk.release.bundle, "endpoint": endpoint, "champion": ""}
    whole = {"schema": 1, "release": walk.release.id, "stage": "canary", "state": outcome.SKIPPED, "found": found}
    return walk.site.blobs.put(canonical(whole))


def _design(walk: Walk, endpoint: str) -> tuple[str, str]:
    """Say what to expect of the canary before it begins; return the champion and the digest of what was said."""
    site = walk.site
    with site.db.read() as reader:
        now = traffic.current(reader, endpoint)
        waits = approval.missing(reader, site, walk.release)
    if now is None or waits:
        return "" if now is None else now.champion, ""
    plan = walk.settings.canary
    check(plan)
    made = design(plan, walk.doors.baseline(endpoint, now.champion, plan))
    for line in lines(made, plan):
        walk.say(Progress(release=walk.release.id, stage="canary", state="doing", text=line))
    return now.champion, site.blobs.put(canonical(made.record(walk.release.id, now.champion)))


def _let_go(walk: Walk) -> None:
    """Leave no release behind that says it is walked: this process lives on, but walks it no more."""

    def stop(tx: Transaction) -> None:
        now = release.get(tx, walk.release.id)
        if now.state == release.WALKING and now.lease.fence == walk.release.lease.fence:
            release.move(tx, walk.site, now, release.INTERRUPTED, error="the walk was broken off")

    walk.site.db.write(stop)


def _watch(walk: Walk, now: Release) -> Release:
    """Stay until the loop that climbs has decided; say each decision once.

    Raises:
        Refused: the canary fell.
    """
    pause, site, told = threading.Event(), walk.site, 0
    while True:
        with site.db.read() as reader:
            now = release.get(reader, now.id)
            made = rollout.decisions(reader, now.id)
        for decision in made[told:]:
            share = f"{decision.weight_bp / 100:g} %"
            text = f"{decision.decision.replace('_', ' ')}, {share}: {decision.reason}"
            walk.say(Progress(release=now.id, stage="canary", state="doing", text=text))
        told = len(made)
        if now.state == release.FALLEN:
            sqlmigrate.settle(site)
            walk.say(Progress(release=now.id, stage="canary", state=outcome.FAILED, text=now.error))
            raise _stopped(now, "canary", now.error, "ropewalk status, then train a better one: ropewalk run")
        if now.state != release.CANARY:
            walk.say(Progress(release=now.id, stage="live", state=outcome.PASSED, text=f"{now.id} is {now.state}"))
            return now
        pause.wait(LOOK_SECONDS)
