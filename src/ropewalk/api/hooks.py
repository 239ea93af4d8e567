"""The native routes of webhooks: what each was told, what became of it, and another try of what was given up."""

from __future__ import annotations

from dataclasses import dataclass

from ropewalk.api.routes import Ask, Door, whole_number
from ropewalk.webhooks import delivery as deliveries
from ropewalk.webhooks import webhook as webhooks
from ropewalk.webhooks.delivery import PAGE_MAX, STATES, Attempt, Delivery


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveriesPage:
    """What a webhook was told, newest event first; `next` is given as `after` to get what follows."""

    deliveries: tuple[Delivery, ...]
    counts: dict[str, int]
    next: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """One delivery with its tries, first one first."""

    delivery: Delivery
    attempts: tuple[Attempt, ...]


def list_deliveries(ask: Ask) -> DeliveriesPage:
    """Return what a webhook was and is to be told."""
    count = max(1, whole_number(ask.query, "count", 100, PAGE_MAX))
    with ask.house.site.db.read() as rows:
        hook = webhooks.get(rows, ask.path["webhook"])
        found, token = deliveries.of_webhook(
            rows, hook.id, state=ask.query.get("state", ""), count=count, token=ask.query.get("after", "")
        )
        return DeliveriesPage(deliveries=tuple(found), counts=deliveries.counts(rows, hook.id), next=token)


def show_delivery(ask: Ask) -> Tried:
    """Return one delivery with its tries."""
    with ask.house.site.db.read() as rows:
        found = deliveries.get(rows, ask.path["delivery"])
        return Tried(delivery=found, attempts=tuple(deliveries.attempts(rows, found.id)))


def retry_delivery(ask: Ask) -> Delivery:
    """Try once more what was given up."""
    site = ask.house.site
    return site.db.write(lambda tx: deliveries.again(tx, site, ask.path["delivery"]))


DOORS = (
    Door(
        method="GET",
        path="/api/v1/webhooks/{webhook}/deliveries",
        summary="What a webhook was told and what became of it, newest event first",
        answer=list_deliveries,
        result=DeliveriesPage,
        action="read",
        query={
            "state": f"{', '.join(STATES)}; all when left out",
            "after": "`next` of the page before",
            "count": f"how many, {PAGE_MAX} at most",
        },
    ),
    Door(
        method="GET",
        path="/api/v1/deliveries/{delivery}",
        summary="One delivery to a webhook with its tries",
        answer=show_delivery,
        result=Tried,
        action="read",
        query={},
    ),
    Door(
        method="POST",
        path="/api/v1/deliveries/{delivery}/retry",
        summary="Try once more, now, a delivery that was given up",
        answer=retry_delivery,
        result=Delivery,
        action="operate",
        query={},
    ),
)
