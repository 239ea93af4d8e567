"""What labels and reports share at the door: whose they are, and when they became known."""

from __future__ import annotations

from ropewalk.api.routes import Ask
from ropewalk.clock import from_iso
from ropewalk.errors import Invalid, NotFound
from ropewalk.releases import traffic


def endpoint_of(ask: Ask) -> str:
    """Return the name of the endpoint that is told of.

    Raises:
        NotFound: there is none of this name.
    """
    name = ask.path["name"]
    with ask.house.site.db.read() as rows:
        known = traffic.endpoints(rows)
    if name not in known:
        raise NotFound(
            "endpoint-not-found", "There is no such endpoint.", where=f"endpoint {name[:80]}", fix="ropewalk status"
        )
    return name


def known_us(text: str, now_us: int, code: str, thing: str) -> int:
    """Return when something became known, microseconds since the epoch; now where it is not said.

    Raises:
        Invalid: the text is not ISO 8601; with this code, and this thing's name in its sentence.
    """
    if not text:
        return now_us
    try:
        return from_iso(text)
    except (ValueError, OverflowError) as error:
        raise Invalid(
            code,
            f"A {thing}'s time is not ISO 8601; nothing of the batch was kept.",
            where="time",
            why=f"found {text[:80]!r}",
            fix='"time": "2013-09-01T06:00:00Z"',
        ) from error
