"""Runs that an orchestrator drives step by step: opened once for its own run, and each step held by one process."""

from __future__ import annotations

import json
import re

from ropewalk import leases
from ropewalk.errors import Interrupted, Invalid
from ropewalk.leases import Lease, is_alive
from ropewalk.pipelines import outcomes
from ropewalk.pipelines.describe import Described
from ropewalk.pipelines.graph import Graph
from ropewalk.records import fields_of, frozen, replace, values_of
from ropewalk.refs import digest_of, short
from ropewalk.runs import keep
from ropewalk.runs import run as runs
from ropewalk.runs.log import LogEntry
from ropewalk.runs.points import Owner
from ropewalk.runs.run import Run
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

# Between two steps nobody holds the run: it is its orchestrator's turn. After so long without one it is interrupted.
SILENT_SECONDS = 86_400
TAG = "ropewalk.orchestrator"
_KEY = re.compile(r"[a-z][a-z0-9-]{0,31}:[^\s\x00-\x1f\x7f]{1,400}")


@frozen
class Orchestrated:
    """Which run stands for one of an orchestrator's.

    Attributes:
        pipeline: `FILE.py:FUNCTION`.
        key: `ORCHESTRATOR:ITS RUN'S ID`, a space, and the beginning of the digest of the pipeline's arguments.
        run_id: the newest run that does it.
        graph: digest of what that run was begun with: arguments, calls, code.
        at_us: microseconds since the epoch.
    """

    pipeline: str
    key: str
    run_id: str
    graph: str
    at_us: int


@frozen
class StepLease:
    """Who runs a step of such a run, or ran it last.

    Attributes:
        run_id: the run.
        node: the step.
        host: host name of the holder; empty for nobody.
        boot: boot id of that host.
        pid: its process.
        born: start of that process.
        expires_us: end of the lease, microseconds since the epoch.
        fence: grows with each holder.
        failures: how often the step itself has failed in this run; a killed process is no failure of the step.
    """

    run_id: str
    node: str
    host: str
    boot: str
    pid: int
    born: int
    expires_us: int
    fence: int
    failures: int

    def alive(self, now_us: int) -> bool:
        """Say whether the holder still lives."""
        values = {name: getattr(self, name) for name in fields_of(Lease)}
        return bool(self.host) and is_alive(Lease(**values), now_us)


