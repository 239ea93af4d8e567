"""`ropewalk rollback` undoes the newest delivery: a canary falls, or the champion yields to the one before."""

from __future__ import annotations

import argparse

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk rollback
ropewalk rollback --reason "incident 114"
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add environment and reason."""
    parser.add_argument("--environment", default="production", help="where; production when left out")
    parser.add_argument("--reason", default="rolled back by hand", help="why, for those who read it later")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Switch traffic in one transaction, then take the release's SQL back where it has to go back."""
    from ropewalk.house import open_house
    from ropewalk.releases.promote import rollback
    from ropewalk.releases.sqlmigrate import settle
    from ropewalk.releases.traffic import endpoint_name

    with open_house(options.project, create=False) as house:
        site = house.site
        endpoint = endpoint_name(house.settings.model_name, options.environment)
        now = site.db.write(lambda tx: rollback(tx, site, endpoint, reason=options.reason), urgent=True)
        settle(site)
    out.line(f"{now.endpoint}: {now.champion} answers everybody again")
    out.result({"endpoint": now.endpoint, "champion": now.champion})
    out.next("ropewalk status", "ropewalk ship")
