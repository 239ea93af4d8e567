"""`ropewalk status` shows who answers, what is on its way and what is wrong, on one page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.cli.parse import count

if TYPE_CHECKING:
    from ropewalk.observations.alert import Alert
    from ropewalk.releases.release import Release
    from ropewalk.releases.traffic import Traffic
    from ropewalk.runs.run import Run
    from ropewalk.store.database import Reader

EXAMPLE = """
ropewalk status
ropewalk status --json
"""
MARK = {"passed": "+", "failed": "x", "skipped": "-", "waiting": "~"}
LEGEND = "+ passed  - nothing to do  x failed  ~ under way  . not reached"
RUNS_SHOWN = 3


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add how many releases to show."""
    parser.add_argument("--count", type=count, default=5, help="how many releases to show, newest first")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Declare the dead dead, then print endpoints, releases, runs and open alerts."""
    from ropewalk.house import open_house
    from ropewalk.loops.rescue import Rescue
    from ropewalk.models import versions
    from ropewalk.observations import alert
    from ropewalk.releases import approval, release, traffic
    from ropewalk.runs import search

    with open_house(options.project, create=False) as house:
        Rescue(house.site).turn()
        with house.site.db.read() as rows:
            serving = [now for name in traffic.endpoints(rows) if (now := traffic.current(rows, name)) is not None]
            found = release.listed(rows, count=options.count)
            alerts = alert.listed(rows, state="open")
            lines = {one.id: _line(rows, one) for one in found}
            runs = search.search(rows, count=RUNS_SHOWN).runs
            missing = approval.missing(rows, house.site, found[0]) if found and found[0].state == "waiting" else 0
            trained = versions.latest(rows, house.settings.model_name) is not None
    _serving(serving, out)
    _releases(found, lines, out)
    _runs(runs, out)
    _alerts(alerts, out)
    out.result(
        {
            "endpoints": [
                {
                    "name": one.endpoint,
                    "champion": one.champion,
                    "canary": one.canary,
                    "weight_bp": one.canary_weight_bp,
                }
                for one in serving
            ],
            "releases": [{"id": one.id, "state": one.state, "bundle": one.bundle, "error": one.error} for one in found],
            "runs": [{"id": one.id, "name": one.name, "state": one.state, "error": one.error} for one in runs],
            "alerts": [{"monitor": one.monitor, "reason": one.reason} for one in alerts],
        }
    )
    out.next(*_next(serving, found, runs, trained=trained, missing=missing))


def _serving(serving: Sequence[Traffic], out: Output) -> None:
    from ropewalk.clock import iso

    for now in serving:
        split = f", canary {now.canary} {now.canary_weight_bp / 100:g} %" if now.canary else ""
        shadow = f", shadow {now.shadow}" if now.shadow else ""
        since = f"since {iso(now.at_us)[:16].replace('T', ' ')} UTC: {now.reason}"
        out.line(f"endpoint {now.endpoint}: {now.champion}{split}{shadow}  ({since})")
    if not serving:
        out.line("nothing answers yet")


def _releases(found: Sequence[Release], lines: dict[str, str], out: Output) -> None:
    from ropewalk.releases.outcome import STAGES

    if not found:
        return
    out.line()
    stages = " ".join(STAGES)
    out.table(("release", "state", stages, "why"), [(one.id, one.state, lines[one.id], one.error) for one in found])
    out.line(LEGEND, style="dim")


def _runs(runs: Sequence[Run], out: Output) -> None:
    from ropewalk.clock import iso

    if not runs:
        return
    out.line()
    rows = [(one.name, one.state, iso(one.started_us)[:16].replace("T", " "), one.error) for one in runs]
    out.table(("run", "state", "started (UTC)", "why"), rows)


def _alerts(alerts: Sequence[Alert], out: Output) -> None:
    from ropewalk.clock import iso

    if alerts:
        out.line()
    for one in alerts:
        out.line(
            f"ALERT {one.monitor} since {iso(one.opened_us)[:16].replace('T', ' ')} UTC: {one.reason}", style="red"
        )


def _line(rows: Reader, one: Release) -> str:
    from ropewalk.releases.outcome import STAGES, outcomes

    reached = {item.stage: item.state for item in outcomes(rows, one.id)}
    if one.state in ("canary", "waiting"):
        reached["canary"] = "waiting"
    return " ".join(f"{MARK.get(reached.get(stage, ''), '.'):^{len(stage)}}" for stage in STAGES)


def _next(
    serving: Sequence[Traffic], found: Sequence[Release], runs: Sequence[Run], *, trained: bool, missing: int
) -> list[str]:
    """Return what the newest release and run wait for, then what is always there."""
    from ropewalk.cli.run import command_of

    commands: list[str] = []
    if runs and runs[0].state in ("interrupted", "failed"):
        commands.append(command_of(runs[0]))
    newest = found[0] if found else None
    if newest is not None and missing:
        commands.append(f"ropewalk approve {newest.id}   # somebody other than {newest.author}")
    if newest is not None and newest.state in ("interrupted", "failed", "waiting"):
        commands.append(f"ropewalk ship --release {newest.id}")
    if newest is None and runs and not commands:
        commands.append("ropewalk ship" if trained else f"ropewalk runs {runs[0].name}")
    return [*commands, "ropewalk up"] if serving else commands or ["ropewalk run"]
