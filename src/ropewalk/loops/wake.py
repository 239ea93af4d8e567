"""When a project that nobody has open has something to do next: a message to send, a start that is due."""

from __future__ import annotations

from collections.abc import Iterator

from ropewalk.schedules import fire as fires
from ropewalk.schedules import schedule as schedules
from ropewalk.schedules.spec import EVENT, FILES, QUERY
from ropewalk.schedules.times import times
from ropewalk.store.database import Reader
from ropewalk.webhooks import delivery as deliveries


def next_us(reader: Reader, now_us: int) -> int | None:
    """Return when it is to be opened next, at the latest; None while it has nothing to do by itself.

    It is now, however often one asks, while a start waits or runs, and where a schedule looks at files or at a query:
    such a project does not rest.

    Args:
        reader: the project's rows.
        now_us: microseconds since the epoch.
    """
    return min(_moments(reader, now_us), default=None)


def _moments(reader: Reader, now_us: int) -> Iterator[int]:
    news = deliveries.has_news(reader)
    waiting = reader.value("webhooks.next_due")
    if waiting is not None:
        yield int(str(waiting))
    if news and int(str(reader.value("webhooks.count"))):
        yield now_us
    if fires.open_fires(reader):
        yield now_us
    for one in schedules.every(reader, removed=False):
        if one.state != schedules.ACTIVE:
            continue
        spec = one.said
        if spec.timed:
            yield from (at_us for at_us, _ in zip(times(spec, one.cursor_us), range(1), strict=False))
        elif spec.kind in (FILES, QUERY) or (spec.kind == EVENT and news):
            yield now_us
