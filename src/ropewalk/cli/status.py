"""`ropewalk status` shows who answers, what is on its way and what is wrong, on one page."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.releases.release import Release
    from ropewalk.store.database import Reader

EXAMPLE = """
ropewalk status
ropewalk status --json
"""
MARK = {"passed": "+", "failed": "x", "skipped": "-", "waiting": "~"}


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add how many releases to show."""
    parser.add_argument("--count", type=int, default=5, help="how many releases to show, newest first")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Declare the dead dead, then print endpoints, releases and open alerts."""
    from ropewalk.clock import iso
    from ropewalk.house import open_house
    from ropewalk.observations import alert
    from ropewalk.releases import outcome, release, traffic

    with open_house(options.project, create=False) as house:
        _bury(house)
        with house.site.db.read() as rows:
            serving = [traffic.current(rows, name) for name in traffic.endpoints(rows)]
            found = release.listed(rows, count=max(1, options.count))
            alerts = alert.listed(rows, state="open")
            lines = {one.id: _line(rows, one) for one in found}
    for now in serving:
        if now is not None:
            share = now.canary_weight_bp / 100
            split = f", {now.canary} {share:g} %" if now.canary else ""
            shadow = f", shadow {now.shadow}" if now.shadow else ""
            out.line(f"{now.endpoint}: {now.champion}{split}{shadow}  (since {iso(now.at_us)[:19]}: {now.reason})")
    if not serving:
        out.line("nothing answers yet")
    out.line()
    stages = " ".join(outcome.STAGES)
    out.table(("release", "state", stages, "why"), [(one.id, one.state, lines[one.id], one.error) for one in found])
    for one in alerts:
        out.line(f"alert {one.monitor} since {iso(one.opened_us)[:19]}: {one.reason}")
    out.result(
        {
            "endpoints": [
                {
                    "name": now.endpoint,
                    "champion": now.champion,
                    "canary": now.canary,
                    "weight_bp": now.canary_weight_bp,
                }
                for now in serving
                if now is not None
            ],
            "releases": [{"id": one.id, "state": one.state, "bundle": one.bundle} for one in found],
            "alerts": [{"monitor": one.monitor, "reason": one.reason} for one in alerts],
        }
    )
    out.next("ropewalk ship" if not serving else "ropewalk up")


def _bury(house: House) -> None:
    """Whoever looks may declare a dead holder's work interrupted."""
    from ropewalk.loops.rescue import Rescue

    Rescue(house.site).turn()


def _line(rows: Reader, one: Release) -> str:
    from ropewalk.releases.outcome import STAGES, outcomes

    reached = {item.stage: item.state for item in outcomes(rows, one.id)}
    return " ".join(f"{MARK.get(reached.get(stage, ''), '.'):^{len(stage)}}" for stage in STAGES)
