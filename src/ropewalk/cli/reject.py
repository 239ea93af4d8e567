"""`ropewalk reject RELEASE` says no to a release, with a reason."""

from __future__ import annotations

import argparse

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk reject churn/3 --note "recall of the smallest customers fell"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the release and the reason."""
    parser.add_argument("release", metavar="RELEASE", help="as `ropewalk status` shows it")
    parser.add_argument("--note", required=True, help="why")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Store the rejection; the release ends, and the SQL that it had applied goes back."""
    from ropewalk.house import open_house
    from ropewalk.releases import approval
    from ropewalk.releases.sqlmigrate import settle

    with open_house(options.project, create=False) as house:
        site = house.site
        word = site.db.write(lambda tx: approval.reject(tx, site, options.release, note=options.note))
        settle(site)
    out.line(f"{word.actor} rejects {word.release}: {word.note}")
    out.result({"release": word.release, "actor": word.actor, "note": word.note})
    out.next("ropewalk status")
