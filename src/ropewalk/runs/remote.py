"""Runs that clients drive over the protocol: they are made, moved, renamed, deleted and restored as the client says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from msgspec import json

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.runs import experiments
from ropewalk.runs.keys import TAG_LETTERS_MAX, check_tag_key, cut
from ropewalk.runs.names import random_name
from ropewalk.runs.points import Owner
from ropewalk.runs.run import begin, fresh_id, get, told
from ropewalk.runs.states import INTERRUPTED, NAME_TAG, PARENT_TAG, REMOTE, RUNNING, SCHEDULED, STATE_OF, Run
from ropewalk.site import Site
from ropewalk.store.database import Row, Transaction

BEAT_TAG = "ropewalk.heartbeat_seconds"
SPOOL_TAG = "ropewalk.spool_id"
BEAT_SECONDS_MAX = 3600
BEATS_MISSED = 3
SILENCE_SECONDS_MIN = 30
RENEW_US = 10_000_000
NAME_LETTERS_MAX = 500
_MARK = re.compile(r"[0-9a-f]{32}")
_ID = re.compile(r"[A-Za-z0-9][\w\-]{0,255}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A run that something is about to be logged to.

    Attributes:
        number: of the run.
        id: of the run.
        experiment: of the run.
        kind: of the run.
        state: of the run.
        started_us: of the run.
        expires_us: end of its lease.
        heartbeat_seconds: how often its client promised to speak.
        deleted_us: None while it is not deleted.
        reopened_us: since when more was logged after its end than the ledger has noted.
        known: numbers of the series, by name, of those metrics that were asked for which it has.
    """

    number: int
    id: str
    experiment: int
    kind: str
    state: str
    started_us: int
    expires_us: int
    heartbeat_seconds: int
    deleted_us: int | None
    reopened_us: int | None
    known: Mapping[str, int]

    @property
    def owner(self) -> Owner:
        """For whom rows are written."""
        return Owner(number=self.number, experiment=self.experiment, started_us=self.started_us)


def create(
    tx: Transaction,
    site: Site,
    *,
    experiment: object = experiments.DEFAULT,
    name: str = "",
    user: str = "",
    start_ms: int | None = None,
    tags: Mapping[str, str] | None = None,
    run_id: str = "",
) -> Run:
    """Begin a run for a client.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        experiment: id of what it belongs to.
        name: what people call it; empty for what the tag `mlflow.runName` says, or a random one.
        user: who starts it; empty for what the tag `mlflow.user` says.
        start_ms: milliseconds since the epoch; None for now.
        tags: its tags; values longer than 8,000 characters are cut. A run that began while the server was away brings
            its id in `ropewalk.spool_id`; told twice, it is one run.
        run_id: the id that it had elsewhere, for an import; empty for a new one.

    Raises:
        Invalid: an id, a tag's key or the name is none, or the experiment is deleted.
        NotFound: there is no such experiment.
        Conflict: there is a run of this id.
    """
    home = experiments.active(tx, experiment)
    said = {check_tag_key(key): cut(value, TAG_LETTERS_MAX) for key, value in (tags or {}).items()}
    name = _name(_one_name(name, said.get(NAME_TAG, "")))
    began_us = site.clock.now_us() if start_ms is None else _micros(start_ms, "start_time")
    known, mark = _spooled(tx, said.get(SPOOL_TAG, ""))
    if known is not None and not run_id:
        return known  # the same beginning, told again
    run_id = _id(tx, run_id) if run_id else mark or fresh_id(site)
    beat = _beat(said.get(BEAT_TAG, ""))
    run = Run(
        number=0, id=run_id, experiment=home.id, name=name, kind=REMOTE, state=RUNNING, args="{}", dirty=0,
        started_us=began_us, ended_us=None, location=f"{home.location}/{run_id}/artifacts", heartbeat_seconds=beat,
        deleted_us=None, reopened_us=None, host="", boot="", pid=0, born=0, fence=1,
        expires_us=_expiry(site.clock.now_us(), beat), **_said(said, user),
    )  # fmt: skip
    return begin(tx, site, run, {**said, NAME_TAG: name})


def _spooled(tx: Transaction, mark: str) -> tuple[Run | None, str]:
    """Return the run that began with this mark of a spool, or else the mark when a run may have it as its id."""
    if not _MARK.fullmatch(mark):
        return None, ""
    found = tx.get(Run, "runs.get", id=mark)
    if found is None:
        return None, mark
    return (found, "") if tx.value("runs.tag_of", run=found.number, key=SPOOL_TAG) == mark else (None, "")


def _one_name(name: str, tagged: str) -> str:
    """Return the name that a new run is given, or a random one."""
    if name and tagged and name != tagged:
        raise Invalid(
            "run-name-twice",
            "The run is given two names.",
            where=NAME_TAG,
            why=f"the argument says {name[:80]!r}, the tag {tagged[:80]!r}",
            fix="give one",
        )
    return name or tagged or random_name()


