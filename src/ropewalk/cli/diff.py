"""`ropewalk diff A B` says what is different between two runs: code, parameters, metrics, environment, data, models."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk diff train-1 train-2
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the two runs."""
    parser.add_argument("a", metavar="A", help="id, its first letters, or name")
    parser.add_argument("b", metavar="B", help="id, its first letters, or name")


def handle(options: argparse.Namespace, out: Output) -> None:
    """Print every difference."""
    from ropewalk.house import open_house
    from ropewalk.runs import run as runs
    from ropewalk.runs.diff import diff

    with open_house(options.project, create=False) as house:
        with house.site.db.read() as rows:
            a, b = runs.find(rows, options.a), runs.find(rows, options.b)
        found = diff(house.site, a.id, b.id)
    if found.same:
        out.line(f"nothing differs between {found.a.name} and {found.b.name}: code, parameters, metrics, data, models")
    for part in ("run", "params", "metrics", "environment", "data", "models", "artifacts"):
        changes = getattr(found, part)
        if changes:
            out.table((part, found.a.name, found.b.name), [(one.name, one.a, one.b) for one in changes])
            out.line()
    for file in found.files:
        out.line(f"{file.change} {file.path}", style="bold")
        if file.text:
            out.line(file.text.rstrip("\n"))
    parts = ("run", "params", "metrics", "environment", "data", "models", "artifacts", "files")
    out.result({part: [asdict(one) for one in getattr(found, part)] for part in parts})
    out.next(f"ropewalk restore {found.a.id} --into ../{found.a.name}", f"ropewalk runs {found.b.id}")
