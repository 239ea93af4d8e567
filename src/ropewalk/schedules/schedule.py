"""A schedule as it stands: what is said of it, how far it is decided, and whether it is paused."""

from __future__ import annotations

import hmac
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ropewalk.errors import Conflict, NotFound
from ropewalk.schedules.spec import WEBHOOK, Spec
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction
from ropewalk.webhooks.secret import decrypt, encrypt

ACTIVE, PAUSED, REMOVED = "active", "paused", "removed"
MOVES: dict[str, frozenset[str]] = {
    ACTIVE: frozenset({PAUSED, REMOVED}),
    PAUSED: frozenset({ACTIVE, REMOVED}),
    REMOVED: frozenset({ACTIVE}),
}
SECRET_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule.

    Attributes:
        name: how people call it.
        pipeline: `FILE.py:FUNCTION`.
        kind: what starts it.
        spec: canonical JSON of what is said of it.
        state: a key of `MOVES`; one that nobody declares any more is `removed`, and its history stays.
        cursor_us: everything up to here is decided, microseconds since the epoch.
        since: number of the newest event that is not its business.
        seen: JSON of what its trigger saw last, empty for nothing yet.
        created_us: microseconds since the epoch.
        updated_us: microseconds since the epoch.
    """

    name: str
    pipeline: str
    kind: str
    spec: str
    state: str
    cursor_us: int
    since: int
    seen: str
    created_us: int
    updated_us: int

    @property
    def said(self) -> Spec:
        """What is said of it."""
        return Spec.from_text(self.spec)

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"schedule:{self.name}"


def declare(tx: Transaction, site: Site, specs: Sequence[Spec]) -> list[Schedule]:
    """Make the rows what is declared now: new ones begin here, changed ones go on, those left out are removed.

    Nothing is started for the time before a schedule was declared: that is what a backfill is for.
    """
    now_us = site.clock.now_us()
    known = {one.name: one for one in every(tx)}
    newest = int(str(tx.value("events.newest")))
    for spec in specs:
        text, before = spec.text(), known.pop(spec.name, None)
        if before is not None and before.spec == text and before.state != REMOVED:
            continue
        body = {**json.loads(text)}
        if before is None:
            fresh = {"state": ACTIVE, "cursor_us": now_us, "since": newest, "seen": "", "created_us": now_us}
            tx.run("schedules.insert", name=spec.name, pipeline=spec.pipeline, kind=spec.kind, spec=text, **fresh)
        else:
            kept = before.state != REMOVED and _listens_the_same(before.said, spec)
            tx.run(
                "schedules.update",
                name=spec.name,
                pipeline=spec.pipeline,
                kind=spec.kind,
                spec=text,
                state=PAUSED if before.state == PAUSED else ACTIVE,
                cursor_us=before.cursor_us if kept else now_us,
                since=before.since if kept else newest,
                seen=before.seen if kept else "",
                updated_us=now_us,
            )
        site.record(tx, "schedule.declared", f"schedule:{spec.name}", body)
    for left in known.values():
        if left.state != REMOVED:
            move(tx, site, left, REMOVED)
    return every(tx)


def are_declared(reader: Reader, specs: Sequence[Spec]) -> bool:
    """Say whether the rows hold what is declared already, so that who looks often need not write."""
    known = {one.name: one.spec for one in every(reader, removed=False)}
    return known == {one.name: one.text() for one in specs}


def _listens_the_same(before: Spec, now: Spec) -> bool:
    """Say whether what starts it is unchanged: other words would find starts in a past that they were not said in."""
    words = ("kind", "cron", "every_us", "timezone", "start_us", "files", "query", "database", "event", "match")
    return all(getattr(before, word) == getattr(now, word) for word in words)


def every(reader: Reader, *, removed: bool = True) -> list[Schedule]:
    """Return all schedules by name."""
    found = reader.all(Schedule, "schedules.all")
    return found if removed else [one for one in found if one.state != REMOVED]


def get(reader: Reader, name: str) -> Schedule:
    """Return a schedule by its name.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(Schedule, "schedules.get", name=name)
    if found is None:
        raise NotFound(
            "schedule-not-found",
            "There is no such schedule.",
            where=f"schedule {name[:80]}",
            why='schedules stand in ropewalk.toml, [[schedules]], or in code: @pipeline(schedule="0 6 * * *")',
            fix="ropewalk schedule list",
        )
    return found


