"""A webhook: an address, what it is told of, and whether it is told now."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from ropewalk.errors import Conflict, Invalid, NotFound
from ropewalk.models.registered import hash_of
from ropewalk.models.spelling import check_text
from ropewalk.refs import uuid7
from ropewalk.runs import paging
from ropewalk.site import Site
from ropewalk.store.database import Reader, Transaction
from ropewalk.webhooks.events import Event
from ropewalk.webhooks.secret import decrypt, encrypt

ACTIVE = "ACTIVE"
DISABLED = "DISABLED"
STATUSES = (ACTIVE, DISABLED)
WEBHOOKS_MAX = 1000
PAGE_MAX = 1000
DESCRIPTION_LETTERS_MAX = 1000
SECRET_LETTERS_MAX = 1000
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_ALWAYS_US = (1 << 63) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """One webhook.

    Attributes:
        id: UUID version 7.
        name: what people call it; several may have the same.
        url: where it leads; `target.target_of` says where it may.
        description: what people say of it.
        secret: encrypted; None when its messages are not signed.
        status: `ACTIVE` or `DISABLED`.
        author: who made it.
        since: number of the newest event when it was made; it is told of later ones.
        created_us: microseconds since the epoch.
        updated_us: microseconds since the epoch.
    """

    id: str
    name: str
    url: str
    description: str
    secret: bytes | None
    status: str
    author: str
    since: int
    created_us: int
    updated_us: int

    @property
    def subject(self) -> str:
        """How the ledger names it."""
        return f"webhook:{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What a webhook is to be; None leaves a field as it is, or at its default.

    Attributes:
        name: see `Webhook`.
        url: see `Webhook`; the caller has checked where it leads.
        events: what it is told of.
        description: see `Webhook`.
        secret: in the clear; an empty one takes it away.
        status: see `Webhook`.
    """

    name: str | None = None
    url: str | None = None
    events: Sequence[Event] | None = None
    description: str | None = None
    secret: str | None = None
    status: str | None = None


def create(tx: Transaction, site: Site, wish: Wish, identifier: str = "") -> Webhook:
    """Make a webhook; it is told of what happens from now on.

    Args:
        tx: the caller's transaction.
        site: the project.
        wish: what it is to be.
        identifier: its id, where it was made elsewhere; a new one when empty.

    Raises:
        Invalid: name, events, status or a text is none, or there are 1,000 webhooks already.
    """
    _check(wish)
    if wish.name is None or wish.url is None or wish.events is None:
        raise _invalid("name, url and events must be given")
    if int(str(tx.value("webhooks.count"))) >= WEBHOOKS_MAX:
        raise _invalid(f"there are {WEBHOOKS_MAX:,} already")
    now_us = site.clock.now_us()
    made = identifier or uuid7(now_us)
    tx.run(
        "webhooks.insert",
        id=made,
        name=wish.name,
        url=wish.url,
        description=wish.description or "",
        secret=encrypt(site, made, wish.secret) if wish.secret else None,
        status=wish.status or ACTIVE,
        author=site.actor,
        since=int(str(tx.value("events.newest"))),
        created_us=now_us,
    )
    _put_events(tx, made, wish.events)
    return _told(tx, site, made, "webhook.created")


def get(reader: Reader, webhook: str) -> Webhook:
    """Return a webhook.

    Raises:
        NotFound: there is none.
    """
    found = reader.get(Webhook, "webhooks.get", id=webhook)
    if found is None:
        raise NotFound(
            "webhook-not-found",
            f"Webhook with ID {webhook[:80]} not found.",
            where=webhook[:80],
            fix="ropewalk webhook list",
        )
    return found


def find(reader: Reader, text: str) -> Webhook:
    """Return the webhook of an id, or of a name that only one has.

    Raises:
        NotFound: there is none.
        Conflict: several have this name.
    """
    found, _ = listed(reader, count=PAGE_MAX)
    named = [one for one in found if one.name == text and text != one.id]
    if len(named) > 1:
        raise Conflict(
            "webhook-name-shared",
            "Several webhooks have this name.",
            where=text[:80],
            why=f"their ids are {', '.join(one.id for one in named[:8])}",
            fix=f"ropewalk webhook deliveries {named[0].id}",
        )
    return named[0] if named else get(reader, text)


