"""What the console shows of webhooks: whom, of what, and what became of each message."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request

from ropewalk.access.roles import OPERATE
from ropewalk.api.routes import CALLER, allowed
from ropewalk.console.words import at
from ropewalk.errors import Invalid
from ropewalk.house import House
from ropewalk.store.database import Reader
from ropewalk.webhooks import delivery as deliveries
from ropewalk.webhooks import webhook as webhooks
from ropewalk.webhooks.delivery import STATES, WAITING, Delivery
from ropewalk.webhooks.webhook import ACTIVE, Webhook

ROWS_SHOWN = 50
BODY_LETTERS = 4000


def list_hooks(_house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what the page of webhooks shows."""
    token = request.query_params.get("after", "")
    problem, found, after = None, [], ""
    try:
        found, after = webhooks.listed(rows, count=ROWS_SHOWN, token=token)
    except Invalid as error:
        problem = error
    return {
        "hooks": [_row(rows, one, request) for one in found],
        "problem": problem,
        "next": f"/webhooks?{urlencode({'after': after})}" if after else "",
        "first": "/webhooks" if token else "",
    }


def _row(rows: Reader, hook: Webhook, request: Request) -> dict[str, Any]:
    counts = deliveries.counts(rows, hook.id)
    caller = request.scope.get(CALLER)
    # An address may hold a key: only those who may change it see all of it.
    whole = caller is None or allowed(caller, OPERATE)
    return {
        "id": hook.id,
        "name": hook.name,
        "address": f"/webhooks/{hook.id}",
        "url": hook.url if whole else f"{urlsplit(hook.url).scheme}://{urlsplit(hook.url).hostname}/…",
        "state": "active" if hook.status == ACTIVE else "paused",
        "description": hook.description,
        "signed": hook.secret is not None,
        "events": [one.kind for one in webhooks.events(rows, hook.id)],
        "counts": [(word, counts[word]) for word in STATES if counts[word]],
        "made": f"{at(hook.created_us)} by {hook.author}",
        "changed": at(hook.updated_us),
    }


def show_hook(house: House, rows: Reader, request: Request) -> dict[str, Any]:
    """Return what a webhook's page shows.

    Raises:
        NotFound: there is no such webhook.
    """
    hook = webhooks.get(rows, request.path_params["webhook"])
    state, token = request.query_params.get("state", ""), request.query_params.get("after", "")
    state = state if state in STATES else ""
    try:
        found, after = deliveries.of_webhook(rows, hook.id, state=state, count=ROWS_SHOWN, token=token)
    except Invalid:
        token = ""
        found, after = deliveries.of_webhook(rows, hook.id, state=state, count=ROWS_SHOWN)
    home = f"/webhooks/{hook.id}"
    said = {"state": state} if state else {}
    now_us = house.site.clock.now_us()
    return {
        "hook": _row(rows, hook, request),
        "deliveries": [_delivery(rows, one, now_us) for one in found],
        "states": [("all", home, not state), *((word, f"{home}?state={word}", word == state) for word in STATES)],
        "next": f"{home}?{urlencode({**said, 'after': after})}#deliveries" if after else "",
        "first": f"{home}?{urlencode(said)}#deliveries" if token else "",
    }


def _delivery(rows: Reader, one: Delivery, now_us: int) -> dict[str, Any]:
    tries = deliveries.attempts(rows, one.id)
    last = tries[-1] if tries else None
    if one.state == WAITING:
        told = "due now" if one.next_us <= now_us else f"next try {at(one.next_us)}"
    else:
        told = at(one.ended_us)
    return {
        "id": one.id,
        "event": f"{one.entity}.{one.action}",
        "state": one.state,
        "lost": one.state not in (WAITING, deliveries.DELIVERED),
        "attempts": one.attempts,
        "answer": "" if last is None else str(last.status or "no answer"),
        "error": "" if last is None else last.error,
        "made": at(one.created_us),
        "told": told,
        "body": one.body[:BODY_LETTERS],
        "tries": [
            {"attempt": item.attempt, "at": at(item.at_us), "answer": item.status or "no answer", "error": item.error}
            for item in tries
        ],
    }