def _said(tags: Mapping[str, str], user: str) -> dict[str, str]:
    """Return what a client's tags say of where a run comes from."""
    plain = dict.fromkeys(("pipeline", "code", "author", "environment", "error"), "")
    return plain | {
        "user_name": user or tags.get("mlflow.user", ""),
        "source_name": tags.get("mlflow.source.name", ""),
        "source_type": tags.get("mlflow.source.type", ""),
        "commit_sha": tags.get("mlflow.source.git.commit", ""),
        "branch": tags.get("mlflow.source.git.branch", ""),
        "parent": tags.get(PARENT_TAG, ""),
    }


def update(
    tx: Transaction, site: Site, run_id: str, *, status: str = "", end_ms: int | None = None, name: str = ""
) -> Run:
    """Change what a client may change of a run: status, end and name.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        run_id: which run.
        status: MLflow's word; empty to leave it.
        end_ms: milliseconds since the epoch; None to leave it.
        name: empty to leave it.

    Raises:
        Invalid: a value is none, or the run is deleted.
        NotFound: there is no such run.
        Conflict: it is a run of our own, which its own process moves.
    """
    if status and status not in STATE_OF:
        raise Invalid(
            "run-status-unknown",
            "There is no such status of a run.",
            where="status",
            why=f"a status is one of {', '.join(sorted(STATE_OF))}, found {status[:80]!r}",
        )
    run = _active(get(tx, run_id))
    state = STATE_OF.get(status, run.state)
    if run.state == INTERRUPTED and status == "FAILED":
        state = INTERRUPTED
    if run.kind != REMOTE and (state != run.state or (end_ms is not None and end_ms * 1000 != run.ended_us)):
        raise Conflict(
            "run-not-remote",
            "This run is moved by the process that runs it, not by clients.",
            where=run.subject,
            why=f"it is {run.state}, the client says {status or 'that it ended'}",
            fix="rename, tag, delete or restore it; its state is its own",
        )
    ended_us = run.ended_us if end_ms is None else _micros(end_ms, "end_time")
    moved = replace(
        run,
        state=state,
        ended_us=ended_us,
        name=_name(name) if name else run.name,
        error=run.error if state == run.state else "",
        reopened_us=run.reopened_us if state == run.state else None,
    )
    return _write(tx, site, run, moved)


def _write(tx: Transaction, site: Site, run: Run, moved: Run) -> Run:
    """Write a changed run down, and into the ledger what has changed."""
    if moved == run:
        return run
    fields = ("number", "name", "state", "ended_us", "error", "reopened_us", "heartbeat_seconds")
    tx.run("runs.update", **{field: getattr(moved, field) for field in fields})
    if moved.name != run.name:
        owner = Owner(number=run.number, experiment=run.experiment, started_us=run.started_us)
        tx.run("runs.tag", **owner.row(NAME_TAG, ""), value=moved.name)
        site.record(tx, "run.renamed", run.subject, {"name": moved.name})
    if moved.state != run.state:
        if moved.state == RUNNING:
            site.record(tx, "run.resumed", run.subject, {"fence": run.fence})
        else:
            told(tx, site, run, moved.state)
    return moved


def delete(tx: Transaction, site: Site, run_id: str) -> Run:
    """Delete a run; it can be restored.

    Raises:
        NotFound: there is no such run.
    """
    run = get(tx, run_id)
    if run.deleted_us is not None:
        return run
    now_us = site.clock.now_us()
    tx.run("runs.hide", number=run.number, deleted_us=now_us)
    site.record(tx, "run.deleted", run.subject, {"name": run.name})
    return replace(run, deleted_us=now_us)


def restore(tx: Transaction, site: Site, run_id: str) -> Run:
    """Take a run's deletion back.

    Raises:
        NotFound: there is no such run.
    """
    run = get(tx, run_id)
    if run.deleted_us is None:
        return run
    tx.run("runs.hide", number=run.number, deleted_us=None)
    site.record(tx, "run.restored", run.subject, {"name": run.name})
    return replace(run, deleted_us=None)


