"""`ropewalk import mlflow SOURCE` takes in what MLflow kept: runs, files, models, with their ids."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from ropewalk.cli.output import Output

if TYPE_CHECKING:
    from ropewalk.exchange.tally import Tally

EXAMPLE = """
ropewalk import mlflow ./mlruns --dry-run
ropewalk import mlflow ./mlruns
ropewalk import mlflow sqlite:///mlflow.db --artifacts ./mlartifacts
ropewalk import mlflow http://127.0.0.1:5000
"""
SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """Add the source and where its files lie."""
    parser.add_argument("kind", choices=("mlflow",), help="who kept it")
    parser.add_argument("source", metavar="SOURCE", help="mlruns folder, SQLite file, or address of a server")
    parser.add_argument("--artifacts", default="", metavar="FOLDER", help="where a server kept its artifacts")
    parser.add_argument("--dry-run", action="store_true", help="only count what would come")


def handle(options: argparse.Namespace, out: Output) -> int:
    """Take it in; exit status 1 when something was left out or differs from the source."""
    from ropewalk.exchange.arrive import Arrival
    from ropewalk.exchange.opened import open_source
    from ropewalk.house import open_house

    source = open_source(options.source, Path(options.artifacts) if options.artifacts else None)
    label = "counting" if options.dry_run else "importing"
    with open_house(options.project) as house, out.progress(label) as bar:

        def on_step(text: str) -> None:
            bar.note(text)
            bar.advance()

        tally = Arrival(house.site, source, dry=options.dry_run, on_step=on_step).run()
    done = "would come" if options.dry_run else "came"
    out.result({"dry_run": options.dry_run, **report(tally, done, out)})
    if options.dry_run:
        where = f" --artifacts {shlex.quote(options.artifacts)}" if options.artifacts else ""
        out.next(f"ropewalk import mlflow {shlex.quote(options.source)}{where}")
    else:
        out.next("ropewalk runs", "ropewalk verify")
    return 1 if tally.refused or tally.differing else 0


def report(tally: Tally, done: str, out: Output) -> dict[str, object]:
    """Print what came of an exchange, and return it for machines."""
    from ropewalk.exchange.records import digest_of_all

    counts = tally.counts()
    out.table(
        ("what", done, "there already"),
        [(kind, number, tally.known[kind]) for kind, number in counts.items() if number or kind != "bytes"],
    )
    digest = digest_of_all(tally.digests.values())
    if tally.digests:
        compared = "the same as the source" if not tally.differing else f"{len(tally.differing)} differ from the source"
        out.line(f"{len(tally.digests)} runs read back: {compared}", style="red" if tally.differing else "")
        out.line(f"digest of all of them: {digest}", style="dim")
    for what, why in list(tally.refused.items())[:SHOWN]:
        out.line(f"left out  {what}: {why}", style="yellow")
    if len(tally.refused) > SHOWN:
        out.line(f"... and {len(tally.refused) - SHOWN} more, see --json")
    for what, why in list(tally.notes.items())[:SHOWN]:
        out.line(f"note  {what}: {why}", style="dim")
    return {
        "counts": counts,
        "notes": tally.notes,
        "known": dict(tally.known),
        "refused": tally.refused,
        "digest": digest,
        "digests": tally.digests,
        "differing": tally.differing,
    }
