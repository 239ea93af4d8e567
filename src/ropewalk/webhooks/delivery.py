"""What is to be told to whom: queued in the order of events, tried again when it fails, given up in two days."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.refs import uuid7
from ropewalk.runs import paging
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction
from ropewalk.webhooks.events import EXAMPLES, event_of
from ropewalk.webhooks.message import body_of

READER = "webhooks"
WAITING = "waiting"
DELIVERED = "delivered"
FAILED = "failed"
DROPPED = "dropped"
STATES = (WAITING, DELIVERED, FAILED, DROPPED)
PAGE_EVENTS = 500
PAGE_MAX = 1000
DUE_MAX = 64
# So many for one webhook in one turn, in the order of events.
EACH_MAX = 5
# After the first attempt, the second and so on; when they are used up it is given up.
PAUSES_SECONDS = (10, 30, 120, 600, 1800, 3600, 10_800, 21_600, 43_200, 43_200)
RETRY_AFTER_SECONDS_MAX = 3600
# For so long nobody else tries what somebody has begun to try. One try takes 15 seconds at most, five to look the host
# up and ten to be heard; a claim with less than twice of that left is renewed before the next try.
CLAIM_SECONDS = 60
RENEW_SECONDS = 30
_RETRIED = frozenset({408, 425, 429, 500, 502, 503, 504})
_SECOND_US = 1_000_000
_NEWEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One event on its way to one webhook.

    Attributes:
        id: stays the same however often it is tried.
        webhook: id of whom to tell.
        event: number of the event.
        entity: what changed.
        action: what became of it.
        body: the JSON to send.
        state: `waiting`, `delivered`, `failed` or `dropped` (the webhook is gone or disabled).
        attempts: how often it was tried.
        next_us: not before, microseconds since the epoch; while it is tried, until when it is claimed.
        created_us: microseconds since the epoch.
        ended_us: microseconds since the epoch, None while it waits.
    """

    id: str
    webhook: str
    event: int
    entity: str
    action: str
    body: str
    state: str
    attempts: int
    next_us: int
    created_us: int
    ended_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try.

    Attributes:
        delivery: of what.
        attempt: which try, from 1.
        at_us: when it ended, microseconds since the epoch.
        status: HTTP status; 0 when nobody answered.
        error: why it failed, empty otherwise.
    """

    delivery: str
    attempt: int
    at_us: int
    status: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one try.

    Attributes:
        delivery: as it was claimed.
        status: HTTP status; 0 when nobody answered.
        error: why it failed, empty otherwise.
        retry_after: what the answer's header of that name said.
        dropped: whether the webhook is not to be told any more.
        final: whether another try would come to the same.
    """

    delivery: Delivery
    status: int = 0
    error: str = ""
    retry_after: str = ""
    dropped: bool = False
    final: bool = False


def has_news(reader: Reader) -> bool:
    """Say whether there are events that nobody has looked at for webhooks yet."""
    return _read_to(reader) < int(str(reader.value("events.newest")))


def queue(tx: Transaction, site: Site) -> bool:
    """Queue what the next events are to be told, in the transaction that notes them as read; say whether more wait."""
    seen = _read_to(tx)
    page = tx.rows("events.after", seq=seen, count=PAGE_EVENTS)
    for row in page:
        kind, seq, at_us = str(row["kind"]), int(str(row["seq"])), int(str(row["at_us"]))
        if kind not in EXAMPLES:
            continue
        event = event_of(kind)
        listening = tx.rows("webhooks.listening", entity=event.entity, action=event.action, seq=seq)
        body = body_of(event, at_us, json.loads(str(row["body"]))) if listening else ""
        for hook in listening:
            now_us = site.clock.now_us()
            tx.run(
                "webhooks.delivery_insert",
                id=uuid7(now_us),
                webhook=str(hook["id"]),
                event=seq,
                entity=event.entity,
                action=event.action,
                body=body,
                created_us=now_us,
            )
    if page:
        tx.run("webhooks.reader_put", reader=READER, seq=int(str(page[-1]["seq"])))
    return len(page) == PAGE_EVENTS


def due(reader: Reader, now_us: int, count: int = DUE_MAX) -> list[Delivery]:
    """Return what is to be tried now: of each webhook the oldest five, in the order of events."""
    return reader.all(Delivery, "webhooks.due", now_us=now_us, each=EACH_MAX, count=count)


def claim(tx: Transaction, wanted: Sequence[Delivery], now_us: int) -> list[Delivery]:
    """Take what nobody else has taken meanwhile; it is free again after a minute, should we be killed."""
    until_us = now_us + CLAIM_SECONDS * _SECOND_US
    return [
        replace(one, next_us=until_us)
        for one in wanted
        if tx.run("webhooks.claim", id=one.id, attempts=one.attempts, now_us=now_us, next_us=until_us)
    ]


def is_ending(one: Delivery, now_us: int) -> bool:
    """Say whether a claim may end before its delivery is tried, so that it has to be renewed first."""
    return one.next_us - now_us < RENEW_SECONDS * _SECOND_US


def renew(tx: Transaction, taken: Sequence[Delivery], now_us: int) -> list[Delivery]:
    """Hold what was claimed for another minute; return what is still ours, for a claim that ended may be another's."""
    until_us = now_us + CLAIM_SECONDS * _SECOND_US
    return [
        replace(one, next_us=until_us)
        for one in taken
        if tx.run("webhooks.renew", id=one.id, attempts=one.attempts + 1, next_us=until_us)
    ]