def target(
    tx: Transaction,
    site: Site,
    run_id: str,
    metrics: Iterable[str] = (),
    *,
    counts: bool = False,
    by_client: bool = True,
) -> Target:
    """Return the run that something is about to be written to, and note that its client lives.

    Args:
        tx: the transaction; the caller owns the commit.
        site: the project.
        run_id: which run.
        metrics: names of those whose series are wanted.
        counts: whether it is a metric or a parameter, of which the ledger keeps a digest when the run ends.
        by_client: whether the run's own client writes, which then lives; a person in the console is none.

    Raises:
        Invalid: the run is deleted.
        NotFound: there is no such run.
    """
    keys = list(dict.fromkeys(metrics))
    if len(keys) > 1:
        row = tx.row("runs.to_log_many", id=run_id, keys=json.encode(keys).decode())
    else:
        row = tx.row("runs.to_log", id=run_id, key=keys[0] if keys else "")
    found = None if row is None else _target(row, keys)
    if found is None:
        raise NotFound("run-not-found", "There is no such run.", where=f"run:{run_id[:80]}", fix="ropewalk runs")
    if found.deleted_us is not None:
        raise _deleted(f"run:{found.id}")
    if not by_client:
        return found
    if found.state == RUNNING:
        _renew(tx, found, site.clock.now_us())
    elif found.state == INTERRUPTED and found.kind == REMOTE:
        run = get(tx, run_id)
        _write(tx, site, run, replace(run, state=RUNNING, ended_us=None, error="", reopened_us=None))
        tx.run("runs.beat", number=run.number, expires_us=_expiry(site.clock.now_us(), run.heartbeat_seconds))
    elif counts and found.state != SCHEDULED and found.reopened_us is None:
        # The ledger holds a digest of the log as it was at the end; another one follows when nothing more comes.
        tx.run("runs.reopen", number=found.number, at_us=site.clock.now_us())
        site.record(tx, "run.reopened", f"run:{found.id}", {"state": found.state})
    return found


def _target(row: Row, keys: Sequence[str]) -> Target:
    fields = cast("dict[str, Any]", dict(row))
    series = fields.pop("series")
    if len(keys) > 1:
        return Target(known=json.decode(series, type=dict[str, int]), **fields)
    return Target(known={keys[0]: series} if keys and series is not None else {}, **fields)


def _renew(tx: Transaction, found: Target, now_us: int) -> None:
    if found.kind == REMOTE and found.heartbeat_seconds:
        expires_us = _expiry(now_us, found.heartbeat_seconds)
        if expires_us - found.expires_us >= RENEW_US:
            tx.run("runs.beat", number=found.number, expires_us=expires_us)


def promise(tx: Transaction, site: Site, run_id: str, seconds: str) -> None:
    """Take a client's promise to speak every so many seconds; empty to take it back.

    Raises:
        Invalid: this is no number of seconds.
        NotFound: there is no such run.
    """
    beat = _beat(seconds)
    run = get(tx, run_id)
    _write(tx, site, run, replace(run, heartbeat_seconds=beat))
    tx.run("runs.beat", number=run.number, expires_us=_expiry(site.clock.now_us(), beat))


def _expiry(now_us: int, beat: int) -> int:
    return now_us + max(SILENCE_SECONDS_MIN, BEATS_MISSED * beat) * 1_000_000


def _beat(text: str) -> int:
    if not text:
        return 0
    if not re.fullmatch(r"[0-9]{1,4}", text, re.ASCII) or not 1 <= int(text) <= BEAT_SECONDS_MAX:
        raise Invalid(
            "heartbeat-invalid",
            "A heartbeat is a whole number of seconds.",
            where=BEAT_TAG,
            why=f"it is 1 to {BEAT_SECONDS_MAX}, found {text[:80]!r}",
        )
    return int(text)


def _active(run: Run) -> Run:
    if run.deleted_us is not None:
        raise _deleted(run.subject)
    return run


def _deleted(subject: str) -> Invalid:
    return Invalid(
        "run-deleted",
        "The run is deleted.",
        where=subject,
        why="what is deleted is not written to; it must be in the 'active' state",
        fix="restore it first",
    )


def required_name(name: str) -> str:
    """Return a name that a person gives a run, who does not leave it empty.

    Raises:
        Invalid: it is empty.
    """
    if not name:
        raise Invalid("run-name-missing", "A run has a name.", where="name", why="it is empty", fix="type one")
    return name


def _name(name: str) -> str:
    if len(name) > NAME_LETTERS_MAX:
        raise Invalid(
            "run-name-too-long", "The run's name is too long.", where="run_name", why=f"the limit is {NAME_LETTERS_MAX}"
        )
    return name


def _micros(millis: int, where: str) -> int:
    if not 0 <= millis < 1 << 53:
        raise Invalid(
            "time-invalid",
            "A time is milliseconds since 1970.",
            where=where,
            why=f"found {str(millis)[:40]}",
        )
    return millis * 1000


def _id(tx: Transaction, run_id: str) -> str:
    if not _ID.fullmatch(run_id):
        raise Invalid(
            "run-id-invalid", "This cannot be a run's id.", where=run_id[:80], why="letters, digits, '_', '-'"
        )
    if tx.row("runs.get", id=run_id) is not None:
        raise Conflict("run-exists", "There is a run of this id.", where=f"run:{run_id}")
    return run_id
