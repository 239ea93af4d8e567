"""`ropewalk rehearse RELEASE` plays recorded traffic to a release on staging and compares the answers."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output
from ropewalk.errors import Invalid, NotFound

if TYPE_CHECKING:
    from ropewalk.house import House
    from ropewalk.releases.rehearsal import Rehearsed

EXAMPLE = """
ropewalk rehearse churn/4
ropewalk rehearse churn/4 --speed 10 --rows 5000 --report rehearsal.html
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add what is played to whom, and how fast."""
    parser.add_argument("release", metavar="RELEASE", help="such as churn/4; it is served on staging for the time")
    parser.add_argument("--endpoint", default="", help="whose recorded traffic; the release's own when left out")
    parser.add_argument("--speed", type=float, default=10.0, metavar="N", help="times as fast as recorded (default 10)")
    parser.add_argument("--rows", type=int, default=0, metavar="N", help="the newest N rows; [qa] says how many else")
    parser.add_argument("--seconds", type=float, default=60.0, help="play faster where it would take longer")
    parser.add_argument("--report", default="", metavar="FILE", help="write the report as a page of HTML")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Serve the release on staging, play, compare; return 1 where a threshold of `[qa]` is broken.

    Raises:
        NotFound: there is no such release, or no traffic was recorded.
        Invalid: a number is out of its range, or the release was never built.
    """
    from ropewalk.house import open_house
    from ropewalk.releases.rehearsalpage import lines, shifts, to_html

    if not (options.speed > 0 and options.seconds > 0 and options.rows >= 0):
        raise Invalid(
            "usage", "--speed and --seconds are above 0, --rows is not below.", fix="ropewalk rehearse --help"
        )
    with open_house(options.project, create=False) as house:
        name, endpoint, played = _played(options, out, house)
    out.fields(dict([*lines(played), *shifts(played)]))
    for problem in played.problems:
        out.line(f"x {problem}", style="red")
    if options.report:
        Path(options.report).write_text(to_html(played, f"{name} on the traffic of {endpoint}"))
        out.line(f"report: {options.report}")
    passed = not played.problems and not played.skipped
    out.result({"release": name, "endpoint": endpoint, "passed": passed, **played.record()})
    out.next("ropewalk status", f"ropewalk ship --release {name}")
    return 0 if passed else 1


def _played(options: argparse.Namespace, out: Output, house: House) -> tuple[str, str, Rehearsed]:
    """Return who was rehearsed, on whose traffic, and what was found."""
    from ropewalk.house import doors
    from ropewalk.models.manifest import read_manifest
    from ropewalk.releases import release, traffic
    from ropewalk.releases.bundle import read_bundle
    from ropewalk.releases.rehearsal import rehearse
    from ropewalk.releases.walk import STAGING

    site, plan, ways = house.site, house.settings.qa, doors(house)
    with site.db.read() as rows:
        found = release.get(rows, options.release)
    if not found.bundle:
        raise Invalid("release-not-built", "This release was never built.", where=found.id, fix="ropewalk ship")
    endpoint = options.endpoint or traffic.endpoint_name(found.name, found.environment)
    recorded = ways.recorded(endpoint, options.rows or plan.rehearsal_rows)
    if recorded.is_empty():
        raise NotFound(
            "rehearsal-empty",
            "No traffic was recorded yet.",
            where=f"endpoint {endpoint}",
            why="a rehearsal plays what an endpoint was asked before",
            fix="ropewalk up",
        )
    bundle = read_bundle(site.blobs, found.bundle)
    manifest = read_manifest(site.blobs, bundle.manifest)
    path = f"/endpoints/{bundle.model}/predict"
    with out.progress(f"playing {recorded.height:,} rows to {found.id}"), ways.serve(found.bundle, STAGING) as url:
        played = rehearse(url, path, recorded, manifest, options.speed, plan=plan, seconds_max=options.seconds)
    return found.id, endpoint, played
