"""Blast radius: every prediction that a release made, for whom, from when until when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ropewalk.endpoints.capture import each
from ropewalk.releases import release as releases
from ropewalk.site import Site
from ropewalk.store.database import Reader

if TYPE_CHECKING:
    import polars as pl

COLUMNS = ("id", "at_us", "event_us", "endpoint", "release", "role", "key", "status", "error", "latency_us")
SHADOW, OK = "shadow", "ok"
KEYS_SHOWN = 20
_FOREVER_US = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A time in which a release had a share of an endpoint's traffic.

    Attributes:
        endpoint: where.
        role: `champion`, `canary` or `shadow`.
        share: the largest share of the traffic that it had, 0 to 1.
        since_us: when it began, microseconds since the epoch.
        until_us: when it ended; None where it still has it.
    """

    endpoint: str
    role: str
    share: float
    since_us: int
    until_us: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What one key was answered.

    Attributes:
        key: as callers gave it.
        predictions: how many.
        first_us: arrival of the first.
        last_us: arrival of the last.
    """

    key: str
    predictions: int
    first_us: int
    last_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Radius:
    """What a release did.

    Attributes:
        release: which.
        predictions: rows that it was asked for and whose answer a caller got, errors too; shadows are not among them.
        answered: those with a usable answer.
        statuses: how many by status.
        roles: how many by role.
        shadowed: rows that it answered as a shadow, which nobody got.
        keys: how many different keys.
        without_key: predictions whose caller gave none.
        first_us: arrival of the first prediction; None without any.
        last_us: arrival of the last.
        spans: when it had traffic.
        callers: the keys with the most predictions, at most as many as were asked for.
    """

    release: str
    predictions: int
    answered: int
    statuses: dict[str, int]
    roles: dict[str, int]
    shadowed: int
    keys: int
    without_key: int
    first_us: int | None
    last_us: int | None
    spans: tuple[Span, ...]
    callers: tuple[Caller, ...]


def tables(
    site: Site, release: str, columns: tuple[str, ...] | None = COLUMNS, *, shadow: bool = False
) -> Iterator[pl.DataFrame]:
    """Yield every prediction of a release, a table at a time, so that any number of them needs little memory.

    Args:
        site: the project.
        release: such as `flights/3`.
        columns: only these; None for all, inputs and outputs too.
        shadow: those that it answered as a shadow too.

    Raises:
        NotFound: there is no such release.
        Corrupt: a segment's bytes are not the ones that were sealed.
    """
    import polars as pl

    with site.db.read() as rows:
        releases.get(rows, release)
        spans = _spans(rows, release)
    for endpoint in sorted({span.endpoint for span in spans}):
        since_us = min(span.since_us for span in spans if span.endpoint == endpoint)
        for table in each(site, endpoint, since_us=since_us, columns=columns):
            kept = table.filter(pl.col("release") == release)
            kept = kept if shadow else kept.filter(pl.col("role") != SHADOW)
            if kept.height:
                yield kept if columns is None else kept.select([name for name in columns if name in kept.columns])


def radius(site: Site, release: str, *, callers: int = KEYS_SHOWN) -> Radius:
    """Return the sums over a release's predictions; memory grows with the number of different keys alone.

    Args:
        site: the project.
        release: such as `flights/3`.
        callers: how many keys to name.

    Raises:
        NotFound: there is no such release.
        Corrupt: a segment's bytes are not the ones that were sealed.
    """
    import polars as pl

    statuses, roles = Counter[str](), Counter[str]()
    shadowed = without = 0
    by_key: dict[str, tuple[int, int, int]] = {}
    first_us, last_us = _FOREVER_US, -_FOREVER_US
    for table in tables(site, release, ("id", "at_us", "role", "status", "key"), shadow=True):
        told = table.filter(pl.col("role") != SHADOW)
        shadowed += table.height - told.height
        if not told.height:
            continue
        statuses.update(_counts(told, "status"))
        roles.update(_counts(told, "role"))
        without += told.get_column("key").null_count()
        low, high = told.select(pl.col("at_us").min().alias("low"), pl.col("at_us").max().alias("high")).row(0)
        first_us, last_us = min(first_us, low), max(last_us, high)
        for key, count, since, until in _by_key(told):
            known = by_key.get(key, (0, _FOREVER_US, -_FOREVER_US))
            by_key[key] = (known[0] + count, min(known[1], since), max(known[2], until))
    with site.db.read() as rows:
        spans = tuple(_spans(rows, release))
    total = statuses.total()
    return Radius(
        release=release,
        predictions=total,
        answered=statuses[OK],
        statuses=dict(sorted(statuses.items())),
        roles=dict(sorted(roles.items())),
        shadowed=shadowed,
        keys=len(by_key),
        without_key=without,
        first_us=first_us if total else None,
        last_us=last_us if total else None,
        spans=spans,
        callers=_most(by_key, callers),
    )


def _most(by_key: dict[str, tuple[int, int, int]], callers: int) -> tuple[Caller, ...]:
    most = sorted(by_key.items(), key=lambda item: (-item[1][0], item[0]))[:callers]
    return tuple(
        Caller(key=key, predictions=count, first_us=since, last_us=until) for key, (count, since, until) in most
    )


def _counts(table: pl.DataFrame, name: str) -> dict[str, int]:
    return dict(table.group_by(name).len().iter_rows())


def _by_key(table: pl.DataFrame) -> Iterator[tuple[str, int, int, int]]:
    import polars as pl

    keyed = table.filter(pl.col("key").is_not_null())
    at = pl.col("at_us")
    yield from (
        keyed.group_by("key").agg(pl.len().alias("count"), at.min().alias("since"), at.max().alias("until")).iter_rows()
    )


def _spans(rows: Reader, release: str) -> list[Span]:
    """Return the times in which a release had traffic; generations of one role that follow each other are one span."""
    found: list[Span] = []
    changes: list[Any] = [*rows.rows("evidence.traffic_of_release", release=release), None]
    for one, after in pairwise(changes):
        until = int(after["at_us"]) if after is not None and after["endpoint"] == one["endpoint"] else None
        share = int(one["canary_weight_bp"]) / 10_000
        for role, part in (("champion", 1 - share if one["canary"] else 1.0), ("canary", share), (SHADOW, 0.0)):
            if one[role] != release:
                continue
            last = next((span for span in reversed(found) if span.role == role), None)
            joined = last is not None and (last.endpoint, last.until_us) == (one["endpoint"], int(one["at_us"]))
            if last is not None and joined:
                found.remove(last)
            found.append(
                Span(
                    endpoint=str(one["endpoint"]),
                    role=role,
                    share=max(part, last.share) if last is not None and joined else part,
                    since_us=last.since_us if last is not None and joined else int(one["at_us"]),
                    until_us=until,
                )
            )
    return sorted(found, key=lambda span: (span.endpoint, span.since_us, span.role))
