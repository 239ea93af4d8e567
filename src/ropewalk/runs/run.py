"""A run: one command that was run once, from its start to its end, with the lease of who runs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ropewalk.errors import Conflict, Interrupted, Invalid, NotFound
from ropewalk.leases import Lease
from ropewalk.records import fields_of, replace, values_of
from ropewalk.refs import canonical, uuid7
from ropewalk.runs import experiments, record
from ropewalk.runs.points import Owner
from ropewalk.runs.states import (
    CANCELLED,
    FAILED,
    FINISHED,
    INTERRUPTED,
    KINDS,
    MOVES,
    REMOTE,
    RUNNING,
    SCHEDULED,
    Run,
)
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction

if TYPE_CHECKING:
    from ropewalk.source.commit import Commit

PREFIX_LETTERS_MIN = 4
__all__ = [
    "CANCELLED", "FAILED", "FINISHED", "INTERRUPTED", "KINDS", "MOVES", "REMOTE", "RUNNING", "SCHEDULED", "Run",
    "any_dead", "begin", "check_held", "find", "fresh_id", "get", "interrupt_dead", "move", "renew", "resumable",
    "resume", "start", "told",
]  # fmt: skip


def start(
    tx: Transaction,
    site: Site,
    *,
    kind: str,
    pipeline: str,
    args: object,
    code: str,
    commit: Commit,
    environment: str,
    lease: Lease,
    name: str = "",
    experiment: str = "",
    parent: str = "",
) -> Run:
    """Begin a run and write that into the ledger; its holder is the lease.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        kind: `pipeline`, `script` or `sweep`.
        pipeline: `FILE.py:FUNCTION` or the script's command.
        args: JSON-able arguments.
        code: digest of the code snapshot.
        commit: git's view of the code.
        environment: digest of the environment's description.
        lease: who runs it.
        name: what people call it; empty for `FUNCTION-N`.
        experiment: name of what it belongs to, made when there is none; empty for `Default`.
        parent: id of the run that started this one.

    Raises:
        Invalid: the kind is unknown, or the experiment's name is none.
        Conflict: the experiment is deleted.
    """
    if kind not in KINDS:
        raise Invalid("run-kind-unknown", "There is no such kind of run.", why=f"found {kind[:80]!r}")
    home = experiments.named(tx, site, experiment) if experiment else experiments.get(tx, experiments.DEFAULT)
    plain = {"kind": kind, "pipeline": pipeline, "code": code, "environment": environment, "parent": parent}
    run = Run(
        experiment=home.id,
        name=name or _next_name(tx, pipeline, home.id),
        args=canonical(args).decode(),
        started_us=site.clock.now_us(),
        **plain,
        **_begun(commit, lease),
        **_own(site, home, pipeline),
    )
    return begin(tx, site, run, run.source_tags())


def _own(site: Site, home: experiments.Experiment, pipeline: str) -> dict[str, Any]:
    """Return what a run of ours has that a client's run has by its client's word."""
    run_id = fresh_id(site)
    said = {"user_name": site.actor, "source_name": pipeline, "source_type": "PROJECT", "heartbeat_seconds": 0}
    return {"number": 0, "id": run_id, "location": f"{home.location}/{run_id}/artifacts", **said}


def fresh_id(site: Site) -> str:
    """Return an id for a run that starts now: 32 hex digits, as MLflow writes them."""
    return uuid7(site.clock.now_us()).replace("-", "")


def _begun(commit: Commit, lease: Lease) -> dict[str, Any]:
    """Return what a run that has just begun keeps of git's view of the code and of its holder."""
    seen = {"commit_sha": commit.sha, "branch": commit.branch, "author": commit.author, "dirty": int(commit.dirty)}
    held = values_of(lease)
    open_ = dict.fromkeys(("ended_us", "deleted_us", "reopened_us"))
    return {"state": RUNNING, "error": "", **open_, **seen, **held}


