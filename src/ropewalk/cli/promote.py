"""`ropewalk promote RELEASE` gives a canary all traffic at once, without waiting for the verdict."""

from __future__ import annotations

import argparse

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk promote churn/3 --reason "incident 114: the champion is broken"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the release and the reason."""
    parser.add_argument("release", metavar="RELEASE", help="a release that is a canary now")
    parser.add_argument("--reason", default="promoted by hand", help="why, for those who read it later")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Give it all traffic, in one transaction."""
    from ropewalk.house import open_house
    from ropewalk.releases.promote import promote

    with open_house(options.project, create=False) as house:
        site = house.site
        now = site.db.write(lambda tx: promote(tx, site, options.release, reason=options.reason))
    out.line(f"{now.endpoint}: {now.champion} answers everybody, {now.previous or 'nothing'} stays warm")
    out.result({"endpoint": now.endpoint, "champion": now.champion, "previous": now.previous})
    out.next("ropewalk status", "ropewalk rollback")
