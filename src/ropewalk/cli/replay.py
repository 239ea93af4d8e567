"""`ropewalk replay PREDICTION` answers a past prediction again and compares every bit."""

from __future__ import annotations

import argparse

from ropewalk.cli.output import Output

EXAMPLE = """
ropewalk replay 019aa3c2-7f3e-7cc1-9a31-6d1f0c9e2b11
"""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the prediction."""
    parser.add_argument("prediction", metavar="PREDICTION", help="the id that the endpoint answered with")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Start a worker of the same bundle, answer again, compare; exit status 1 when a bit differs."""
    from ropewalk.evidence.replay import replay
    from ropewalk.house import open_house, score

    with open_house(options.project, create=False) as house, out.progress("starting the same bundle again"):
        found = replay(house.site, options.prediction, score(house))
    rows = [(name, found.then.get(name), found.now.get(name), _same(name, found.differs)) for name in found.now]
    out.table(
        ("output", "then", "now", "bits"), [(name, repr(then), repr(now), same) for name, then, now, same in rows]
    )
    out.line(f"{found.release} gives {'the same bits' if found.equal else 'OTHER BITS'} (bundle {found.bundle})")
    out.result(
        {
            "id": found.id,
            "equal": found.equal,
            "release": found.release,
            "bundle": found.bundle,
            "then": dict(found.then),
            "now": dict(found.now),
        }
    )
    out.next(f"ropewalk trace {found.id}")
    return 0 if found.equal else 1


def _same(name: str, differs: tuple[str, ...]) -> str:
    return "differ" if name in differs else "same"