def events(reader: Reader, webhook: str) -> tuple[Event, ...]:
    """Return what a webhook is told of, in order."""
    return tuple(reader.all(Event, "webhooks.events", webhook=webhook))


def listed(reader: Reader, *, count: int = 100, token: str = "") -> tuple[list[Webhook], str]:
    """Return webhooks, newest first, and the token for those that follow, empty when there are none.

    Raises:
        Invalid: the count is not 1 to 1,000, or the token is none of this list.
    """
    if not 1 <= count <= PAGE_MAX:
        raise Invalid(
            "count-invalid",
            "A page cannot have so many results.",
            where="max_results",
            why=f"it is 1 to {PAGE_MAX:,}, found {count}",
        )
    created_us, last = paging.after(token, "webhooks", "is") or (_ALWAYS_US, "")
    found = reader.all(Webhook, "webhooks.page", created_us=created_us, id=last, count=count + 1)
    more = paging.token("webhooks", (found[count - 1].created_us, found[count - 1].id)) if len(found) > count else ""
    return found[:count], more


def update(tx: Transaction, site: Site, webhook: str, wish: Wish) -> Webhook:
    """Change what a wish names; return the webhook as it then stands.

    Raises:
        Invalid: name, events, status or a text is none.
        NotFound: there is no such webhook.
    """
    _check(wish)
    found = get(tx, webhook)
    secret = found.secret
    if wish.secret is not None:
        secret = encrypt(site, webhook, wish.secret) if wish.secret else None
    tx.run(
        "webhooks.update",
        id=webhook,
        name=found.name if wish.name is None else wish.name,
        url=found.url if wish.url is None else wish.url,
        description=found.description if wish.description is None else wish.description,
        secret=secret,
        status=found.status if wish.status is None else wish.status,
        updated_us=site.clock.now_us(),
    )
    if wish.events is not None:
        tx.run("webhooks.events_delete", webhook=webhook)
        _put_events(tx, webhook, wish.events)
    return _told(tx, site, webhook, "webhook.updated")


def delete(tx: Transaction, site: Site, webhook: str) -> None:
    """Delete a webhook with its secret; what still waits for it is given up.

    Raises:
        NotFound: there is none.
    """
    found = get(tx, webhook)
    tx.run("webhooks.delete", id=webhook, deleted_us=site.clock.now_us())
    site.record(tx, "webhook.deleted", found.subject, {"name": found.name})


def secret_of(site: Site, found: Webhook) -> str:
    """Return a webhook's secret in the clear, empty when it has none.

    Raises:
        Corrupt: it cannot be read.
    """
    return "" if found.secret is None else decrypt(site, found.id, bytes(found.secret))


def _told(tx: Transaction, site: Site, webhook: str, kind: str) -> Webhook:
    """Write a change into the ledger, without what only its owner should know: addresses hold keys too."""
    found = get(tx, webhook)
    body = {
        "name": found.name,
        "host": urlsplit(found.url).hostname,
        "url": hash_of(found.url),
        "events": [one.kind for one in events(tx, webhook)],
        "status": found.status,
        "signed": found.secret is not None,
    }
    site.record(tx, kind, found.subject, body)
    return found


def _put_events(tx: Transaction, webhook: str, wanted: Sequence[Event]) -> None:
    rows = [{"webhook": webhook, "entity": one.entity, "action": one.action} for one in wanted]
    tx.many("webhooks.event_insert", rows)


def _check(wish: Wish) -> None:
    if wish.name is not None and not _NAME.fullmatch(wish.name):
        raise _invalid("a name is 1 to 63 letters, digits, '.', '_' and '-', with a letter or digit at both ends")
    if wish.events is not None and not wish.events:
        raise _invalid("it must be told of one event at least")
    if wish.status is not None and wish.status not in STATUSES:
        raise Invalid(
            "status-unknown",
            "There is no such status.",
            where=wish.status[:80],
            why=f"it is one of {', '.join(STATUSES)}",
        )
    check_text(wish.description or "", "description", DESCRIPTION_LETTERS_MAX)
    check_text(wish.secret or "", "secret", SECRET_LETTERS_MAX)


def _invalid(why: str) -> Invalid:
    return Invalid("webhook-invalid", "This cannot be a webhook.", why=why)
