"""What a webhook is sent: the event's body, and headers by which it knows the sender and the repetition."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Mapping

from ropewalk import __version__
from ropewalk.clock import iso
from ropewalk.webhooks.events import Event

_VERSION = "v1"


def body_of(event: Event, at_us: int, data: Mapping[str, object]) -> str:
    """Return the JSON that tells of an event.

    Args:
        event: what happened.
        at_us: when, microseconds since the epoch.
        data: to what.
    """
    words = {"entity": event.entity, "action": event.action, "timestamp": iso(at_us), "data": data}
    return json.dumps(words, ensure_ascii=False)


def headers_of(delivery: str, at_us: int, body: str, secret: str) -> dict[str, str]:
    """Return the headers of one attempt; with a secret it is signed.

    The signature is HMAC-SHA256 over `DELIVERY.SECONDS.BODY`, as MLflow and Standard Webhooks have it. Who repeats a
    message later does so under the same delivery id, with a new time and signature.

    Args:
        delivery: id that stays the same however often it is tried.
        at_us: now, microseconds since the epoch.
        body: what is sent.
        secret: in the clear; empty for none.
    """
    seconds = str(at_us // 1_000_000)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"ropewalk/{__version__}",
        "X-MLflow-Delivery-Id": delivery,
        "X-MLflow-Timestamp": seconds,
    }
    if secret:
        headers["X-MLflow-Signature"] = signature(secret, delivery, seconds, body)
    return headers


def signature(secret: str, delivery: str, seconds: str, body: str) -> str:
    """Return `v1,` and the HMAC-SHA256 of a message in base64."""
    signed = hmac.digest(secret.encode(), f"{delivery}.{seconds}.{body}".encode(), "sha256")
    return f"{_VERSION},{base64.b64encode(signed).decode()}"
