"""`ropewalk trace PREDICTION` prints the line behind an answer, down to its rows and its commit."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk trace 019aa3c2-7f3e-7cc1-9a31-6d1f0c9e2b11
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the prediction."""
    parser.add_argument("prediction", metavar="PREDICTION", help="the id that the endpoint answered with")
    parser.add_argument("--facts", action="store_true", help="print the details of each link too")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print link after link, newest first."""
    import json

    from ropewalk.evidence.trace import trace
    from ropewalk.house import open_house
    from ropewalk.refs import short

    with open_house(options.project, create=False) as house:
        found = trace(house.site, options.prediction)
    for number, link in enumerate(found.links):
        if number:
            out.line("  |")
        out.line(f"{link.kind:<12}{link.title}", style="bold")
        marks = [f"sha256 {short(link.digest)}" if link.digest else "", f"ledger {link.entry}" if link.entry else ""]
        out.line(f"  |         {link.told}")
        if any(marks):
            out.line(f"  |         {'  '.join(mark for mark in marks if mark)}", style="dim")
        if options.facts:
            for line in json.dumps(link.facts, indent=1, default=str).splitlines():
                out.line(f"  |           {line}")
    out.result({"id": found.id, "links": [asdict(link) for link in found.links]})
    out.next(f"ropewalk replay {found.id}", "ropewalk verify", f"ropewalk trace {found.id} --facts")
