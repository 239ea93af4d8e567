"""`ropewalk plan` says what would run and why, before anything does."""

from __future__ import annotations

import argparse
from dataclasses import asdict

from ropewalk.cli.output import Output
from ropewalk.cli.run import arguments, mended, split

EXAMPLE = """
ropewalk plan
ropewalk plan pipeline.py:train month_to=6
"""
TOLD = {
    "hit": "answered from the cache",
    "run": "to run",
    "unknown": "known once the steps before have run",
}
__all__ = ["EXAMPLE", "arguments", "handle"]


def handle(options: argparse.Namespace, out: Output) -> None:
    """Record the graph, look each step up, print what would happen."""
    from ropewalk.cli.project import require_pipeline
    from ropewalk.house import open_house
    from ropewalk.pipelines.plan import plan

    target, args = split(options.words)
    require_pipeline(options.project, target)
    with open_house(options.project) as house, mended(options.words):
        found = plan(house.site, target or house.settings.pipeline, args)
    out.table(
        ("step", "would", "after", "why"),
        [(node.node, node.verdict, ", ".join(node.needs), "; ".join(node.why)) for node in found.nodes],
    )
    counts = {told: found.count(word) for word, told in TOLD.items()}
    out.line()
    for note in dict.fromkeys(note for node in found.nodes for note in node.notes):
        out.line(note)
    out.line("; ".join(f"{count} {told}" for told, count in counts.items() if count) or "the pipeline has no steps")
    out.result(asdict(found))
    out.next("ropewalk run " + " ".join(options.words) if options.words else "ropewalk run")
