"""`ropewalk why STEP` says why a step ran, or did not, the last time: which function, constant, library or input."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk why fit
ropewalk why fit-2
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the step."""
    parser.add_argument("step", metavar="STEP", help="the function's name; its second call in a pipeline ends in -2")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print the reasons."""
    from ropewalk.house import open_house
    from ropewalk.pipelines.why import why

    with open_house(options.project, create=False) as house:
        found = why(house.site, options.step)
    out.line(f"{found.node} in {found.run_name}: {'ran' if found.ran else 'answered from the cache'}", style="bold")
    for reason in found.reasons:
        out.line(f"  {reason}")
    for note in found.notes:
        out.line(f"  {note}")
    out.result(asdict(found))
    out.next("ropewalk plan", f"ropewalk runs {found.run_name}")