def begin(tx: Transaction, site: Site, run: Run, tags: Mapping[str, str]) -> Run:
    """Write a new run down with its tags, in rows and ledger; return it with its number."""
    values = {field: getattr(run, field) for field in fields_of(Run) if field != "number"}
    number = int(str(tx.value("runs.insert", **values)))
    owner = Owner(number=number, experiment=run.experiment, started_us=run.started_us)
    tx.many("runs.tag", [owner.row(key, "") | {"value": value} for key, value in tags.items()])
    body = {
        "name": run.name,
        "pipeline": run.pipeline,
        "args": run.arguments(),
        "code": run.code,
        "commit": run.commit_sha,
        "dirty": run.dirty,
        "environment": run.environment,
    }
    site.record(tx, "run.started", run.subject, body)
    return replace(run, number=number)


def _next_name(reader: Reader, pipeline: str, experiment: int) -> str:
    stem = pipeline.rpartition(":")[2].partition(" ")[0].rpartition("/")[2].removesuffix(".py") or "run"
    earlier = int(str(reader.value("runs.count_of_pipeline", pipeline=pipeline, experiment=experiment)))
    return f"{stem}-{earlier + 1}"


def get(reader: Reader, run_id: str) -> Run:
    """Return a run by its whole id.

    Raises:
        NotFound: there is no such run.
    """
    found = reader.get(Run, "runs.get", id=run_id)
    if found is None:
        raise _not_found(run_id)
    return found


def find(reader: Reader, text: str) -> Run:
    """Return the run that a person means: by whole id, by name (the newest of that name) or by the id's first letters.

    Raises:
        NotFound: no run fits.
        Conflict: the letters fit several runs.
    """
    exact = reader.get(Run, "runs.get", id=text) or reader.get(Run, "runs.by_name", name=text)
    if exact is not None:
        return exact
    fitting = reader.all(Run, "runs.by_prefix", low=text, high=text + "~") if len(text) >= PREFIX_LETTERS_MIN else []
    if len(fitting) > 1:
        raise Conflict(
            "run-ambiguous",
            "Several runs begin with these letters.",
            where=text,
            why=f"among them {fitting[0].id} and {fitting[1].id}",
            fix="ropewalk runs",
        )
    if not fitting:
        raise _not_found(text)
    return fitting[0]


def _not_found(text: str) -> NotFound:
    return NotFound("run-not-found", "There is no such run.", where=f"run:{text[:80]}", fix="ropewalk runs")


def move(tx: Transaction, site: Site, run_id: str, state: str, *, fence: int, error: str = "") -> Run:
    """Take a run to another state, if the table allows it and the fence is the current one; record it.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        run_id: which run.
        state: where to; to run again is `resume`'s.
        fence: the number that the caller was given when it took the run.
        error: why, for a failure or an interruption.

    Raises:
        NotFound: there is no such run.
        Interrupted: another holder has taken the run over since.
        Conflict: the table does not allow the move.
    """
    run = get(tx, run_id)
    if run.fence != fence:
        raise _lost(run, fence)
    if state not in MOVES[run.state] or state == RUNNING:
        raise Conflict(
            "run-move-refused",
            "The run cannot go there from where it is.",
            where=run.subject,
            why=f"it is {run.state}; from there it may become {', '.join(sorted(MOVES[run.state])) or 'nothing else'}",
            fix=f"ropewalk runs {run_id}",
        )
    now_us = site.clock.now_us()
    tx.run("runs.move", id=run_id, state=state, ended_us=now_us, error=error, fence=fence, from_state=run.state)
    told(tx, site, run, state, error)
    return get(tx, run_id)


def told(tx: Transaction, site: Site, run: Run, state: str, error: str = "") -> None:
    """Write into the ledger that a run went to another state, with a digest of its log where it has ended."""
    body: dict[str, object] = {"from": run.state, "fence": run.fence, "error": error}
    if state not in (RUNNING, SCHEDULED):
        body["logged"] = record.logged(tx, run.number)
    site.record(tx, f"run.{state}", run.subject, body)
    site.announce(tx, f"run.{state}", run.subject, {"pipeline": run.pipeline, "name": run.name})