class StepHold:
    """One step of an orchestrated run, held by this process.

    Args:
        run: the run, which is its orchestrator's.
        lease: the step's, as this process took it.
    """

    def __init__(self, run: Run, lease: StepLease) -> None:
        self.run = run
        self.lease = lease
        self._key, self._key_fence = "", 0

    def check(self, tx: Transaction) -> None:
        """Pass only while the run goes on and the step is ours."""
        runs.check_held(tx, self.run)
        now = step_lease(tx, self.run.id, self.lease.node)
        if now is None or now.fence != self.lease.fence:
            raise self._lost(now)

    def take_key(self, tx: Transaction, site: Site, key: str) -> StepLease | None:
        """Become who makes the outcome of a key; where another run's living process is that, return its lease."""
        self.check(tx)
        if outcomes.find(tx, key) is not None:
            return None
        now_us = site.clock.now_us()
        before = step_lease(tx, _apart(key), self.lease.node)
        if before is not None and before.alive(now_us):
            self._prolong(tx, site)
            return before
        mine = leases.take(now_us, before.fence + 1 if before is not None else 1)
        named = {"run_id": _apart(key), "node": self.lease.node, "failures": 0}
        if tx.run("pipelines.take_step_lease", **named, **values_of(mine)) != 1:
            return step_lease(tx, _apart(key), self.lease.node)
        self._key, self._key_fence = key, mine.fence
        return None

    def renew(self, site: Site) -> None:
        """Make the step's lease last longer, and the run's."""

        def work(tx: Transaction) -> None:
            self.check(tx)
            self._prolong(tx, site)

        site.db.write(work)

    def _prolong(self, tx: Transaction, site: Site) -> None:
        spoken(tx, site, self.run)
        expires_us = leases.take(site.clock.now_us(), self.lease.fence).expires_us
        tx.run("pipelines.renew_step_lease", **self._named(), expires_us=expires_us)
        if self._key:
            tx.run("pipelines.renew_step_lease", **self._named_key(), expires_us=expires_us)

    def release(self, tx: Transaction, *, failed: bool = False) -> int:
        """Give the step back; return how often it has failed by now. Who holds it no longer changes nothing."""
        now = step_lease(tx, self.run.id, self.lease.node)
        failures = (now.failures if now is not None else 0) + failed
        tx.run("pipelines.end_step_lease", **self._named(), failures=failures)
        if self._key:
            tx.run("pipelines.drop_step_lease", **self._named_key())
        return failures

    def _named_key(self) -> dict[str, str | int]:
        return {"run_id": _apart(self._key), "node": self.lease.node, "fence": self._key_fence}

    def _named(self) -> dict[str, str | int]:
        return {"run_id": self.run.id, "node": self.lease.node, "fence": self.lease.fence}

    def _lost(self, now: StepLease | None) -> Interrupted:
        held = f"it is at {now.fence}" if now is not None else "nobody holds it"
        return Interrupted(
            "step-lease-lost",
            f"Another process has taken the step {self.lease.node} over.",
            where=self.run.subject,
            why=f"this one holds fence {self.lease.fence}, and {held}",
            fix="let the orchestrator try again: what is done by then is not done twice",
        )


def require_key(text: str) -> str:
    """Return the key of an orchestrator's run.

    Raises:
        Invalid: it is none.
    """
    if not _KEY.fullmatch(text):
        raise Invalid(
            "orchestrated-key",
            "This does not name a run of an orchestrator.",
            why=f"wanted ORCHESTRATOR:ITS-RUNS-ID without spaces, found {text[:80]!r}",
            fix="write it like --run airflow:train/manual-1",
        )
    return text


def salt_of(graph: Graph, key: str) -> str:
    """Return what stands for the run in the keys of steps that are not to be answered for by another run.

    It is the orchestrator's run and not ours: after a failure a new one of ours goes on with what is done.
    """
    return f"{graph.pipeline} {key}"


def find(reader: Reader, graph: Graph, key: str) -> Orchestrated | None:
    """Return which run stands for an orchestrator's with these arguments, or None."""
    return reader.get(Orchestrated, "pipelines.orchestrated", pipeline=graph.pipeline, key=_with_args(graph, key))


def _with_args(graph: Graph, key: str) -> str:
    """Return what one run of the orchestrator with these arguments is called: no key has a space in it."""
    return f"{key} {short(digest_of(graph.args.encode()))}"


def _apart(key: str) -> str:
    """Return what stands for a run in the lease of who makes the outcome of a key: no run is called so."""
    return f"outcome {key}"


def step_lease(reader: Reader, run_id: str, node: str) -> StepLease | None:
    """Return who runs a step, or ran it last; None where nobody has."""
    return reader.get(StepLease, "pipelines.step_lease", run_id=run_id, node=node)


def living(reader: Reader, run_id: str, now_us: int) -> list[StepLease]:
    """Return the steps of a run that somebody runs now."""
    found = reader.all(StepLease, "pipelines.step_leases_of_run", run_id=run_id)
    return [lease for lease in found if lease.alive(now_us)]


