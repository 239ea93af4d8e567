"""What the console shows of endpoints: the live split, the last minute's figures, a form with a real row."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from ropewalk.console.charts import split_bar
from ropewalk.console.tryit import fields
from ropewalk.console.words import at, share, shortened
from ropewalk.endpoints import unreleased
from ropewalk.endpoints.capture import read
from ropewalk.endpoints.served import Served, read_served
from ropewalk.errors import NotFound, RopewalkError
from ropewalk.house import House
from ropewalk.releases import release, traffic
from ropewalk.store.database import Reader

if TYPE_CHECKING:
    import polars as pl

MINUTE_US = 60_000_000
NEWEST_US = 3_600_000_000
HISTORY_SHOWN = 30
PREDICTIONS_SHOWN = 20


def cards(house: House, rows: Reader) -> list[dict[str, Any]]:
    """Return every endpoint that has traffic, and those at which a version has answered unreleased."""
    names = [*traffic.endpoints(rows), *(str(row["endpoint"]) for row in rows.rows("endpoints.unreleased"))]
    return [card(house, rows, name) for name in names]


def card(house: House, rows: Reader, name: str) -> dict[str, Any]:
    """Return one endpoint's split and its last minute.

    Raises:
        NotFound: nothing was ever live there.
    """
    now = unreleased.current(rows, name) if unreleased.is_unreleased(name) else traffic.current(rows, name)
    if now is None:
        raise NotFound("endpoint-not-found", "There is no such endpoint.", where=name[:80], fix="ropewalk status")
    canary = now.canary_weight_bp
    shares = [("champion", 1 - canary / 10_000)] + ([("canary", canary / 10_000)] if now.canary else [])
    total = int(str(rows.value("console.captured", endpoint=name)))
    return {
        "name": name,
        "since": f"since {at(now.at_us)}: {shortened(now.reason)}",
        "bar": split_bar(shares),
        "champion": now.champion,
        "champion_share": share(10_000 - canary),
        "canary": now.canary,
        "canary_share": share(canary),
        "shadow": now.shadow,
        "figures": _figures(house, name, total),
        "told": _told(now),
        "unreleased": unreleased.is_unreleased(name),
    }


def _told(now: traffic.Traffic) -> str:
    if unreleased.is_unreleased(now.endpoint):
        return "Unreleased: it answers while `ropewalk serve` runs, and has walked no stage of the line."
    return f"{now.previous} stays warm for a rollback." if now.previous else ""


def _figures(house: House, name: str, total: int) -> list[tuple[str, str]]:
    import polars as pl

    now_us = house.site.clock.now_us()
    wanted = ("status", "latency_us", "role")
    table = read(house.site, name, since_us=now_us - MINUTE_US, columns=wanted)
    if not table.height:
        return [("predictions kept", f"{total:,}"), ("last minute", "none")]
    answered = table.filter(pl.col("role") != "shadow")
    latency: Any = answered.get_column("latency_us")
    wrong = answered.filter(pl.col("status") != "ok").height
    return [
        ("predictions kept", f"{total:,}"),
        ("last minute", f"{answered.height:,}"),
        ("median", f"{(latency.median() or 0) / 1000:.2f} ms"),
        ("99 %", f"{(latency.quantile(0.99) or 0) / 1000:.2f} ms"),
        ("errors", f"{wrong:,}"),
    ]


def one(house: House, rows: Reader, name: str, base: str) -> dict[str, Any]:
    """Return everything that an endpoint's page shows.

    Args:
        house: the open project.
        rows: a view of the store.
        name: the endpoint.
        base: address of this server, without a slash at its end.

    Raises:
        NotFound: nothing was ever live there.
    """
    shown = card(house, rows, name)
    served = _served(house, rows, str(shown["champion"]))
    example = served.example if served else {}
    body = json.dumps({"records": [example]})
    return {
        "endpoint": shown,
        "fields": fields(served),
        "curl": f"curl -s {base}/endpoints/{name}/predict -H 'Content-Type: application/json' -d {shlex.quote(body)}",
        "history": [
            {
                "at": at(then.at_us),
                "champion": then.champion,
                "canary": then.canary,
                "share": share(then.canary_weight_bp) if then.canary else "",
                "reason": shortened(then.reason),
            }
            for then in traffic.history(rows, name, HISTORY_SHOWN)
        ],
        "predictions": _predictions(house, name),
    }


def _served(house: House, rows: Reader, champion: str) -> Served | None:
    try:
        if unreleased.is_unreleased(champion):
            return unreleased.served_of(house.site, unreleased.version_of(rows, champion))
        found = release.get(rows, champion)
        return read_served(house.site.blobs, found.id, found.bundle, found.environment)
    except RopewalkError:
        return None


def _predictions(house: House, name: str) -> list[dict[str, Any]]:
    now_us = house.site.clock.now_us()
    table: pl.DataFrame = read(house.site, name, since_us=now_us - NEWEST_US).tail(PREDICTIONS_SHOWN)
    return [
        {
            "id": row["id"],
            "at": at(row["at_us"]),
            "release": row["release"] + (" (shadow)" if row["role"] == "shadow" else ""),
            "status": row["status"],
            "millis": f"{row['latency_us'] / 1000:.2f}",
            "answer": _answer(row),
        }
        for row in reversed(table.to_dicts())
    ]


def _answer(row: dict[str, Any]) -> str:
    found = {
        key.removeprefix("out."): value for key, value in row.items() if key.startswith("out.") and value is not None
    }
    text = ", ".join(
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}" for key, value in found.items()
    )
    return text or str(row["error"] or "")