def _lost(run: Run, fence: int) -> Interrupted:
    if run.state == CANCELLED:
        return Interrupted(
            "run-cancelled",
            f"The run {run.name} was cancelled.",
            where=run.subject,
            why=run.error,
            fix=f"ropewalk run {run.pipeline}",
        )
    return Interrupted(
        "run-lease-lost",
        "Another process has taken this run over.",
        where=run.subject,
        why=f"this one holds fence {fence}, the run is at {run.fence} and {run.state}",
        fix="ropewalk runs",
    )


def check_held(tx: Transaction, run: Run) -> None:
    """Stop who holds a run no longer: somebody took it over, or cancelled it.

    Raises:
        Interrupted: the run is another's, or it is over.
    """
    now = get(tx, run.id)
    if now.fence != run.fence or now.state != RUNNING:
        raise _lost(now, run.fence)


def renew(tx: Transaction, run_id: str, lease: Lease) -> None:
    """Make the lease last longer; cheap, to be called every few seconds.

    Raises:
        Interrupted: the run is no longer this holder's; stop working on it.
    """
    changed = tx.run(
        "runs.renew",
        id=run_id,
        fence=lease.fence,
        host=lease.host,
        pid=lease.pid,
        born=lease.born,
        expires_us=lease.expires_us,
    )
    if not changed:
        raise _lost(get(tx, run_id), lease.fence)


def resume(tx: Transaction, site: Site, run_id: str, lease: Lease) -> Run:
    """Take an interrupted run over, or one whose holder is dead; its fence grows by one.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        run_id: which run.
        lease: the new holder; its own fence number is not looked at, the returned run's counts.

    Raises:
        NotFound: there is no such run.
        Conflict: somebody runs it, or it is over.
    """
    run = get(tx, run_id)
    if run.state == RUNNING and not run.alive(site.clock.now_us()):
        run = _interrupt(tx, site, run)
    if run.state == RUNNING:
        raise Conflict(
            "run-held",
            "The run is running already.",
            where=run.subject,
            why=f"process {run.pid} on {run.host} holds it",
            fix="wait for it, or end that process and run the same command again",
        )
    if RUNNING not in MOVES[run.state]:
        raise Conflict("run-over", "The run is over.", where=run.subject, why=f"it is {run.state}", fix="ropewalk run")
    values = {"host": lease.host, "boot": lease.boot, "pid": lease.pid, "born": lease.born}
    tx.run("runs.resume", id=run_id, fence=run.fence, expires_us=lease.expires_us, **values)
    site.record(tx, "run.resumed", run.subject, {"fence": run.fence + 1})
    return get(tx, run_id)


def resumable(reader: Reader, *, pipeline: str, args: object, code: str) -> Run | None:
    """Return the newest interrupted run of the same pipeline, arguments and code, or None."""
    return reader.get(
        Run,
        "runs.of_command",
        pipeline=pipeline,
        args=canonical(args).decode(),
        code=code,
        state=INTERRUPTED,
    )


def interrupt_dead(tx: Transaction, site: Site) -> list[Run]:
    """Declare every running run interrupted whose holder no longer lives; return them as they are now.

    A client's run counts only when its client promised heartbeats: others may go silent for as long as they like.
    """
    now_us = site.clock.now_us()
    running = tx.all(Run, "runs.of_state", state=RUNNING)
    return [_interrupt(tx, site, run) for run in running if not run.alive(now_us)]


def any_dead(reader: Reader, now_us: int) -> bool:
    """Say whether `interrupt_dead` would find something, so that lookers need not open a transaction."""
    return any(not run.alive(now_us) for run in reader.all(Run, "runs.of_state", state=RUNNING))


def _interrupt(tx: Transaction, site: Site, run: Run) -> Run:
    why = f"process {run.pid} on {run.host} is gone" if run.pid else f"it is driven {run.host}, which fell silent"
    if run.kind == REMOTE:
        why = f"its client promised to speak every {run.heartbeat_seconds} s and fell silent"
    return move(tx, site, run.id, INTERRUPTED, fence=run.fence, error=why)