def open_run(tx: Transaction, site: Site, opened: Described, key: str, environment: str) -> Run:
    """Return the run that stands for an orchestrator's: begun by the first step that asks, the same for all others.

    With other arguments the same run of the orchestrator is another run of ours; neither knows of the other.

    What was interrupted is gone on with. Where the code has changed since, or the run has failed, a new run begins,
    which finds in the cache what the one before it did.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        opened: the pipeline as it is now.
        key: `ORCHESTRATOR:ITS RUN'S ID`.
        environment: digest of the environment's description.

    Raises:
        Interrupted: somebody cancelled it.
    """
    found = find(tx, opened.graph, key)
    if found is None:
        return _begin(tx, site, opened, key, environment)
    run = runs.get(tx, found.run_id)
    same = found.graph == opened.graph.whole()
    if run.state == runs.CANCELLED and same:
        raise Interrupted(
            "run-cancelled",
            f"The run {run.name} was cancelled.",
            where=run.subject,
            why=run.error,
            fix="start a new run in the orchestrator",
        )
    if same and run.state == runs.FINISHED:
        return run
    if run.over:
        return _begin(tx, site, opened, key, environment)
    if not same:
        if run.state == runs.RUNNING:
            why = "the pipeline's code has changed while it ran"
            tx.run("pipelines.end_left", run_id=run.id)
            runs.move(tx, site, run.id, runs.INTERRUPTED, fence=run.fence, error=why)
        return _begin(tx, site, opened, key, environment)
    if run.state == runs.RUNNING and run.alive(site.clock.now_us()):
        spoken(tx, site, run)
        return run
    return runs.resume(tx, site, run.id, _lease(site, key, run.fence))


def spoken(tx: Transaction, site: Site, run: Run) -> None:
    """Note that the orchestrator drives the run still.

    Raises:
        Interrupted: the run is over.
    """
    runs.renew(tx, run.id, replace(run.lease, expires_us=site.clock.now_us() + SILENT_SECONDS * 1_000_000))


def take_step(tx: Transaction, site: Site, run: Run, node: str) -> StepHold | StepLease:
    """Take a step of a run; where a living process has it, return that one's lease."""
    now_us = site.clock.now_us()
    before = step_lease(tx, run.id, node)
    if before is not None and before.alive(now_us):
        return before
    lease = leases.take(now_us, before.fence + 1 if before is not None else 1)
    held = values_of(lease)
    failures = before.failures if before is not None else 0
    mine = StepLease(run_id=run.id, node=node, failures=failures, **held)
    if tx.run("pipelines.take_step_lease", **values_of(mine)) != 1:
        now = step_lease(tx, run.id, node)
        assert now is not None, "somebody else was quicker"
        return now
    return StepHold(run, mine)


def _begin(tx: Transaction, site: Site, opened: Described, key: str, environment: str) -> Run:
    graph, code = opened.graph, opened.code
    run = runs.start(
        tx,
        site,
        kind="pipeline",
        pipeline=graph.pipeline,
        args=json.loads(graph.args),
        code=code.digest,
        commit=code.commit,
        environment=environment,
        lease=_lease(site, key, 1),
    )
    owner = Owner(number=run.number, experiment=run.experiment, started_us=run.started_us)
    tx.run("runs.tag", **owner.row(TAG, ""), value=key)
    body = {"code": code.digest, "graph": graph.whole(), "orchestrator": key}
    site.record(tx, "run.graph", run.subject, body)
    for digest, item in graph.codes.items():
        outcomes.keep_code(tx, digest, item.parts)
    entries = [LogEntry.from_plain(values) for values in graph.entries]
    keep.apply(tx, run.id, entries, at_us=site.clock.now_us())
    facts = {"run_id": run.id, "graph": graph.whole(), "at_us": site.clock.now_us()}
    tx.run("pipelines.keep_orchestrated", pipeline=graph.pipeline, key=_with_args(graph, key), **facts)
    return run


def _lease(site: Site, key: str, fence: int) -> Lease:
    """Return the lease of a run that no process holds: its host is no machine, so that the expiry alone counts."""
    expires_us = site.clock.now_us() + SILENT_SECONDS * 1_000_000
    return Lease(host=f"by {key.partition(':')[0]}", boot="", pid=0, born=0, expires_us=expires_us, fence=fence)
