"""`ropewalk approve RELEASE` says yes to a release on the evidence that is there now."""

from __future__ import annotations

import argparse

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk approve churn/3 --note "read the quality report"
ropewalk approve churn/3 --seen sha256:...   # refused if the evidence has changed since
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the release, the evidence seen and a note."""
    parser.add_argument("release", metavar="RELEASE", help="as `ropewalk status` shows it")
    parser.add_argument("--seen", default="", metavar="DIGEST", help="evidence that was looked at; what is there now")
    parser.add_argument("--note", default="", help="why, for those who read it later")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Store the approval, bound to bundle, evidence and environment."""
    from ropewalk.house import open_house
    from ropewalk.releases import approval
    from ropewalk.releases.release import get

    with open_house(options.project, create=False) as house:
        site = house.site

        def say(tx: approval.Transaction) -> tuple[approval.Approval, int]:
            word = approval.approve(tx, site, options.release, seen=options.seen, note=options.note)
            return word, approval.missing(tx, site, get(tx, options.release))

        word, missing = site.db.write(say)
    out.line(f"{word.actor} approves {word.release} for {word.environment}, on evidence {word.evidence}")
    out.line("nobody else has to" if not missing else f"{missing} more must approve")
    out.result({"release": word.release, "evidence": word.evidence, "actor": word.actor, "missing": missing})
    out.next(f"ropewalk ship --release {word.release}" if not missing else f"ropewalk approve {word.release}")
