"""Tells a webhook of an event: once more checked where it leads, signed, and said in bounded time."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ropewalk.errors import RopewalkError
from ropewalk.refs import uuid7
from ropewalk.site import Site
from ropewalk.webhooks import webhook as webhooks
from ropewalk.webhooks.events import EXAMPLES, Event
from ropewalk.webhooks.message import body_of, headers_of
from ropewalk.webhooks.post import TOTAL_SECONDS, Answer, post
from ropewalk.webhooks.target import Resolve, look_up, target_of
from ropewalk.webhooks.webhook import Webhook


@dataclass(frozen=True, slots=True, kw_only=True)
class Ways:
    """How the world is reached.

    Attributes:
        allow: hosts that may be private, from `ropewalk.toml`.
        resolve: returns a host's IP addresses.
        trust: whose certificates are believed; the machine's own when None.
        seconds: how long one message may take.
    """

    allow: Sequence[str] = ()
    resolve: Resolve = look_up
    trust: ssl.SSLContext | None = None
    seconds: float = TOTAL_SECONDS


def send(site: Site, hook: Webhook, delivery: str, body: str, ways: Ways) -> Answer:
    """Send a body to a webhook.

    Raises:
        Invalid: it leads where a webhook may not.
        Corrupt: its secret cannot be read.
        OSError: nobody answered in time.
    """
    target = target_of(hook.url, ways.allow, ways.resolve)
    headers = headers_of(delivery, site.clock.now_us(), body, webhooks.secret_of(site, hook))
    return post(target, body.encode(), headers, seconds=ways.seconds, trust=ways.trust)


def try_out(site: Site, hook: Webhook, event: Event, ways: Ways) -> Mapping[str, object]:
    """Send an example of an event; return `success`, and `response_status` with `response_body` or `error_message`."""
    now_us = site.clock.now_us()
    body = body_of(event, now_us, EXAMPLES[event.kind])
    try:
        found = send(site, hook, uuid7(now_us), body, ways)
    except RopewalkError as error:
        return {"success": False, "error_message": f"{error.what} {error.why}."}
    except OSError as error:
        return {"success": False, "error_message": f"Nobody answered: {said(error)}."}
    fine = 200 <= found.status < 300  # noqa: PLR2004 - what HTTP calls a success
    return {"success": fine, "response_status": found.status, "response_body": found.text}


def said(error: OSError) -> str:
    """Return an error of the network in a few words."""
    return str(error.strerror or error or type(error).__name__)[:200]