def live(reader: Reader, name: str) -> Schedule:
    """Return a schedule that is declared.

    Raises:
        NotFound: there is none.
        Conflict: it is removed.
    """
    found = get(reader, name)
    if found.state == REMOVED:
        raise Conflict(
            "schedule-removed",
            "Nobody declares this schedule any more.",
            where=found.subject,
            why="neither ropewalk.toml nor the code names it; its history is kept",
            fix=f"ropewalk schedule history {name}",
        )
    return found


def pause(tx: Transaction, site: Site, name: str) -> Schedule:
    """Let a schedule start nothing until it is resumed; paused already is no error."""
    found = live(tx, name)
    return found if found.state == PAUSED else move(tx, site, found, PAUSED)


def resume(tx: Transaction, site: Site, name: str) -> Schedule:
    """Let a paused schedule start again from now on; what its pause held back stays undone."""
    found = live(tx, name)
    return found if found.state == ACTIVE else move(tx, site, found, ACTIVE)


def move(tx: Transaction, site: Site, found: Schedule, state: str) -> Schedule:
    """Take a schedule to another state, with its ledger entry; from then on it decides and listens anew."""
    assert state in MOVES[found.state], f"{found.state} to {state}"
    now_us = site.clock.now_us()
    begins = {"cursor_us": now_us, "since": int(str(tx.value("events.newest")))}
    kept = begins if state == ACTIVE else {"cursor_us": found.cursor_us, "since": found.since}
    tx.run("schedules.state", name=found.name, state=state, updated_us=now_us, **kept)
    site.record(tx, f"schedule.{state}", found.subject, {"from": found.state})
    return replace(found, state=state, updated_us=now_us, **kept)


def decided(tx: Transaction, found: Schedule, cursor_us: int) -> bool:
    """Note up to when all is decided; False when somebody else has decided since the schedule was read."""
    return tx.run("schedules.cursor", name=found.name, cursor_us=cursor_us, seen_us=found.cursor_us) == 1


def looked(tx: Transaction, found: Schedule, seen: str) -> bool:
    """Note what a trigger saw; False when somebody else has looked since the schedule was read."""
    return tx.run("schedules.seen", name=found.name, seen=seen, before=found.seen) == 1


def renew_secret(tx: Transaction, site: Site, name: str) -> str:
    """Make a new secret for a webhook's schedule and return it; nobody can read it again.

    Raises:
        Conflict: the schedule is removed, or is none that a webhook starts.
    """
    found = live(tx, name)
    if found.kind != WEBHOOK:
        raise Conflict(
            "schedule-no-webhook",
            "This schedule is not started by a webhook.",
            where=found.subject,
            why=f"it is started by {found.said.when}",
            fix="write webhook = true into its table, in place of what starts it now",
        )
    secret = secrets.token_urlsafe(SECRET_BYTES)
    kept = encrypt(site, found.subject, secret)
    tx.run("schedules.secret", name=name, secret=kept, updated_us=site.clock.now_us())
    site.record(tx, "schedule.secret", found.subject, {})
    return secret


def knows(reader: Reader, site: Site, name: str, *, bearer: str, signature: str, body: bytes) -> bool:
    """Say whether a caller holds a schedule's secret: he says it, or has signed the body with it (HMAC-SHA256, hex)."""
    found = reader.get(Schedule, "schedules.get", name=name)
    kept = reader.value("schedules.secret_of", name=name)
    if found is None or found.kind != WEBHOOK or found.state == REMOVED or not isinstance(kept, bytes):
        return False
    secret = decrypt(site, found.subject, kept).encode()
    if bearer:
        return hmac.compare_digest(bearer.encode(), secret)
    wanted = hmac.new(secret, body, "sha256").hexdigest()
    return hmac.compare_digest(signature.removeprefix("sha256=").lower().encode(), wanted.encode())
