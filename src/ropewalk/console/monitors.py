"""What the console shows of monitors: a chart for each, and the alarms."""

from __future__ import annotations

from typing import Any

from ropewalk.console.charts import Line, Point, line_chart
from ropewalk.console.proof import Chart
from ropewalk.console.words import at
from ropewalk.house import House
from ropewalk.observations import alert, windows
from ropewalk.releases import traffic
from ropewalk.settings import Monitor
from ropewalk.store.database import Reader

UNITS = {
    "drift": "distance from training",
    "output": "distance from training",
    "calibration": "mean prediction - rate",
    "quality": "loss above training",
    "errors": "share of errors",
}


def alerts(rows: Reader, *, state: str = "") -> list[dict[str, Any]]:
    """Return alarms, newest first."""
    return [
        {
            "monitor": one.monitor,
            "state": one.state,
            "opened": at(one.opened_us),
            "closed": at(one.closed_us),
            "told": f"{one.release} at {one.endpoint}, window from {at(one.window_us)}: {one.reason}"
            + (f". Closed: {one.closed_why}" if one.closed_why else "")
            + (f". Retraining: {one.run}" if one.run else ""),
            "evidence": one.evidence,
        }
        for one in alert.listed(rows, state=state)
    ]


def charts(house: House, rows: Reader) -> list[Chart]:
    """Return a chart for each monitor of each endpoint that has looked at something."""
    found = (
        _chart(rows, endpoint, monitor) for endpoint in traffic.endpoints(rows) for monitor in house.settings.monitors
    )
    return [chart for chart in found if chart.svg]


def _chart(rows: Reader, endpoint: str, monitor: Monitor) -> Chart:
    seen = sorted(windows.listed(rows, endpoint, monitor.name), key=lambda one: one.start_us)
    lines: dict[str, list[Point]] = {}
    for one in seen:
        if one.reading is not None:
            point = Point(at_us=one.start_us, value=one.reading, alarm=one.says == "alarm")
            lines.setdefault(one.release, []).append(point)
    limits = sorted({one.threshold for one in seen})
    both = [*limits, *(-limit for limit in limits)] if monitor.kind == "calibration" else limits
    what = f"{monitor.kind} of {monitor.column}" if monitor.column else monitor.kind
    told = ", ".join(lines) + f". Windows of {monitor.window} in event time; a red dot raised an alarm."
    return Chart(
        title=f"{endpoint}: {monitor.name} ({what})",
        svg=line_chart(
            monitor.name,
            UNITS.get(monitor.kind, ""),
            [Line(name=name, points=tuple(points)) for name, points in list(lines.items())[-4:]],
            both,
        ),
        told=told,
    )
