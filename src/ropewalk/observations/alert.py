"""Alerts: an alarm is opened with its evidence, stays one while it lasts, and is closed with a reason."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.errors import Conflict, NotFound
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.store.database import Reader, Row, Transaction

OPEN, CLOSED = "open", "closed"
MOVES: dict[str, frozenset[str]] = {OPEN: frozenset({CLOSED}), CLOSED: frozenset()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One alarm of one monitor.

    Attributes:
        id: UUID version 7.
        endpoint: where.
        monitor: whose.
        kind: the monitor's kind.
        release: whose rows raised it.
        state: a key of `MOVES`.
        retrain: whether the project's pipeline is started for it.
        window_us: begin of the window of event time that raised it.
        reading: the effect that was seen.
        threshold: smallest effect that matters.
        reason: a sentence for people.
        evidence: digest of canonical JSON with everything that was looked at.
        opened_us: when, microseconds since the epoch.
        closed_us: when it was closed, or None.
        closed_why: why.
        closed_evidence: digest of what was looked at then; empty when a person closed it.
        run: what became of the retraining: empty, who is about to start it, the run, or why it failed.
    """

    id: str
    endpoint: str
    monitor: str
    kind: str
    release: str
    state: str
    retrain: bool
    window_us: int
    reading: float
    threshold: float
    reason: str
    evidence: str
    opened_us: int
    closed_us: int | None
    closed_why: str
    closed_evidence: str
    run: str

    @classmethod
    def from_row(cls, row: Row) -> Alert:
        """Return the record of a row of `alerts`."""
        return cls(**{**row, "retrain": bool(row["retrain"])})  # type: ignore[arg-type]

    @property
    def subject(self) -> str:
        """How ledger and events call it."""
        return f"alert:{self.id}"


def open_alert(
    tx: Transaction,
    site: Site,
    *,
    endpoint: str,
    monitor: str,
    kind: str,
    release: str,
    retrain: bool,
    window_us: int,
    reading: float,
    threshold: float,
    reason: str,
    evidence: str,
) -> Alert | None:
    """Open an alarm with its ledger entry and its event `alert.opened`.

    Returns:
        None when this monitor's alarm is open already, or this window or a later one of the release has raised one.
    """
    if not is_news(tx, endpoint, monitor, release, window_us):
        return None
    name = uuid7(site.clock.now_us())
    tx.run(
        "observations.alert_insert",
        id=name,
        endpoint=endpoint,
        monitor=monitor,
        kind=kind,
        release=release,
        retrain=int(retrain),
        window_us=window_us,
        reading=reading,
        threshold=threshold,
        reason=reason,
        evidence=evidence,
        opened_us=site.clock.now_us(),
    )
    body: dict[str, object] = {"endpoint": endpoint, "monitor": monitor, "release": release, "window_us": window_us}
    body |= {"reading": reading, "reason": reason, "evidence": evidence}
    site.record(tx, "alert.opened", f"alert:{name}", body)
    site.announce(tx, "alert.opened", f"alert:{name}", {**body, "retrain": retrain})
    return get(tx, name)


def is_news(reader: Reader, endpoint: str, monitor: str, release: str, window_us: int) -> bool:
    """Say whether an alarm of this window would be opened."""
    before = latest(reader, endpoint, monitor)
    if before is None:
        return True
    return before.state != OPEN and (before.release != release or before.window_us < window_us)


def close(tx: Transaction, site: Site, alert: str, *, why: str, evidence: str = "") -> Alert:
    """Close an alarm with its ledger entry and its event `alert.closed`.

    Raises:
        NotFound: there is no such alarm.
        Conflict: it is closed already.
    """
    found = get(tx, alert)
    if CLOSED not in MOVES[found.state]:
        raise Conflict("alert-closed", "This alarm is closed already.", where=f"alert {alert}", why=found.closed_why)
    tx.run("observations.alert_close", id=alert, closed_us=site.clock.now_us(), why=why, evidence=evidence)
    body = {"endpoint": found.endpoint, "monitor": found.monitor, "why": why, "evidence": evidence}
    site.record(tx, "alert.closed", found.subject, body)
    site.announce(tx, "alert.closed", found.subject, body)
    return get(tx, alert)


def note_run(tx: Transaction, site: Site, alert: Alert, run: str) -> Alert:
    """Note what became of an alarm's retraining.

    Raises:
        Conflict: somebody else noted something since the alarm was read.
    """
    if tx.run("observations.alert_run", id=alert.id, run=run, seen=alert.run) != 1:
        raise Conflict(
            "alert-moved",
            "Somebody else takes care of this alarm's retraining.",
            where=f"alert {alert.id}",
            fix="ropewalk status",
        )
    site.record(tx, "alert.retrain", alert.subject, {"monitor": alert.monitor, "run": run})
    site.announce(tx, "alert.retrain", alert.subject, {"monitor": alert.monitor, "run": run})
    return get(tx, alert.id)


def get(reader: Reader, alert: str) -> Alert:
    """Return an alarm by its id.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(Alert, "observations.alert", id=alert)
    if found is None:
        raise NotFound("alert-not-found", "There is no such alarm.", where=f"alert {alert}", fix="ropewalk status")
    return found


def latest(reader: Reader, endpoint: str, monitor: str) -> Alert | None:
    """Return the newest alarm of a monitor, or None."""
    return reader.get(Alert, "observations.alert_latest", endpoint=endpoint, monitor=monitor)


def listed(reader: Reader, *, endpoint: str = "", state: str = "", count: int = 100) -> list[Alert]:
    """Return alarms, newest first; empty words mean all."""
    return reader.all(Alert, "observations.alerts", endpoint=endpoint, state=state, count=count)


def to_retrain(reader: Reader) -> list[Alert]:
    """Return the alarms whose retraining has no result yet, oldest first."""
    return reader.all(Alert, "observations.alerts_to_retrain")