def release(tx: Transaction, taken: Sequence[Delivery], next_us: int) -> None:
    """Give back what was claimed and not tried."""
    for one in taken:
        tx.run("webhooks.release", id=one.id, attempts=one.attempts + 1, next_us=next_us)


def settle(tx: Transaction, outcomes: Sequence[Outcome], now_us: int) -> None:
    """Note what became of tries, and when the next one is due."""
    for one in outcomes:
        attempt = one.delivery.attempts + 1
        state, next_us = after(one, now_us)
        ended_us = None if state == WAITING else now_us
        changed = tx.run(
            "webhooks.settle", id=one.delivery.id, attempts=attempt, state=state, next_us=next_us, ended_us=ended_us
        )
        if changed:
            tx.run(
                "webhooks.attempt_insert",
                delivery=one.delivery.id,
                attempt=attempt,
                at_us=now_us,
                status=one.status,
                error=one.error,
            )


def after(one: Outcome, now_us: int) -> tuple[str, int]:
    """Return what a try makes of a delivery, and when it is due again; decided from these words alone."""
    if one.dropped:
        return DROPPED, now_us
    if 200 <= one.status < 300:  # noqa: PLR2004 - what HTTP calls a success
        return DELIVERED, now_us
    attempt = one.delivery.attempts + 1
    lasting = one.final or (one.status and one.status not in _RETRIED)
    if lasting or attempt > len(PAUSES_SECONDS):
        return FAILED, now_us
    pause = PAUSES_SECONDS[attempt - 1]
    if re.fullmatch(r"\d{1,6}", one.retry_after, re.ASCII):
        pause = max(pause, min(int(one.retry_after), RETRY_AFTER_SECONDS_MAX))
    return WAITING, now_us + pause * _SECOND_US


def get(reader: Reader, delivery: str) -> Delivery:
    """Return a delivery.

    Raises:
        NotFound: there is none, or it is older than thirty days.
    """
    found = reader.get(Delivery, "webhooks.delivery", id=delivery)
    if found is None:
        raise NotFound(
            "delivery-not-found",
            "There is no such delivery.",
            where=delivery[:80],
            why="what ended is forgotten after thirty days",
            fix="ropewalk webhook deliveries WEBHOOK",
        )
    return found


def of_webhook(
    reader: Reader, webhook: str, *, state: str = "", count: int = 100, token: str = ""
) -> tuple[list[Delivery], str]:
    """Return what a webhook was and is to be told, newest event first, and the token for what follows, or empty.

    Args:
        reader: of the store.
        webhook: its id; one that is deleted still has deliveries.
        state: only those in it; all when empty.
        count: of a page, 1 to 1,000.
        token: what the page before gave.

    Raises:
        Invalid: there is no such state or token, or the count is none.
    """
    if state and state not in STATES:
        raise Invalid(
            "status-unknown",
            "There is no such state of a delivery.",
            where=state[:80],
            why=f"it is one of {', '.join(STATES)}",
        )
    if not 1 <= count <= PAGE_MAX:
        raise Invalid(
            "count-invalid", "A page cannot have so many results.", where="count", why=f"it is 1 to {PAGE_MAX:,}"
        )
    search = ["deliveries", webhook, state]
    (before,) = paging.after(token, search, "i") or (_NEWEST,)
    found = reader.all(Delivery, "webhooks.deliveries", webhook=webhook, state=state, before=before, count=count + 1)
    more = paging.token(search, (found[count - 1].event,)) if len(found) > count else ""
    return found[:count], more


def counts(reader: Reader, webhook: str) -> dict[str, int]:
    """Return how many deliveries of a webhook are in each state; those that ended are known for thirty days."""
    found = {str(row["state"]): int(str(row["deliveries"])) for row in reader.rows("webhooks.counts", webhook=webhook)}
    return {state: found.get(state, 0) for state in STATES}


def again(tx: Transaction, site: Site, delivery: str) -> Delivery:
    """Let a delivery that was given up be tried once more, now; return it as it then waits.

    Raises:
        NotFound: there is no such delivery.
        Conflict: it waits already, or was heard.
    """
    found = get(tx, delivery)
    now_us = site.clock.now_us()
    if not tx.run("webhooks.again", id=delivery, next_us=now_us):
        raise Conflict(
            "delivery-not-ended",
            "Only what was given up is tried again.",
            where=delivery[:80],
            why=f"it is {found.state}, or its webhook is deleted",
            fix="ropewalk webhook deliveries WEBHOOK",
        )
    body = {"delivery": delivery, "event": found.event, "was": found.state}
    site.record(tx, "webhook.repeated", f"webhook:{found.webhook}", body)
    return get(tx, delivery)


def attempts(reader: Reader, delivery: str) -> list[Attempt]:
    """Return the tries of a delivery, first one first."""
    return reader.all(Attempt, "webhooks.attempts", delivery=delivery)


def prune(tx: Transaction, before_us: int) -> int:
    """Forget what ended before a time; return how many deliveries."""
    tx.run("webhooks.prune_attempts", before_us=before_us)
    return tx.run("webhooks.prune_deliveries", before_us=before_us)


def _read_to(reader: Reader) -> int:
    found = reader.value("events.reader", reader=READER)
    return found if isinstance(found, int) else 0
